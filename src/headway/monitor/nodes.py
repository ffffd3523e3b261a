"""The nodes of an app, one a line, and all there is to know of one of them."""

from collections.abc import Sequence

from msgspec import Struct
from rich.text import Text

from headway.cli.screen import line, said
from headway.cli.wording import ago, short
from headway.core import drift
from headway.core.words import clean
from headway.model.picture import NodeMap, Places, meaning
from headway.model.rollout import NodeState
from headway.model.views import NodeStatus
from headway.monitor.look import STATES, fit, folded, rule
from headway.monitor.node_map import shape

_MEANING = meaning()


class NodeRow(Struct, frozen=True):
    """A node by its place on the map."""

    node: str
    tier: str
    letter: str

    @property
    def state(self) -> NodeState:
        """Its state."""
        return _MEANING[self.letter][0]


def rows_of(seen: NodeMap, places: Places) -> tuple[NodeRow, ...]:
    """Every node with its letter; nothing while names and letters are of different layouts."""
    if seen.layout != places.layout:
        return ()
    names = ((node, tier.tier) for tier in places.tiers for node in tier.nodes)
    pairs = zip(names, seen.letters, strict=True)
    return tuple(NodeRow(node, tier, letter) for (node, tier), letter in pairs)


def matching(rows: Sequence[NodeRow], text: str, state: NodeState | None) -> list[NodeRow]:
    """The nodes in a state whose name, tier, state or build's part has every word of the text."""
    words = text.lower().split()
    letters = {letter for letter, (of, _) in _MEANING.items() if state in (None, of)}
    found = [row for row in rows if row.letter in letters]
    if not words:
        return found
    return [row for row in found if all(word in _searched(row) for word in words)]


def _searched(row: NodeRow) -> str:
    state, role = _MEANING[row.letter]
    return f"{row.node} {row.tier} {state} {role}".lower()


def counts(letters: str) -> dict[NodeState, int]:
    """How many nodes are in each state."""
    found = dict.fromkeys(NodeState, 0)
    for letter, (state, _) in _MEANING.items():
        found[state] += letters.count(letter)
    return found


def worst_state(letters: str) -> NodeState | None:
    """The state that a person is looking for who opens the list; None where all is well."""
    found = counts(letters)
    urgent = (NodeState.FAILED, NodeState.UNKNOWN, NodeState.MOVING, NodeState.HELD)
    return next((state for state in urgent if found[state]), None)


def draw_row(row: NodeRow, width: int, *, chosen: bool) -> Text:
    """One node as one line."""
    state, role = _MEANING[row.letter]
    sign, style = shape(row.letter)
    drawn = line(
        said(f" {sign} ", style),
        fit(said(row.node, "bold" if chosen else ""), max(12, width - 36)),
        fit(said(f" {row.tier}"), 14),
        fit(said(f" {state}", STATES[state.value][1]), 9),
        said(f" {role}", "dim"),
    )
    drawn = fit(drawn, width)
    if chosen:
        drawn.stylize("reverse")
    return drawn


def details(status: NodeStatus, now: float, width: int, height: int) -> list[Text]:
    """A node in as many lines as there are; of its output the last, which say why it failed."""
    sign, style = STATES[status.state.value]
    title = line(said(f"{sign} {status.node}", "bold"), said(f" {status.state}", style))
    lines = [rule([title], width)]
    lines += folded(" why    ", said(status.why), width, 4)
    runs = f"{short(status.running)}, should run {short(status.goal)}"
    if status.pin:
        runs += f", pinned to {short(status.pin)}"
    lines += folded(" runs   ", said(runs), width, 2)
    where = f"{status.tier} at {status.position:.4g}, zone {status.zone}"
    lines += folded(" where  ", said(f"{where}, heard {ago(status.last_seen, now)}"), width, 2)
    if status.hold is not None:
        held = said(f"by {status.hold.by}: {status.hold.reason}", "magenta")
        lines += folded(" held   ", held, width, 2)
    if (report := status.report) is None:
        return [fit(one, width) for one in lines[:height]]
    lines += folded(" does   ", said(f"{report.activity}, epoch {report.epoch}"), width, 1)
    if report.error:
        lines += folded(" error  ", said(report.error, "red"), width, 3)
    for one in drift.present(report):
        lines += folded(" drift  ", said(drift.sentence(one, status.app), "red"), width, 3)
    output = [text for text in report.output.splitlines() if clean(text).strip()]
    room = max(0, height - len(lines) - 1)
    if output and room:
        lines.append(said(" the last it said:", "dim"))
        lines += [said(f"   {text}", "dim") for text in output[-room:]]
    return [fit(one, width) for one in lines[:height]]
