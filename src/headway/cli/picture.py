"""A rollout as a picture: its tiers as bars, where it stands, what was found, what comes next."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from headway.cli.screen import facts, line, said
from headway.cli.wording import ago, duration, short
from headway.core.words import in_phase
from headway.model.plan import Gate, Step
from headway.model.rollout import LIVE, NodeState, Phase, Rollout, SmokeFinding
from headway.model.verdict import Outcome, Verdict
from headway.model.views import RolloutView, TierView

BAR_CELLS = 24
OUTPUT_LINES = 5
"""So many lines of what a failed smoke check said are shown."""

PHASE_STYLES = {
    Phase.ROLLING: "bold cyan",
    Phase.SOAKING: "bold cyan",
    Phase.WAITING: "bold magenta",
    Phase.PAUSED: "bold yellow",
    Phase.REVERTING: "bold red",
    Phase.SUCCEEDED: "bold green",
    Phase.REVERTED: "bold red",
    Phase.ABORTED: "bold yellow",
    Phase.SUPERSEDED: "dim",
}
STATE_STYLES = {
    NodeState.DONE: "green",
    NodeState.MOVING: "cyan",
    NodeState.FAILED: "red",
    NodeState.UNKNOWN: "yellow",
    NodeState.HELD: "magenta",
}
OUTCOME_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.NO_DATA: "yellow",
    Outcome.ERROR: "yellow",
}
TROUBLED = (NodeState.MOVING, NodeState.FAILED, NodeState.UNKNOWN, NodeState.HELD)
GLYPHS = {
    NodeState.DONE: "█",
    NodeState.MOVING: "▒",
    NodeState.FAILED: "x",
    NodeState.UNKNOWN: "?",
    NodeState.HELD: "=",
}
"""Different shapes, so that the bar is read without colours too."""


def picture(view: RolloutView, now: float) -> Group:
    """All of a rollout at the moment ``now``, at most 80 columns wide."""
    rollout = view.rollout
    parts = [_title(rollout, now), _place(rollout, now), Text()]
    width = max((len(tier.tier) for tier in view.tiers), default=0)
    parts += [_tier(tier, rollout.target, width) for tier in view.tiers]
    parts += [Text()] if view.tiers else []
    parts += [_verdict(verdict) for verdict in rollout.verdicts]
    for finding in rollout.findings:
        parts += _finding(finding)
    return Group(*parts, facts(_sentences(view)))


def headline(view: RolloutView) -> str:
    """Where the rollout stands, as one line for a log."""
    rollout = view.rollout
    told = in_phase(rollout.phase, rollout.why)
    return f"{rollout.app} {short(rollout.target)}: {_step(rollout)}{told}"


def countdown(rollout: Rollout, now: float) -> str:
    """How long the present phase will still take by itself, if that is known."""
    step, following = _step_at(rollout, rollout.step), _step_at(rollout, rollout.step + 1)
    if rollout.phase is Phase.SOAKING and step:
        return f"{duration(rollout.since + step.soak - now)} of {duration(step.soak)} left"
    if rollout.phase is Phase.ROLLING and step:
        return f"{duration(rollout.step_since + step.deadline - now)} to the deadline"
    if rollout.phase is Phase.WAITING and following and following.gate is Gate.ASSISTED:
        return f"{duration(rollout.since + following.notice - now)} to the next step"
    return ""


def _title(rollout: Rollout, now: float) -> Text:
    build = line(said(rollout.app, "bold"), "  ", said(short(rollout.target), "bold"))
    before = f" in place of {short(rollout.base)}" if rollout.base else ", the first build"
    return line(build, before, said(f"  by {rollout.by}, {ago(rollout.started_at, now)}", "dim"))


def _place(rollout: Rollout, now: float) -> Text:
    left = countdown(rollout, now)
    phase = said(rollout.phase, PHASE_STYLES[rollout.phase])
    since = f" for {duration(now - rollout.since)}" if rollout.phase in LIVE else ""
    return line(_step(rollout), phase, since, f", {left}" if left else "")


def _step(rollout: Rollout) -> str:
    step = _step_at(rollout, rollout.step)
    if step is None or rollout.phase not in LIVE:
        return ""
    return f"step {rollout.step + 1} of {len(rollout.plan)}, {step.tier} {step.share:.0%}: "


def _step_at(rollout: Rollout, index: int) -> Step | None:
    return rollout.plan[index] if 0 <= index < len(rollout.plan) else None


def _tier(tier: TierView, target: str, width: int) -> Text:
    arrived = tier.builds.get(target, 0)
    states = {state: tier.states.get(state, 0) for state in TROUBLED}
    settled = max(0, min(arrived, tier.nodes - sum(states.values())))
    cells = share_cells([settled, *states.values()], tier.nodes, BAR_CELLS)
    bar = Text("  ")
    for state, length in zip((NodeState.DONE, *TROUBLED), cells, strict=True):
        bar.append(GLYPHS[state] * length, STATE_STYLES[state])
    bar.append("·" * (BAR_CELLS - sum(cells)), "dim")
    counts = [said(f"  {n} {state}", STATE_STYLES[state]) for state, n in states.items() if n]
    return line(f"  {tier.tier:<{width}}", bar, f"  {arrived}/{tier.nodes}", *counts)


def share_cells(counts: Sequence[int], total: int, width: int) -> list[int]:
    """How many of ``width`` cells each count gets: no more than its share, but never none.

    Where many small counts would together exceed the width, the largest gives way.
    """
    cells = [max(1, count * width // total) if count and total else 0 for count in counts]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    return cells


def _verdict(verdict: Verdict) -> Text:
    mark = said(f"  {verdict.outcome:<9}", OUTCOME_STYLES[verdict.outcome])
    return line(mark, verdict.sentence)


def _finding(finding: SmokeFinding) -> list[Text]:
    """What one check of the smoke test has found; of one that failed, the last that it said."""
    outcome = Outcome.PASS if finding.passed else Outcome.FAIL
    found = [line(said(f"  {outcome:<9}", OUTCOME_STYLES[outcome]), finding.sentence)]
    if not finding.passed:
        last = finding.output.rstrip().splitlines()[-OUTPUT_LINES:]
        found += [said(f"             {text}", "dim") for text in last]
    return found


def _sentences(view: RolloutView) -> list[tuple[str, str | Text]]:
    rollout = view.rollout
    rows: list[tuple[str, str | Text]] = [("why", rollout.why)]
    rows += [("blocked", said(blocker, "yellow")) for blocker in view.blockers]
    if view.next:
        because = "" if view.next_why == rollout.why else view.next_why
        rows += [("next", said(_command(view), "bold")), ("", because)]
    rows.append(("rollout", said(rollout.id, "dim")))
    return rows


def _command(view: RolloutView) -> str:
    app = view.rollout.app
    command = f"deploy {app} BUILD" if view.next == "deploy" else f"rollout {view.next} {app}"
    return f"headway {command}"
