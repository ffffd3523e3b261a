"""A hub's way to the control plane: enrolments one by one, reports many at a time."""

import asyncio
from collections import deque

import httpx2
import msgspec
from msgspec import Struct

from headway.errors import Busy, HeadwayError, InvalidInput, TooLarge, Unreachable, family
from headway.model.report import Enrolment, Report
from headway.model.views import MAX_PACKETS, Packet, Problem

GATHER_SECONDS = 0.01
AT_ONCE = 4
"""How many batches may be under way at a time."""
MAX_WAITING = 50_000
MAX_BATCH_BYTES = 512 * 1024
MAX_PACKET_BYTES = 256 * 1024
TIMEOUT_SECONDS = 10.0

_REPORTS = msgspec.json.Decoder(list[Report])


class _Waiting(Struct):
    packet: Packet
    taken: asyncio.Future[None]


class Upstream:
    """The control plane at ``server``. It judges by the nodes' own tokens; a hub has none."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._client = httpx2.AsyncClient(base_url=server, timeout=TIMEOUT_SECONDS)
        self._waiting: deque[_Waiting] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self.passed = 0
        """How many reports the control plane has taken."""
        self.failed = 0
        """How many it has not."""

    @property
    def waiting(self) -> int:
        """How many reports are to be passed on."""
        return len(self._waiting)

    async def enrol(self, secret: str, enrolment: Enrolment) -> None:
        """Present a node. Raises what the control plane refuses with, or Unreachable."""
        answer = await self._post("/v1/node/enrol", msgspec.json.encode(enrolment), secret)
        if answer.status_code >= 300:
            raise self._refusal(answer)

    def report(self, secret: str, body: bytes) -> asyncio.Future[None]:
        """Pass reports on with the next batch; done when they are durable.

        Raises Busy when too many wait, TooLarge, and InvalidInput: what is no JSON would spoil
        the batch for everybody.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Busy("the control plane does not keep up; try again later")
        if len(body) > MAX_PACKET_BYTES:
            raise TooLarge(f"reports of {len(body)} bytes, {MAX_PACKET_BYTES} are allowed at once")
        try:
            _REPORTS.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"the body of the request: {error}"[:1000]) from None
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(Packet(secret, msgspec.Raw(body)), taken))
        if len(self._sending) < AT_ONCE:
            task = asyncio.create_task(self._send())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return taken

    async def close(self) -> None:
        """Hang up; what waits is told that the control plane cannot be reached."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        _settle(self._waiting, Unreachable("the hub is stopping"))
        await self._client.aclose()

    async def _send(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while batch := self._batch():
            try:
                answer = await self._post("/v1/hub/reports", _encode(batch))
                if answer.status_code != 200:
                    raise self._refusal(answer)
                problems = msgspec.json.decode(answer.content, type=list[Problem | None])
            except HeadwayError as error:
                self.failed += len(batch)
                _settle(batch, error)
            except msgspec.MsgspecError as error:
                self.failed += len(batch)
                _settle(batch, Unreachable(f"{self._server} is no control plane: {error}"))
            else:
                refused = sum(problem is not None for problem in problems)
                self.failed += refused
                self.passed += len(batch) - refused
                for waiting, problem in zip(batch, problems, strict=False):
                    _settle([waiting], _error(problem) if problem else None)

    def _batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < MAX_PACKETS and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(bytes(batch[-1].packet.reports))
        return batch

    async def _post(self, path: str, body: bytes, secret: str = "") -> httpx2.Response:
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        try:
            return await self._client.post(path, content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unreachable(f"the control plane {self._server} does not answer: {why}") from None

    def _refusal(self, answer: httpx2.Response) -> HeadwayError:
        try:
            return _error(msgspec.json.decode(answer.content, type=Problem))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Unreachable(f"{self._server} answers {answer.status_code}")


def _error(problem: Problem) -> HeadwayError:
    """What the control plane has refused, as it was there."""
    kind = next((kind for kind in family() if kind.code == problem.code), HeadwayError)
    return kind(problem.sentence)


def _encode(batch: list[_Waiting]) -> bytes:
    return msgspec.json.encode([waiting.packet for waiting in batch])


def _settle(batch: "deque[_Waiting] | list[_Waiting]", error: HeadwayError | None) -> None:
    for waiting in batch:
        if waiting.taken.done():
            continue
        if error is None:
            waiting.taken.set_result(None)
        else:
            waiting.taken.set_exception(error)
