"""The answer to "why is nothing deploying?": everything that stands in the way, the worst first."""

from msgspec import Struct

from headway.core import words
from headway.core.next_step import next_action
from headway.core.revert import names
from headway.model.hold import Hold
from headway.model.names import BuildId, Name
from headway.model.release import Release
from headway.model.rollout import LIVE, FleetView, NodeState, Rollout
from headway.model.schedule import Shift


class Facts(Struct, frozen=True):
    """What is known; each text is a sentence, or empty where there is nothing to say.

    ``lead``: why this control plane does not act. ``trouble``: what has not reached the signal
    store. ``barred``: the schedule's refusal, or the other lane's. ``unpushed``: what the
    repository has not taken. ``gate``: what the gate objected to when the queue was last looked at,
    ``gate_age`` seconds ago. ``queue``: what else people wait for, from the train.
    """

    app: Name
    now: float
    rollout: Rollout | None
    fleet: FleetView
    holds: tuple[Hold, ...] = ()
    live: BuildId | None = None
    lead: str = ""
    trouble: str = ""
    barred: str = ""
    release: Release | None = None
    unpushed: str = ""
    gate: tuple[str, ...] = ()
    gate_age: float = 0.0
    shift: Shift = Shift()
    bot: bool = False
    queue: tuple[str, ...] = ()


def why(facts: Facts) -> tuple[str, ...]:
    """Why nothing is deploying, or what it waits for, a sentence each: never empty."""
    found = [facts.lead, facts.trouble, *_rollout(facts)]
    mine = [h for h in facts.holds if h.on == facts.app or h.on.startswith(f"{facts.app}/")]
    found += [words.held(hold) for hold in mine]
    found += [facts.barred, *facts.queue, *_release(facts), *_nodes(facts)]
    if facts.bot:
        found.append("Headway itself begins rollouts at this time, one in each slot")
    elif facts.shift.person:
        found.append(f"{facts.shift.person} is on shift")
    return tuple(dict.fromkeys(text for text in found if text))


def _rollout(facts: Facts) -> tuple[str, ...]:
    state = facts.rollout
    if state is None:
        return (f"{facts.app} was never deployed; `headway deploy` starts a first rollout",)
    if state.phase not in LIVE:
        return (f"nothing is rolling out; {state.id} {words.ended(state.phase)}: {state.why}",)
    _, sentence, blockers = next_action(
        state, facts.fleet, facts.holds, state.verdicts, facts.now, facts.barred
    )
    return (f"{state.id} is {words.in_phase(state.phase, sentence or state.why)}", *blockers)


def _release(facts: Facts) -> tuple[str, ...]:
    state = facts.release
    rolling = facts.rollout is not None and facts.rollout.phase in LIVE
    found = [facts.unpushed]
    if state is not None and state.build != facts.live and not rolling:
        if state.build is None:
            found.append(
                f"{state.id} waits for its build; `headway release build {state.id}` makes it"
            )
        else:
            found.append(
                f"{state.id} is built and not deployed; `headway deploy {facts.app} {state.id}`"
            )
    if facts.gate:
        more = f", and {len(facts.gate) - 3} more" if len(facts.gate) > 3 else ""
        found.append(
            f"the gate is closed for {'; '.join(facts.gate[:3])}{more} "
            f"(seen {facts.gate_age / 60:.0f} min ago; `headway release queue` looks again)"
        )
    return tuple(found)


def _nodes(facts: Facts) -> tuple[str, ...]:
    if not facts.fleet.tiers:
        return (f"no node is enrolled for {facts.app}",)
    everyone = [node for nodes in facts.fleet.tiers.values() for node in nodes]
    silent = [node.node for node in everyone if node.state is NodeState.UNKNOWN]
    if not silent:
        return ()
    verb = "is" if len(silent) == 1 else "are"
    return (f"{names(silent)} {verb} silent, and no step is green without them",)
