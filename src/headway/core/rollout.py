"""The rollout's state machine: everything that decides how a release goes forward, or back.

A rollout walks its plan step by step. Within a step it is ROLLING while the wave rises and
nodes flip, then SOAKING while they are watched. A green step leads to the next one at once
(gate ``auto``), or the rollout is WAITING until a person presses (``manual``) or the notice
has passed (``assisted``). While something bars it (``barred``: the schedule, the other lane), no
step begins, and what has begun goes on to its end.

What stands in the signal store is a fact that no phase is closed to: a signal from elsewhere
(``Overtaken``), or an older copy (``Behind``); ``headway.core.overtaken`` says what follows.

Two things interrupt that walk. PAUSED is sticky: whoever or whatever paused, only a person
resumes, reverts or aborts. REVERTING lowers every fraction to 0 and ends when each enrolled
node has attested the base build; the app is then held until a person lifts the hold.

``TABLE`` lists which event may lead from where to where; ``decide`` never leaves it. A request
that is not allowed raises ``Refused`` with the reason, and changes nothing. What the machine
objects to, a person may overrule by resuming: the objection is then waived for that step.
Nothing waives an unknown node: a step is green only when every node has spoken.
"""

from collections.abc import Mapping

from msgspec import structs

from headway.core import overtaken, revert, wave, words
from headway.core import plan as plans
from headway.core.green import Findings, examine, held_by
from headway.core.plan import title
from headway.core.signalling import everywhere, left_behind, signalled
from headway.errors import NotFound, Refused
from headway.model.hold import Hold
from headway.model.names import BuildId
from headway.model.plan import AppConfig, Gate, Importance, Step
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
    Alert,
    Behind,
    Decision,
    Event,
    FleetView,
    Observed,
    Overtaken,
    Pause,
    Phase,
    Resume,
    Retry,
    Revert,
    Rollout,
    RunSmoke,
    SignOff,
    SmokeTested,
    Supersede,
)
from headway.model.verdict import Outcome, Verdict

HEADWAY = "headway"
"""The actor of what the machine decides by itself."""

_P = Phase
_ONWARD = frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING, _P.SUCCEEDED, _P.PAUSED, _P.REVERTING})
_STOPS: dict[type[Event], frozenset[Phase]] = {
    Pause: frozenset({_P.PAUSED}),
    Revert: frozenset({_P.REVERTING}),
    Abort: frozenset({_P.ABORTED}),
    Supersede: frozenset({_P.SUPERSEDED}),
}
_SMOKE: dict[type[Event], frozenset[Phase]] = {
    SmokeTested: frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING, _P.PAUSED})
}

_WALK: Mapping[Phase, Mapping[type[Event], frozenset[Phase]]] = {
    _P.ROLLING: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.ROLLING, _P.SOAKING, _P.PAUSED, _P.REVERTING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.SOAKING: _STOPS
    | _SMOKE
    | {
        Observed: _ONWARD,
        SignOff: frozenset({_P.SOAKING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.WAITING: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.ROLLING, _P.WAITING, _P.PAUSED, _P.REVERTING}),
        Advance: frozenset({_P.ROLLING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.PAUSED: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.PAUSED}),
        Resume: frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING}),
        Retry: frozenset({_P.PAUSED, _P.ROLLING}),
    },
    _P.REVERTING: {
        Observed: frozenset({_P.REVERTING, _P.REVERTED}),
        Revert: frozenset({_P.REVERTING}),
        Retry: frozenset({_P.REVERTING}),
        Abort: frozenset({_P.ABORTED}),
    },
    _P.SUCCEEDED: {Revert: frozenset({_P.REVERTING})},
    _P.REVERTED: {},
    _P.ABORTED: {Revert: frozenset({_P.REVERTING})},
    _P.SUPERSEDED: {},
}


def _facts(phase: Phase) -> dict[type[Event], frozenset[Phase]]:
    """Where what stands in the signal store leads to; only what was superseded is spared."""
    if phase is _P.SUPERSEDED:
        return {}
    stays = _P.PAUSED if phase in LIVE - {_P.REVERTING} else phase
    return {Overtaken: frozenset({_P.REVERTING, stays}), Behind: frozenset({phase})}


TABLE: Mapping[Phase, Mapping[type[Event], frozenset[Phase]]] = {
    phase: {**events, **_facts(phase)} for phase, events in _WALK.items()
}
"""phase → event → the phases it may lead to. The documentation's diagram is made from it."""


def start(
    *,
    id: str,
    app: AppConfig,
    plan_name: str,
    base: BuildId | None,
    target: BuildId,
    by: str,
    reason: str,
    epoch: int,
    fleet: FleetView,
    holds: tuple[Hold, ...],
    now: float,
    predecessor: Rollout | None = None,
    barred: str = "",
    release: str = "",
    hotfix: bool = False,
) -> Decision:
    """Begin a rollout. ``epoch`` is the highest that the app has used so far.

    ``predecessor`` is a rollout that ended unfinished (aborted or superseded): its nodes keep
    its build until a step reaches them. ``barred`` is why nothing may begin now, or empty. Raises
    Refused, and NotFound for a plan that is none.
    """
    plan = app.plans.get(plan_name)
    if plan is None:
        raise NotFound(f'{app.name} has no plan "{plan_name}"; it has {", ".join(app.plans)}')
    plans.check(plan_name, plan)
    plans.covers(plan, fleet)
    layer = left_behind(predecessor)
    if target == base and layer is None:
        raise Refused(f"{target[:12]} is live already")
    first = plans.following(plan, -1, fleet)
    if first is None:
        raise Refused("no step of the plan reaches a node")
    if held := held_by(app.name, {plan[first].tier}, holds):
        raise Refused(held)
    if barred:
        raise Refused(f"{app.name} does not begin: {barred}")
    how = " as a hotfix" if hotfix else ""
    why = f"{by} deploys {target[:12]}{how}" + (f": {reason}" if reason else "")
    state = Rollout(
        id=id,
        app=app.name,
        base=base,
        target=target,
        plan=plan,
        by=by,
        started_at=now,
        phase=Phase.ROLLING,
        step=first,
        since=now,
        step_since=now,
        epoch=epoch,
        attempt=epoch + 1,
        fractions={},
        why=why,
        plan_name=plan_name,
        revert_concurrency=app.revert_concurrency,
        turned=epoch + 1,
        layer=layer,
        retry={step.tier: 1.0 for step in plan},
        metrics=tuple(m.name for m in app.metrics if m.importance is not Importance.WATCH),
        at_most=app.guard.at_most_in,
        release=release,
        hotfix=hotfix,
    )
    return signalled(state, by, why, now)


def decide(state: Rollout, event: Event, now: float) -> Decision:
    """What ``event`` leads to at time ``now``. Raises Refused; never leaves ``TABLE``."""
    if isinstance(event, Observed):
        return _observe(state, event, now)
    if isinstance(event, SmokeTested):
        return _smoke_tested(state, event)
    if type(event) not in TABLE[state.phase]:
        raise Refused(_not_allowed(state, event))
    match event:
        case Advance():
            return _advance(state, event, now)
        case SignOff():
            return _sign_off(state, event)
        case Pause():
            return _pause(state, f"paused by {event.by}: {event.reason}", (), now)
        case Resume():
            return _resume(state, event, now)
        case Revert():
            return revert.begin(state, event.by, event.reason, now)
        case Abort() | Supersede():
            return _leave(state, event, now)
        case Retry():
            return _retry(state, event, now)
        case Overtaken():
            return overtaken.take_over(state, event, now)
        case Behind():
            return overtaken.say_again(state, event, now)


def _observe(state: Rollout, event: Observed, now: float) -> Decision:
    if state.phase is Phase.REVERTING:
        return revert.go_on(state, event.fleet, now)
    if state.phase not in LIVE:
        return Decision(state, why=state.why)
    if now < state.since:
        # The clock of the process before this one was ahead; nobody waits for it to come true.
        state = structs.replace(state, since=now, step_since=min(state.step_since, now))
    found = examine(state, event, now)
    state, news = _note_verdicts(state, found)
    alerts = tuple(Alert(v.sentence, v.metric) for v in news if v.outcome is Outcome.FAIL)
    if state.phase is Phase.PAUSED:
        return Decision(state, alerts, _told(news) or state.why)
    if found.revert and state.base is not None:
        return revert.begin(state, HEADWAY, found.revert, now)
    if found.pause:
        return _pause(state, f"paused: {found.pause}", found.objections, now)
    if found.held:
        return Decision(state, alerts, _told(news) or found.held)
    match state.phase:
        case Phase.ROLLING:
            decision = _rolling(state, event.fleet, found, now)
        case Phase.SOAKING:
            decision = _soaking(state, event, found, now)
        case _:
            decision = _waiting(state, event, found, now)
    if news and decision.state == state:
        return Decision(state, alerts, _told(news))
    return structs.replace(decision, effects=(*alerts, *decision.effects))


def _rolling(state: Rollout, fleet: FleetView, found: Findings, now: float) -> Decision:
    step = state.plan[state.step]
    nodes = fleet.tiers.get(step.tier, ())
    front = state.fractions.get(step.tier, 0.0)
    bound = wave.limits(nodes, step.concurrency, step.zone_concurrency)
    risen = wave.rise(nodes, front, step.share, bound, state.target)
    if risen > front:
        why = f"{title(step)}: the wave rises to {plans.percent(risen)}"
        fractions = {**state.fractions, step.tier: risen}
        return signalled(structs.replace(state, fractions=fractions), HEADWAY, why, now)
    retried = state.retry.get(step.tier, front)
    again = wave.retry(nodes, retried, front, bound)
    if again > retried:
        why = f"{title(step)}: failed nodes up to {plans.percent(again)} try again"
        return signalled(
            structs.replace(state, retry={**state.retry, step.tier: again}), HEADWAY, why, now
        )
    if not found.complete:
        return Decision(state, why=found.waiting_for)
    count = len(wave.within(nodes, step.share))
    everyone = f"all {count} nodes have" if count > 1 else "its node has"
    why = f"{title(step)}: {everyone} attested {state.target[:12]}"
    if found.exceptions:
        why = f"{title(step)}: complete but for {found.exceptions}"
    soaking = structs.replace(state, phase=Phase.SOAKING, since=now, why=why)
    smoke = (RunSmoke(state.id, state.step),) if step.smoke and state.smoke is None else ()
    return Decision(soaking, smoke, why)


def _soaking(state: Rollout, event: Observed, found: Findings, now: float) -> Decision:
    if not found.green:
        return Decision(state, why=found.waiting_for)
    upcoming = plans.following(state.plan, state.step, event.fleet)
    if upcoming is None:
        return _succeed(state, event.fleet, now)
    step = state.plan[upcoming]
    if event.barred:
        waiting = structs.replace(state, phase=Phase.WAITING, since=now)
        return _bar(waiting, step, event.barred)
    if step.gate is Gate.AUTO:
        return _begin(state, upcoming, f"{title(step)} begins", now)
    why = f"{title(state.plan[state.step])} is green; {title(step)} waits for a person"
    if step.gate is Gate.ASSISTED:
        why = f"{title(step)} begins in {step.notice:.0f} s unless somebody pauses"
    return Decision(structs.replace(state, phase=Phase.WAITING, since=now, why=why), why=why)


def _bar(state: Rollout, step: Step, barred: str) -> Decision:
    why = f"{title(state.plan[state.step])} is green; {title(step)} does not begin: {barred}"
    return Decision(structs.replace(state, barred=barred, why=why), why=why)


def _waiting(state: Rollout, event: Observed, found: Findings, now: float) -> Decision:
    upcoming = plans.following(state.plan, state.step, event.fleet)
    if upcoming is None:
        upcoming = len(state.plan) - 1
    step = state.plan[upcoming]
    if event.barred:
        return _bar(state, step, event.barred)
    if state.barred:
        # The notice begins anew: nobody was there to object while nothing could begin.
        why = f"{title(step)} may begin: nothing bars it any more"
        return Decision(structs.replace(state, barred="", since=now, why=why), why=why)
    if step.gate is Gate.MANUAL or not found.complete:
        return Decision(state, why=found.waiting_for or state.why)
    if step.gate is Gate.ASSISTED and now < state.since + step.notice:
        return Decision(state, why=state.why)
    return _begin(state, upcoming, f"{title(step)} begins, nobody objected", now)


def _advance(state: Rollout, event: Advance, now: float) -> Decision:
    found = examine(state, Observed(event.fleet, state.verdicts, event.holds), now)
    if found.held:
        raise Refused(found.held)
    if event.barred:
        raise Refused(f"the next step does not begin: {event.barred}")
    if not found.complete:
        raise Refused(f"not green any more: {found.waiting_for}")
    if found.revert or found.pause:
        raise Refused(f"not green any more: {found.revert or found.pause}")
    upcoming = plans.following(state.plan, state.step, event.fleet)
    if upcoming is None:
        upcoming = len(state.plan) - 1
    return _begin(state, upcoming, f"{event.by} begins {title(state.plan[upcoming])}", now)


def _begin(state: Rollout, step: int, why: str, now: float) -> Decision:
    """Enter a step. The first front of its wave is found at the next observation."""
    begun = structs.replace(
        state,
        phase=Phase.ROLLING,
        step=step,
        since=now,
        step_since=now,
        smoke=None,
        waived=(),
        objections=(),
        resume_to=None,
        signed_off=(),
        findings=(),
        barred="",
        why=why,
    )
    return Decision(begun, why=why)


def _sign_off(state: Rollout, event: SignOff) -> Decision:
    step = state.plan[state.step]
    if event.by in state.signed_off:
        return Decision(state, why=f"{event.by} has signed {title(step)} off already")
    everyone = (*state.signed_off, event.by)
    why = f"{event.by} signs {title(step)} off" + (f": {event.reason}" if event.reason else "")
    return Decision(structs.replace(state, signed_off=everyone, why=why), why=why)


def _smoke_tested(state: Rollout, event: SmokeTested) -> Decision:
    """Note the result; what follows from it is decided at the next observation."""
    if SmokeTested not in TABLE[state.phase] or event.step != state.step:
        return Decision(state, why="the smoke test of a step that is over")
    tested = structs.replace(state, smoke=event.passed, findings=event.findings, why=event.sentence)
    return Decision(tested, why=event.sentence)


def _pause(state: Rollout, why: str, objections: tuple[str, ...], now: float) -> Decision:
    if state.phase is Phase.PAUSED:
        return Decision(state, why=f"already {words.in_phase(state.phase, state.why)}")
    paused = structs.replace(
        state,
        phase=Phase.PAUSED,
        resume_to=state.phase,
        objections=objections,
        since=now,
        why=why,
    )
    return Decision(paused, why=why)


def _resume(state: Rollout, event: Resume, now: float) -> Decision:
    why = f"resumed by {event.by}" + (f": {event.reason}" if event.reason else "")
    if state.objections:
        why += f" (overrules {', '.join(state.objections)})"
    resumed = structs.replace(
        state,
        phase=state.resume_to or Phase.ROLLING,
        resume_to=None,
        objections=(),
        waived=tuple(dict.fromkeys((*state.waived, *state.objections))),
        smoke=True if "smoke" in state.objections else state.smoke,
        since=now,
        step_since=state.step_since + now - state.since,
        why=why,
    )
    return Decision(resumed, why=why)


def _retry(state: Rollout, event: Retry, now: float) -> Decision:
    """Let failed nodes try again, in turn. A pause for nothing but them, or lateness, is over."""
    why = f"{event.by} asks the failed nodes to try again" + (
        f": {event.reason}" * bool(event.reason)
    )
    about_nodes = [key for key in state.objections if key.startswith(("nodes:", "deadline"))]
    goes_on = bool(state.objections) and len(about_nodes) == len(state.objections)
    changes: dict[str, object] = {}
    if goes_on or state.phase in (Phase.SOAKING, Phase.WAITING):
        changes = {"phase": Phase.ROLLING, "since": now, "objections": (), "resume_to": None}
    elif state.phase is Phase.PAUSED:
        # Whoever asks twice need not read twice what the rollout still stands for.
        reason = state.why.rpartition("; still ")[2]
        why += f"; still {words.in_phase(state.phase, reason)}"
        # Their turn comes with the wave, also where the step was complete when it was paused.
        changes = {"resume_to": Phase.ROLLING}
    ahead = {step.tier: 1.0 for step in state.plan[state.step :]}
    in_turn = ahead | {state.plan[state.step].tier: 0.0}
    again = structs.replace(
        state,
        step_since=now,
        attempt=state.epoch + 1,
        retry=everywhere(state) if state.phase is Phase.REVERTING else in_turn,
        **changes,
    )
    return signalled(again, event.by, why, now)


def _succeed(state: Rollout, fleet: FleetView, now: float) -> Decision:
    everyone = [node for nodes in fleet.tiers.values() for node in nodes]
    others = [node.node for node in everyone if node.running != state.target]
    why = f"{state.target[:12]} is live on every node"
    if others:
        why = f"{state.target[:12]} is live, but not on {revert.names(others)}"
    done = structs.replace(
        state,
        phase=Phase.SUCCEEDED,
        fractions=everywhere(state),
        layer=None,
        since=now,
        ended_at=now,
    )
    return signalled(done, HEADWAY, why, now)


def _leave(state: Rollout, event: Abort | Supersede, now: float) -> Decision:
    if isinstance(event, Abort):
        phase, why = Phase.ABORTED, f"{event.by} aborts: {event.reason}"
    else:
        phase, why = Phase.SUPERSEDED, f"{event.by} puts {event.successor} in its place"
    ended = structs.replace(state, phase=phase, since=now, ended_at=now, objections=())
    return signalled(ended, event.by, why, now)


def _note_verdicts(state: Rollout, found: Findings) -> tuple[Rollout, tuple[Verdict, ...]]:
    """Keep the verdicts when an outcome is news, and tell which are; silence at first is not."""
    before = {verdict.metric: verdict.outcome for verdict in state.verdicts}
    news = tuple(v for v in found.verdicts if before.get(v.metric, Outcome.NO_DATA) != v.outcome)
    return (structs.replace(state, verdicts=found.verdicts) if news else state), news


def _told(news: tuple[Verdict, ...]) -> str:
    return "; ".join(verdict.sentence for verdict in news)


def _not_allowed(state: Rollout, event: Event) -> str:
    asked = type(event).__struct_config__.tag
    step = title(state.plan[state.step])
    match state.phase:
        case Phase.PAUSED:
            told = words.in_phase(state.phase, state.why)
            return f"cannot {asked}: the rollout is {told}; resume it first"
        case Phase.ROLLING | Phase.SOAKING:
            return f"cannot {asked}: {step} is still {state.phase}"
        case Phase.WAITING:
            return f"cannot {asked}: the rollout is not paused, it waits after {step}"
        case Phase.REVERTING:
            return f"cannot {asked}: the rollout is going back to its base build"
        case _:
            return f"cannot {asked}: the rollout has ended ({state.phase}): {state.why}"
