"""The fleet as it is known in this moment: every node's record and its last reports."""

from collections.abc import Iterator
from functools import partial

from headway.core.drift import present, sentence
from headway.core.fleet import Member
from headway.model.report import Report
from headway.model.rollout import FleetView
from headway.model.signal import NodeRecord, Signal
from headway.server.sight import Sight

REMEMBERED_BOOTS = 8

PRESENT_SECONDS = 10.0
"""For so long the agent process that was heard last counts as the node's; agents report more often.
After that one that was taken for an earlier process, and goes on to speak, is believed again."""


class Fleet:
    """Nodes by name. What it holds is also in the database; this is what is decided from."""

    def __init__(self) -> None:
        self._records: dict[str, NodeRecord] = {}
        self._reports: dict[tuple[str, str], tuple[Report, float]] = {}
        self._earlier_boots: dict[tuple[str, str], dict[str, int]] = {}
        self._left: dict[str, float] = {}
        self._sights: dict[str, Sight] = {}
        self._drifted: dict[tuple[str, str], str] = {}

    def __iter__(self) -> Iterator[NodeRecord]:
        """Every node's record, by name."""
        return iter([self._records[name] for name in sorted(self._records)])

    def record(self, node: str) -> NodeRecord | None:
        """A node's record, or None when there is no such node."""
        return self._records.get(node)

    def place(self, record: NodeRecord) -> None:
        """Take in what was decided about a node."""
        before = self._records.get(record.node)
        self._records[record.node] = record
        for app in {*record.seats, *(before.seats if before else ())}:
            self._sight(app).seats_changed()

    def forget(self, node: str) -> None:
        """Remove a node and all that it said."""
        record = self._records.pop(node, None)
        self._left.pop(node, None)
        for app in record.seats if record else ():
            self._sight(app).seats_changed()
            self._reports.pop((node, app), None)
            self._earlier_boots.pop((node, app), None)
            self._drifted.pop((node, app), None)

    def hear(self, report: Report, at: float) -> bool:
        """Take in a report received ``at``; False when a later one is known already.

        Within one agent process the higher number is later. Another process is later than the
        present one unless it was heard before it: a node's clock is not asked. A last word of a
        dead process may come after the first one of the next; then the next one, which goes on
        while the dead one does not, is heard again.
        """
        key = report.node, report.app
        known = self._reports.get(key)
        if known is not None:
            last = known[0]
            if report.boot == last.boot:
                if report.seq <= last.seq:
                    return False
            else:
                earlier = self._earlier_boots.setdefault(key, {})
                said = earlier.get(report.boot)
                if said is not None and (report.seq <= said or at - known[1] < PRESENT_SECONDS):
                    return False
                earlier.pop(report.boot, None)
                earlier[last.boot] = last.seq
                if len(earlier) > REMEMBERED_BOOTS:
                    del earlier[next(iter(earlier))]
        self._reports[key] = report, at
        self._left.pop(report.node, None)
        self._drifted.pop(key, None)
        if drifts := present(report):
            self._drifted[key] = "; ".join(sentence(drift, report.app) for drift in drifts)
        self._sight(report.app).spoke(report.node, at)
        return True

    def vouch(self, report: Report, at: float) -> None:
        """A report that stands in the signal store, if it is the last, counts as received again."""
        key = report.node, report.app
        known = self._reports.get(key)
        if known is not None and (known[0].boot, known[0].seq) == (report.boot, report.seq):
            self._reports[key] = report, at
            self._sight(report.app).spoke(report.node, at)

    def leave(self, node: str, at: float) -> None:
        """Take note that a node has no connection any more."""
        record = self._records.get(node)
        if record is not None:
            self._left[node] = at
            for app in record.seats:
                self._sight(app).left(node, at)

    def come_back(self, node: str) -> None:
        """Take note that a node has a connection again."""
        record = self._records.get(node)
        if record is not None and self._left.pop(node, None) is not None:
            for app in record.seats:
                self._sight(app).returned(node)

    def heard(self, node: str, app: str) -> tuple[Report, float] | None:
        """A node's last report of an app, and when it was received."""
        return self._reports.get((node, app))

    def nodes(self, app: str) -> list[str]:
        """Every node that has a seat in ``app``."""
        return [node for node, record in self._records.items() if app in record.seats]

    def members(self, app: str) -> list[Member]:
        """Every node that has a seat in ``app``."""
        return [self.member(r, app) for r in self._records.values() if app in r.seats]

    def member(self, record: NodeRecord, app: str) -> Member:
        """A node's record with what it last said about ``app``."""
        report, at = self._reports.get((record.node, app), (None, None))
        return Member(record, report, at, self._left.get(record.node))

    def drifted(self, app: str) -> dict[str, str]:
        """What is not as it was published, by the nodes that have told so."""
        return {node: told for (node, of), told in self._drifted.items() if of == app}

    def view(self, app: str, signal: Signal | None, now: float, silent_after: float) -> FleetView:
        """The app's nodes, held against what the signal asks of them."""
        return self._sight(app).view(partial(self.nodes, app), signal, now, silent_after)

    def all_heard_since(self, app: str, moment: float) -> bool:
        """Whether every node of the app has reported since."""
        heard = (self._reports.get((node, app)) for node in self.nodes(app))
        return all(known is not None and known[1] >= moment for known in heard)

    def _sight(self, app: str) -> Sight:
        sight = self._sights.get(app)
        if sight is None:

            def member(node: str) -> Member:
                return self.member(self._records[node], app)

            sight = self._sights[app] = Sight(app, member)
        return sight
