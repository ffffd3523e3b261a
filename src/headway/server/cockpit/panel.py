"""The latest rollout as a panel: who pushes what, its steps, and what the guard says."""

from headway.core.plan import title
from headway.model.picture import RolloutPanel, StepLine, VerdictLine
from headway.model.plan import Gate, Step
from headway.model.rollout import LIVE, Phase, SmokeFinding
from headway.model.verdict import Outcome, Verdict
from headway.model.views import RolloutView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.lines import build_line
from headway.server.cockpit.words import duration

VERDICT_STATES = {
    Outcome.PASS: "done",
    Outcome.FAIL: "failed",
    Outcome.NO_DATA: "unknown",
    Outcome.ERROR: "unknown",
}


def panel(facts: Facts, view: RolloutView) -> RolloutPanel:
    """The panel of a rollout."""
    state = view.rollout
    return RolloutPanel(
        id=state.id,
        running=state.phase in LIVE,
        target=build_line(facts, state.target),
        base=build_line(facts, state.base) if state.base else None,
        by=state.by,
        begun=facts.begun,
        started_at=state.started_at,
        ended_at=state.ended_at,
        plan=state.plan_name,
        steps=_steps(view),
        verdicts=(*map(_verdict, state.verdicts), *map(_finding, state.findings)),
    )


def _steps(view: RolloutView) -> tuple[StepLine, ...]:
    state = view.rollout
    populated = {tier.tier for tier in view.tiers}
    lines = []
    for index, step in enumerate(state.plan):
        if index < state.step or state.phase is Phase.SUCCEEDED:
            place = "done"
        elif index > state.step:
            place = "later"
        else:
            forward = state.phase in (Phase.ROLLING, Phase.SOAKING, Phase.WAITING)
            place = "current" if forward else "stopped"
        note = "no nodes" if populated and step.tier not in populated else ""
        if place in ("current", "stopped"):
            note = state.phase.value
        lines.append(StepLine(title(step), place, _terms(step), note))
    return tuple(lines)


def _terms(step: Step) -> str:
    begins = {
        Gate.MANUAL: "begun by hand",
        Gate.ASSISTED: f"begins after {duration(step.notice)}",
        Gate.AUTO: "begins by itself",
    }
    return begins[step.gate] + (f", soaks {duration(step.soak)}" if step.soak else "")


def _finding(finding: SmokeFinding) -> VerdictLine:
    """What a check of the smoke test has found, and where it failed the last line of its output."""
    outcome = Outcome.PASS if finding.passed else Outcome.FAIL
    last = "" if finding.passed else (finding.output.strip().splitlines() or [""])[-1]
    sentence = f"{finding.sentence}: {last}" if last else finding.sentence
    return VerdictLine("smoke test", outcome.value, VERDICT_STATES[outcome], sentence)


def _verdict(verdict: Verdict) -> VerdictLine:
    state = VERDICT_STATES[verdict.outcome]
    return VerdictLine(verdict.metric, verdict.outcome.value, state, verdict.sentence)
