"""The smoke test: requests and commands that must succeed against what was just deployed."""

import asyncio
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import httpx2
from msgspec import Struct

from headway.core.words import count
from headway.model.plan import SmokeCheck
from headway.model.rollout import SmokeFinding

MAX_BODY_BYTES = 1024 * 1024
MAX_OUTPUT_BYTES = 65536
KEPT_CHARACTERS = 4000
"""So much of the last that a check has said is kept with the rollout."""

CLEAN = ("PATH", "LANG", "LC_ALL", "TZ")
"""What a command gets of the control plane's own environment, which may hold secrets."""


class SmokeResult(Struct, frozen=True):
    """Whether every check passed, as a sentence, and what each of them found."""

    passed: bool
    sentence: str
    findings: tuple[SmokeFinding, ...]


async def smoke_test(
    checks: Sequence[SmokeCheck],
    programs: Collection[str] = (),
    told: Mapping[str, str] | None = None,
) -> SmokeResult:
    """Do every check, all at once. Redirects are answers, not followed.

    Commands may be of ``programs`` only; ``told`` is added to their environment.
    """
    clean = {name: os.environ[name] for name in CLEAN if name in os.environ} | dict(told or {})
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client:
        findings = await asyncio.gather(
            *(
                _run(check, programs, clean) if check.command else _ask(client, check)
                for check in checks
            )
        )
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        return SmokeResult(False, f"the smoke test failed: {failed[0].sentence}", tuple(findings))
    if not checks:
        return SmokeResult(True, "there is no smoke test to run", ())
    return SmokeResult(
        True, f"the smoke test passed: {count(len(checks), 'check')}", tuple(findings)
    )


async def _ask(client: httpx2.AsyncClient, check: SmokeCheck) -> SmokeFinding:
    body = bytearray()
    try:
        async with (
            asyncio.timeout(check.timeout),
            client.stream("GET", check.url) as response,
        ):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
    except TimeoutError:
        problem = f"{check.url} did not answer within {check.timeout:g} s"
        return _found(check.url, problem, body)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
        problem = f"{check.url} cannot be reached: {error or type(error).__name__}"
        return _found(check.url, problem, body)
    if response.status_code != check.status:
        problem = f"{check.url} answered {response.status_code}, expected {check.status}"
        return _found(check.url, problem, body)
    if check.contains.encode() not in body:
        return _found(check.url, f'{check.url} does not contain "{check.contains}"', body)
    return SmokeFinding(check.url, True, f"{check.url} answered as it should")


async def _run(
    check: SmokeCheck, programs: Collection[str], environment: Mapping[str, str]
) -> SmokeFinding:
    name = " ".join(check.command)[:200]
    if check.command[0] not in programs:
        return _found(name, f"{check.command[0]} is not one of the server's smoke_programs", b"")
    try:
        process = await asyncio.create_subprocess_exec(
            *check.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return _found(name, f"{name} cannot be run: {error}", b"")
    output = bytearray()
    try:
        async with asyncio.timeout(check.timeout):
            await _read(process, output)
            status = await process.wait()
    except TimeoutError:
        return _found(name, f"{name} ran longer than {check.timeout:g} s and was killed", output)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status != 0:
        ended = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
        return _found(name, f"{name} {ended}", output)
    if check.contains.encode() not in output:
        return _found(name, f'{name} does not say "{check.contains}"', output)
    return SmokeFinding(name, True, f"{name} succeeded", _shown(output))


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    while chunk := await process.stdout.read(65536):
        output += chunk
        del output[:-MAX_OUTPUT_BYTES]


def _found(check: str, problem: str, output: bytes | bytearray) -> SmokeFinding:
    return SmokeFinding(check, False, problem, _shown(output))


def _shown(output: bytes | bytearray) -> str:
    return bytes(output).decode("utf-8", "replace")[-KEPT_CHARACTERS:].replace("\x00", "�")
