"""What an observation says about the current step: complete, green, or a reason to stop."""

from msgspec import Struct, structs

from headway.core import plan as plans
from headway.core import words
from headway.core.plan import title
from headway.core.wave import within
from headway.model.hold import Hold
from headway.model.names import share
from headway.model.plan import Action, Checks, Step
from headway.model.rollout import NodeState, NodeView, Observed, Phase, Rollout
from headway.model.verdict import Outcome, Verdict


class Findings(Struct, frozen=True):
    """The findings. Each text is one sentence, or empty where there is nothing to say.

    ``complete``: the wave has arrived, and every node of the step has attested, failed within
    the budget and serves again, or is held (those are ``exceptions``). ``green``: complete,
    soaked, and checked. ``waiting_for`` says what is missing. ``revert`` and ``pause`` are demands
    of the guard and of the rules, ``objections`` what a person overrules by resuming. ``held`` is a
    person's.
    """

    verdicts: tuple[Verdict, ...]
    complete: bool
    green: bool
    waiting_for: str
    exceptions: str
    revert: str
    pause: str
    objections: tuple[str, ...]
    held: str


class _Objection(Struct, frozen=True):
    key: str
    sentence: str


def examine(state: Rollout, observed: Observed, now: float) -> Findings:
    """Hold an observation against the current step of a rollout that walks its plan."""
    step = state.plan[state.step]
    nodes = within(observed.fleet.tiers.get(step.tier, ()), step.share)
    front = state.fractions.get(step.tier, 0.0)
    arrived = front >= step.share
    told = within(nodes, front)
    late = [n for n in nodes if n.away or n.state in (NodeState.MOVING, NodeState.UNKNOWN)]
    complete = arrived and not late
    verdicts = _counting(state, step, observed.verdicts)
    silent = _silent(state, step, verdicts)
    waiting_for = _waiting_for(state, step, late, arrived, silent, now)
    if not waiting_for and state.phase is Phase.SOAKING:
        waiting_for = _soaks(state, step, verdicts, now)
    demands = [
        *_failing(state, verdicts, Action.PAUSE if state.base else None),
        *_failed_nodes(state, step, told, len(nodes)),
        *_late_nodes(state, step, late, now),
        *_smoke(state, step),
        *_no_data(state, step, silent, verdicts, now),
    ]
    return Findings(
        verdicts=verdicts,
        complete=complete,
        green=complete and not waiting_for,
        waiting_for=waiting_for,
        exceptions=_describe([n for n in told if n.state in (NodeState.FAILED, NodeState.HELD)]),
        revert="; ".join(o.sentence for o in _failing(state, verdicts, Action.REVERT)),
        pause="; ".join(demand.sentence for demand in demands),
        objections=tuple(demand.key for demand in demands),
        held=_held(state, observed),
    )


def held_by(app: str, tiers: set[str], holds: tuple[Hold, ...]) -> str:
    """The sentence of the first hold on the app or on one of these tiers, or an empty string."""
    blocked = {app, *(f"{app}/{tier}" for tier in tiers)}
    for hold in holds:
        if hold.on in blocked:
            return words.held(hold)
    return ""


def _held(state: Rollout, observed: Observed) -> str:
    tiers = {state.plan[state.step].tier}
    upcoming = plans.following(state.plan, state.step, observed.fleet)
    if upcoming is not None and state.phase is not Phase.ROLLING:
        tiers.add(state.plan[upcoming].tier)
    return held_by(state.app, tiers, observed.holds)


_STRENGTH = (Action.ALERT, Action.PAUSE, Action.REVERT)


def _counting(state: Rollout, step: Step, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The verdicts that count in this step, with what follows from them in a step of its gate."""
    if step.checks is Checks.NONE:
        return ()
    allowed: Action = getattr(state.at_most, step.gate)
    most = _STRENGTH.index(allowed)
    return tuple(
        structs.replace(verdict, action=_STRENGTH[min(most, _STRENGTH.index(verdict.action))])
        for verdict in verdicts
        if step.metrics is None or verdict.metric in step.metrics
    )


def _failing(
    state: Rollout, verdicts: tuple[Verdict, ...], action: Action | None
) -> list[_Objection]:
    """Failing metrics that ask for ``action``; None: for anything stronger than an alert."""
    return [
        _Objection(f"metric:{verdict.metric}", verdict.sentence)
        for verdict in verdicts
        if verdict.outcome is Outcome.FAIL
        and (verdict.action is action or (action is None and verdict.action is not Action.ALERT))
        and f"metric:{verdict.metric}" not in state.waived
    ]


def _failed_nodes(state: Rollout, step: Step, told: list[NodeView], size: int) -> list[_Objection]:
    tried = state.retry.get(step.tier, 1.0)
    failed = [n for n in told if n.state is NodeState.FAILED and n.position < tried]
    waived = [int(key.partition(":")[2]) for key in state.waived if key.startswith("nodes:")]
    tolerated = max([share(step.max_failed, size), *waived])
    if len(failed) <= tolerated:
        return []
    sentence = f"{len(failed)} of {words.count(size, 'node')} of {title(step)} failed: "
    return [_Objection(f"nodes:{len(failed)}", sentence + _describe(failed))]


def _late_nodes(state: Rollout, step: Step, late: list[NodeView], now: float) -> list[_Objection]:
    overdue = state.phase is Phase.ROLLING and now > state.step_since + step.deadline
    if not overdue or not late or "deadline" in state.waived:
        return []
    sentence = f"{title(step)} takes longer than {step.deadline:.0f} s: {_describe(late)}"
    return [_Objection("deadline", sentence)]


def _smoke(state: Rollout, step: Step) -> list[_Objection]:
    if not step.smoke or state.smoke is not False or "smoke" in state.waived:
        return []
    failed = [finding.sentence for finding in state.findings if not finding.passed]
    why = failed[0] if failed else state.why
    return [_Objection("smoke", f"the smoke test of {step.tier} failed: {why}")]


def _silent(state: Rollout, step: Step, verdicts: tuple[Verdict, ...]) -> list[str]:
    """The metrics without which the step is not green, and which say nothing."""
    if step.checks is not Checks.REQUIRE:
        return []
    spoken = {v.metric for v in verdicts if v.outcome in (Outcome.PASS, Outcome.FAIL)}
    required = [
        metric
        for metric in state.metrics
        if metric not in spoken and (step.metrics is None or metric in step.metrics)
    ]
    return [metric for metric in required if f"data:{metric}" not in state.waived]


def _no_data(
    state: Rollout, step: Step, silent: list[str], verdicts: tuple[Verdict, ...], now: float
) -> list[_Objection]:
    if state.phase is not Phase.SOAKING or now < state.since + step.soak + step.patience:
        return []
    said = {verdict.metric: f" ({verdict.sentence})" for verdict in verdicts}
    return [
        _Objection(
            f"data:{metric}", f"no data on {metric}, so it cannot be judged{said.get(metric, '')}"
        )
        for metric in silent
    ]


def _soaks(state: Rollout, step: Step, verdicts: tuple[Verdict, ...], now: float) -> str:
    """How long the step is still watched: the whole soak, or less where that is conclusive."""
    soaked = now - state.since
    if soaked >= step.soak:
        return ""
    wanted = [verdict for verdict in verdicts if verdict.metric in state.metrics]
    conclusive = wanted and all(verdict.outcome is Outcome.PASS for verdict in wanted)
    if step.earliest is not None and soaked >= step.earliest and conclusive:
        return ""
    return f"soaking until {step.soak:.0f} s have passed"


def _waiting_for(
    state: Rollout, step: Step, late: list[NodeView], arrived: bool, silent: list[str], now: float
) -> str:
    if late:
        return f"waiting for {_describe(late)}"
    if not arrived:
        return "waiting for the wave to rise"
    if step.smoke and state.smoke is None:
        return f"waiting for the smoke test of {step.tier}"
    if state.phase is Phase.SOAKING and (missing := step.sign_off - len(state.signed_off)) > 0:
        return f"waiting for {words.count(missing, 'sign-off')} of {step.tier}"
    if state.phase is Phase.SOAKING and silent and now >= state.since + step.soak:
        return f"waiting for data on {', '.join(silent)}"
    return ""


def _describe(nodes: list[NodeView]) -> str:
    """The first few nodes with their reasons, and how many more."""
    shown = ", ".join(f"{node.node} ({node.why or node.state})" for node in nodes[:3])
    return shown if len(nodes) <= 3 else f"{shown} and {len(nodes) - 3} more"
