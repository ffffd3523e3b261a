"""The fleet as it is known in this moment: every node's record and its last reports."""

from collections import deque
from collections.abc import Iterator

from headway.core import fleet as core
from headway.core.fleet import Member
from headway.model.report import Report
from headway.model.rollout import FleetView
from headway.model.signal import NodeRecord, Signal

REMEMBERED_BOOTS = 8


class Fleet:
    """Nodes by name. What it holds is also in the database; this is what is decided from."""

    def __init__(self) -> None:
        self._records: dict[str, NodeRecord] = {}
        self._reports: dict[tuple[str, str], tuple[Report, float]] = {}
        self._earlier_boots: dict[tuple[str, str], deque[str]] = {}

    def __iter__(self) -> Iterator[NodeRecord]:
        """Every node's record, by name."""
        return iter([self._records[name] for name in sorted(self._records)])

    def record(self, node: str) -> NodeRecord | None:
        """A node's record, or None when there is no such node."""
        return self._records.get(node)

    def place(self, record: NodeRecord) -> None:
        """Take in what was decided about a node."""
        self._records[record.node] = record

    def forget(self, node: str) -> None:
        """Remove a node and all that it said."""
        record = self._records.pop(node, None)
        for app in record.seats if record else ():
            self._reports.pop((node, app), None)
            self._earlier_boots.pop((node, app), None)

    def hear(self, report: Report, at: float) -> bool:
        """Take in a report received ``at``; False when a later one is known already.

        Within one agent process the higher number is later. Another process is later than the
        present one unless it was heard before it: a node's clock is not asked.
        """
        key = report.node, report.app
        known = self._reports.get(key)
        if known is not None:
            last = known[0]
            if report.boot == last.boot:
                if report.seq <= last.seq:
                    return False
            else:
                earlier = self._earlier_boots.setdefault(key, deque(maxlen=REMEMBERED_BOOTS))
                if report.boot in earlier:
                    return False
                earlier.append(last.boot)
        self._reports[key] = report, at
        return True

    def vouch(self, report: Report, at: float) -> None:
        """A report that stands in the signal store, if it is the last, counts as received again."""
        key = report.node, report.app
        known = self._reports.get(key)
        if known is not None and (known[0].boot, known[0].seq) == (report.boot, report.seq):
            self._reports[key] = report, at

    def heard(self, node: str, app: str) -> tuple[Report, float] | None:
        """A node's last report of an app, and when it was received."""
        return self._reports.get((node, app))

    def members(self, app: str) -> list[Member]:
        """Every node that has a seat in ``app``."""
        return [self.member(r, app) for r in self._records.values() if app in r.seats]

    def member(self, record: NodeRecord, app: str) -> Member:
        """A node's record with what it last said about ``app``."""
        report, at = self._reports.get((record.node, app), (None, None))
        return Member(record, report, at)

    def view(self, app: str, signal: Signal | None, now: float, silent_after: float) -> FleetView:
        """The app's nodes, held against what the signal asks of them."""
        return core.view(app, self.members(app), signal, now, silent_after)

    def all_heard_since(self, app: str, moment: float) -> bool:
        """Whether every node of the app has reported since."""
        return all(m.last_seen is not None and m.last_seen >= moment for m in self.members(app))
