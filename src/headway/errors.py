"""Every error that Headway raises on purpose, in one tree.

Each class fixes three things that are part of the interface: a short ``code`` that programs
compare, the HTTP ``status`` that the API answers with, and the ``exit_code`` of the command
line. The message is one sentence that says what happened and what to do about it.

    HeadwayError                    1   500  internal
    ├── InvalidInput                2   400  invalid         what was given cannot be understood
    ├── Refused                     3   409  refused         understood, but not allowed now
    │   └── StaleView               3   412  stale           the state moved on since it was seen
    ├── NotFound                    4   404  not_found
    ├── Denied                      5   403  denied          the role does not suffice
    │   └── Unauthenticated         5   401  unauthenticated
    ├── Unreachable                 6   503  unreachable     a server or store does not answer
    │   └── Busy                    6   429  busy            it answers, and asks for patience
    ├── Untrusted                   7   422  untrusted       signature or digest does not hold
    ├── StorageFailed               8   507  storage_failed  disk full, read-only, I/O error
    ├── HookFailed                  9   500  hook_failed     a lifecycle hook failed or timed out
    ├── RolloutFailed              10   409  rollout_failed  the deploy ended other than well
    └── StoreError                  6   503  store           the signal store, see below
        ├── Conflict                3   409  conflict        compare-and-set lost
        ├── Unavailable             6   503  unavailable     certainly not applied
        ├── Indeterminate           6   503  indeterminate   perhaps applied: re-read, then retry
        ├── LeaseLost               6   503  lease_lost
        ├── TooLarge                2   413  too_large
        └── StoreDenied             5   403  store_denied
"""

from collections.abc import Iterator
from typing import ClassVar


class HeadwayError(Exception):
    """Something that Headway can explain in one sentence."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InvalidInput(HeadwayError):
    """What was given cannot be understood; the sentence says how to write it."""

    code = "invalid"
    status = 400
    exit_code = 2


class Refused(HeadwayError):
    """Understood, but not allowed in the present state; nothing was changed."""

    code = "refused"
    status = 409
    exit_code = 3


class StaleView(Refused):
    """The caller acted on a state that has moved on since; look again and decide."""

    code = "stale"
    status = 412


class NotFound(HeadwayError):
    """There is no such thing; the sentence names the nearest or how to list them."""

    code = "not_found"
    status = 404
    exit_code = 4


class Denied(HeadwayError):
    """The caller is known, but the role does not allow this."""

    code = "denied"
    status = 403
    exit_code = 5


class Unauthenticated(Denied):
    """The caller is not known: no token, or one that is not valid."""

    code = "unauthenticated"
    status = 401


class Unreachable(HeadwayError):
    """A server, store or node does not answer."""

    code = "unreachable"
    status = 503
    exit_code = 6


class Busy(Unreachable):
    """The other side asks for patience; try again later, or ``after`` so many seconds."""

    code = "busy"
    status = 429

    def __init__(self, sentence: str, after: float = 0.0) -> None:
        super().__init__(sentence)
        self.after = after


class Untrusted(HeadwayError):
    """A signature or digest does not hold; nothing was written."""

    code = "untrusted"
    status = 422
    exit_code = 7


class StorageFailed(HeadwayError):
    """The disk is full, read-only or broken; what served before still serves."""

    code = "storage_failed"
    status = 507
    exit_code = 8


class HookFailed(HeadwayError):
    """A lifecycle hook failed or ran out of time; ``output`` holds its last lines."""

    code = "hook_failed"
    exit_code = 9

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(sentence)
        self.output = output


class RolloutFailed(HeadwayError):
    """The rollout that was waited for ended other than well."""

    code = "rollout_failed"
    status = 409
    exit_code = 10


class StoreError(HeadwayError):
    """The signal store did not do what was asked."""

    code = "store"
    status = 503
    exit_code = 6


class Conflict(StoreError):
    """A compare-and-set lost: the key has another revision than expected."""

    code = "conflict"
    status = 409
    exit_code = 3


class Unavailable(StoreError):
    """The store could not be reached; the write was certainly not applied."""

    code = "unavailable"


class Indeterminate(StoreError):
    """The write may or may not have been applied; read again before another try."""

    code = "indeterminate"


class LeaseLost(StoreError):
    """The lease has ended; whoever held it must stop acting under it."""

    code = "lease_lost"


class TooLarge(StoreError):
    """The value exceeds what a signal store should hold."""

    code = "too_large"
    status = 413
    exit_code = 2


class StoreDenied(StoreError):
    """The store refused the credentials."""

    code = "store_denied"
    status = 403
    exit_code = 5


def family(kind: type[HeadwayError] = HeadwayError) -> Iterator[type[HeadwayError]]:
    """``kind`` and everything below it in this module, parents first.

    What an adapter derives for itself is, to everybody else, what it is derived from.
    """
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == __name__:
            yield from family(child)
