"""The rollout's state machine: everything that decides how a release goes forward, or back.

A rollout walks its plan step by step, by what the fleet reports (``headway.core.walk``).
Two things interrupt that walk. PAUSED is sticky: whoever or whatever paused, only a person
resumes, reverts or aborts. REVERTING lowers every fraction to 0 and ends when each enrolled
node has attested the base build; the app is then held until a person lifts the hold.

Which event may lead from where to where is a table (``headway.core.transitions``), and ``decide``
never leaves it. A request that is not allowed raises ``Refused`` with the reason, and changes
nothing. What the machine objects to, a person may overrule by resuming: the objection is then
waived for that step. Nothing waives an unknown node: a step is green only when every node has
spoken.
"""

from msgspec import structs

from headway.core import overtaken, revert, walk, words
from headway.core import plan as plans
from headway.core.green import examine, held_by
from headway.core.plan import title
from headway.core.signalling import everywhere, left_behind, signalled
from headway.core.transitions import TABLE, not_allowed
from headway.errors import NotFound, Refused
from headway.model.hold import Hold
from headway.model.names import BuildId
from headway.model.plan import AppConfig, Importance
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
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
    SignOff,
    SmokeTested,
    Supersede,
)


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
    """What ``event`` leads to at time ``now``. Raises Refused; never leaves the table."""
    if isinstance(event, Observed):
        return _observe(state, event, now)
    if isinstance(event, SmokeTested):
        return _smoke_tested(state, event)
    if type(event) not in TABLE[state.phase]:
        raise Refused(not_allowed(state, event))
    match event:
        case Advance():
            return _advance(state, event, now)
        case SignOff():
            return _sign_off(state, event)
        case Pause():
            return _pause(state, event, now)
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
    return walk.go_on(state, event, now)


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
    upcoming = plans.upcoming(state.plan, state.step, event.fleet)
    return walk.begin(state, upcoming, f"{event.by} begins {title(state.plan[upcoming])}", now)


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


def _pause(state: Rollout, event: Pause, now: float) -> Decision:
    if state.phase is Phase.PAUSED:
        return Decision(state, why=f"already {words.in_phase(state.phase, state.why)}")
    return walk.pause(state, f"paused by {event.by}: {event.reason}", (), now)


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


def _leave(state: Rollout, event: Abort | Supersede, now: float) -> Decision:
    if isinstance(event, Abort):
        phase, why = Phase.ABORTED, f"{event.by} aborts: {event.reason}"
    else:
        phase, why = Phase.SUPERSEDED, f"{event.by} puts {event.successor} in its place"
    ended = structs.replace(state, phase=phase, since=now, ended_at=now, objections=())
    return signalled(ended, event.by, why, now)
