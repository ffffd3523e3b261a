"""The walk along the plan: what follows each time that the fleet and its metrics are looked at.

A step is ROLLING while the wave rises and nodes flip, then SOAKING while they are watched. A
green step leads to the next one at once (gate ``auto``), or the rollout is WAITING until a person
presses (``manual``) or the notice has passed (``assisted``). While something bars it (``barred``:
the schedule, the other lane), no step begins, and what has begun goes on to its end.
"""

from msgspec import structs

from headway.core import plan as plans
from headway.core import revert, wave
from headway.core.green import Findings, examine
from headway.core.plan import title
from headway.core.signalling import everywhere, signalled
from headway.model.journal import HEADWAY
from headway.model.plan import Gate, Step
from headway.model.rollout import Alert, Decision, FleetView, Observed, Phase, Rollout, RunSmoke
from headway.model.verdict import Outcome, Verdict


def go_on(state: Rollout, event: Observed, now: float) -> Decision:
    """Go as far as the observation allows; what the guard or the rules object to is heeded."""
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
        return pause(state, f"paused: {found.pause}", found.objections, now)
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
        return begin(state, upcoming, f"{title(step)} begins", now)
    why = f"{title(state.plan[state.step])} is green; {title(step)} waits for a person"
    if step.gate is Gate.ASSISTED:
        why = f"{title(step)} begins in {step.notice:.0f} s unless somebody pauses"
    return Decision(structs.replace(state, phase=Phase.WAITING, since=now, why=why), why=why)


def _bar(state: Rollout, step: Step, barred: str) -> Decision:
    why = f"{title(state.plan[state.step])} is green; {title(step)} does not begin: {barred}"
    return Decision(structs.replace(state, barred=barred, why=why), why=why)


def _waiting(state: Rollout, event: Observed, found: Findings, now: float) -> Decision:
    upcoming = plans.upcoming(state.plan, state.step, event.fleet)
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
    return begin(state, upcoming, f"{title(step)} begins, nobody objected", now)


def begin(state: Rollout, step: int, why: str, now: float) -> Decision:
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


def pause(state: Rollout, why: str, objections: tuple[str, ...], now: float) -> Decision:
    """Interrupt the walk; ``objections`` are what a person overrules by resuming it."""
    paused = structs.replace(
        state,
        phase=Phase.PAUSED,
        resume_to=state.phase,
        objections=objections,
        since=now,
        why=why,
    )
    return Decision(paused, why=why)


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


def _note_verdicts(state: Rollout, found: Findings) -> tuple[Rollout, tuple[Verdict, ...]]:
    """Keep the verdicts when an outcome is news, and tell which are; silence at first is not."""
    before = {verdict.metric: verdict.outcome for verdict in state.verdicts}
    news = tuple(v for v in found.verdicts if before.get(v.metric, Outcome.NO_DATA) != v.outcome)
    return (structs.replace(state, verdicts=found.verdicts) if news else state), news


def _told(news: tuple[Verdict, ...]) -> str:
    return "; ".join(verdict.sentence for verdict in news)
