"""Passwords: what may be one, and their argon2id hashes, which are made beside the event loop.

The parameters are the second recommendation of RFC 9106, section 4: 64 MiB, three passes, four
lanes. Some 50 ms of a core are spent on each password, so only a few are checked at a time.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from headway.errors import Busy, InvalidInput

T = TypeVar("T")

MIN_CHARACTERS = 12
MAX_BYTES = 1024

AT_ONCE = 2
"""So many are hashed at a time; each takes 64 MiB."""

WAITING = 16
"""So many may wait for that; whoever comes then is told to come again."""


def normal(password: str) -> str:
    """The password in the form that is hashed (NFKC), whatever keyboard it was typed on.

    Raises InvalidInput for one that is too short or too long.
    """
    text = unicodedata.normalize("NFKC", password)
    if len(text) < MIN_CHARACTERS:
        raise InvalidInput(f"a password has at least {MIN_CHARACTERS} characters")
    if _size(text) > MAX_BYTES:
        raise InvalidInput(f"a password has at most {MAX_BYTES} bytes of UTF-8 text")
    return text


class Passwords:
    """Makes and checks hashes. Checking takes as long whether or not there is a hash to check."""

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._pending = 0
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """The hash of a password as ``normal`` gives it. Raises Busy."""
        return await self._beside(lambda: self._hasher.hash(password))

    async def matches(self, hashed: str, password: str) -> bool:
        """Whether this is the password of a hash; an empty one costs the same. Raises Busy."""
        return await self._beside(lambda: self._matches(hashed, password))

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than are recommended now."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let its threads end."""
        self._threads.shutdown()

    def _matches(self, hashed: str, password: str) -> bool:
        text = unicodedata.normalize("NFKC", password)
        if _size(text) > MAX_BYTES:
            text = ""
        if not self._nobodys:
            self._nobodys = self._hasher.hash("nobody has this password")
        try:
            self._hasher.verify(hashed or self._nobodys, text)
        except (VerificationError, InvalidHashError):
            return False
        return bool(hashed)

    async def _beside(self, work: Callable[[], T]) -> T:
        if self._pending >= AT_ONCE + WAITING:
            raise Busy("many people are signing in at this moment; try again in a few seconds")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1


def _size(text: str) -> int:
    """The length in bytes; of what no encoding knows, more than is allowed."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_BYTES + 1
