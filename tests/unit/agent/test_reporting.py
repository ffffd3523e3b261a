"""Reports get through in the end, the newest only; and the log stays one line per event."""

import logging
import threading
from collections.abc import Iterator

from agent_shelf import until

from headway.agent.config import AppSettings, Metrics
from headway.agent.log import KeyValue
from headway.agent.reporting import Counters, Reporter
from headway.errors import Unreachable
from headway.model.report import Activity, Enrolment, Report
from headway.signals.port import Update


class Line:
    """A link that is down as long as ``down`` is set."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.tried: list[int] = []
        self.down = False

    def enrol(self, enrolment: Enrolment) -> None:
        pass

    def watch(self, apps: tuple[str, ...]) -> Iterator[Update]:
        return iter(())

    def report(self, reports: tuple[Report, ...]) -> None:
        self.tried.append(reports[0].seq)
        if self.down:
            raise Unreachable("the server does not answer")
        self.taken.append(reports[0].seq)

    def close(self) -> None:
        pass


def test_only_the_newest_report_is_sent_when_the_link_is_back() -> None:
    line = Line()
    state = [0]

    def collect() -> tuple[Report, ...]:
        return (Report("n", "web", "b", state[0], 1, Activity.IDLE, None, None, "", 0.0),)

    reporter = Reporter(line, collect)
    thread = threading.Thread(target=reporter.run)
    thread.start()
    try:
        reporter.tell()
        until(lambda: line.taken == [0])
        line.down = True
        for state[0] in (1, 2, 3):
            reporter.tell()
        until(lambda: line.tried[-1] == 3)
        line.down = False
        until(lambda: line.taken[-1] == 3)
        assert line.taken == [0, 3], "what was overtaken is not sent any more"
    finally:
        reporter.stop()
        thread.join(20)
    assert not thread.is_alive()


def test_an_app_that_does_not_answer_has_no_counters() -> None:
    metrics = Metrics("http://127.0.0.1:9/metrics")
    counters = Counters((AppSettings("web", "canary", metrics=metrics),), every=0.01)
    rounds: list[None] = []
    thread = threading.Thread(target=counters.run, args=(lambda: rounds.append(None),))
    thread.start()
    until(lambda: len(rounds) > 2)
    counters.stop()
    thread.join(20)
    assert counters.of("web") == {}


def test_nothing_that_is_logged_can_begin_a_line() -> None:
    record = logging.makeLogRecord(
        {"msg": "refused", "levelno": 40, "levelname": "ERROR", "why": 'x\n2026 info "fine"\u2028='}
    )
    line = KeyValue().format(record)
    assert line.endswith(' error refused why="x\\n2026 info \\"fine\\"\\u2028="')
    assert len(line.splitlines()) == 1
