"""The smoke test: requests that must succeed against what was just deployed."""

import asyncio
from collections.abc import Sequence

import httpx2
from msgspec import Struct

from headway.model.plan import SmokeCheck

MAX_BODY_BYTES = 1024 * 1024


class SmokeResult(Struct, frozen=True):
    """Whether every check passed, as a sentence, and what each of them found."""

    passed: bool
    sentence: str
    findings: tuple[str, ...]


async def smoke_test(checks: Sequence[SmokeCheck]) -> SmokeResult:
    """Make every request, all at once. Redirects are answers, not followed."""
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client:
        problems = await asyncio.gather(*(_problem(client, check) for check in checks))
    failed = [problem for problem in problems if problem]
    findings = tuple(
        problem or f"{check.url} answered as it should"
        for check, problem in zip(checks, problems, strict=True)
    )
    if failed:
        return SmokeResult(False, f"the smoke test failed: {failed[0]}", findings)
    if not checks:
        return SmokeResult(True, "there is no smoke test to run", findings)
    return SmokeResult(True, f"the smoke test passed: {len(checks)} of {len(checks)}", findings)


async def _problem(client: httpx2.AsyncClient, check: SmokeCheck) -> str:
    """What is wrong, or an empty string."""
    try:
        async with (
            asyncio.timeout(check.timeout),
            client.stream("GET", check.url) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
    except TimeoutError:
        return f"{check.url} did not answer within {check.timeout:g} s"
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
        return f"{check.url} cannot be reached: {error or type(error).__name__}"
    if response.status_code != check.status:
        return f"{check.url} answered {response.status_code}, expected {check.status}"
    if check.contains.encode() not in body:
        return f'{check.url} does not contain "{check.contains}"'
    return ""
