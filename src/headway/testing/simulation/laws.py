"""What must hold in every world, checked where it could break: each check costs the same however
long the history and however large the fleet, but for those at the end of a step of a rollout.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from headway.core.transitions import TABLE
from headway.model.names import BuildId, share
from headway.model.plan import Action, Checks, Step
from headway.model.rollout import (
    LIVE,
    Decision,
    Event,
    Observed,
    Phase,
    Rollout,
    WriteSignal,
)
from headway.model.signal import NodeRecord, Signal
from headway.model.verdict import Outcome
from headway.testing.simulation.machine import Clock

if TYPE_CHECKING:
    from headway.testing.simulation.agent import Agent
    from headway.testing.simulation.database import Database
    from headway.testing.simulation.plane import Plane

APP = "web"


class Broken(Exception):
    """A law does not hold: its name, and what was seen in one sentence."""

    def __init__(self, law: str, sentence: str) -> None:
        super().__init__(f"{law}: {sentence}")
        self.law = law
        self.sentence = sentence


class Laws:
    """The truth of a world, as no part of it knows it, and what it must be."""

    def __init__(self, clock: Clock, silent_after: float) -> None:
        self.agents: dict[str, Agent] = {}
        self.builds: set[BuildId] = set()
        self.contested = False
        """Whether two control planes are, or were, at the same rollout: then only what the fence
        of epochs promises is promised."""
        self.met: Counter[str] = Counter()
        self._clock = clock
        self._silent_after = silent_after
        self._reached: dict[str, int] = {}
        self._signalled = 0
        self._rollout: Rollout | None = None
        self._began = 0
        self._held: set[str] = set()
        self._exempt: set[str] = set()
        self._going: dict[str, tuple[str, str]] = {}

    def note(self, what: str) -> None:
        """Count that something has been met, to show that a simulation gets around."""
        self.met[what] += 1

    # What agents do.

    def acts(self, node: str, epoch: int) -> None:
        """A node acts on a signal."""
        reached = self._reached.get(node, 0)
        if epoch < reached:
            raise Broken("epochs", f"{node} acts on epoch {epoch} after it has acted on {reached}")
        self._reached[node] = epoch

    def serves(self, node: str, tree: tuple[BuildId | None, ...]) -> None:
        """An app is started from a tree."""
        if len(set(tree)) != 1 or tree[0] not in self.builds:
            parts = ", ".join(part[:4] if part else "nothing" for part in tree)
            raise Broken("whole", f"{node} starts from a tree of {parts}")

    def departs(self, record: NodeRecord, build: BuildId, signal: Signal) -> None:
        """A node begins to move to ``build``."""
        current, seat = self._rollout, record.seats[APP]
        if build not in (signal.base, signal.target, signal.layer and signal.layer.build):
            raise Broken("asked", f"{record.node} moves to {build[:4]}, which nobody asked for")
        agent = self.agents[record.node]
        failed, heard = agent.state.failed, agent.signal or signal
        if failed is not None and failed.build == build and heard.attempt <= failed.attempt:
            raise Broken("retry", f"{record.node} tries {build[:4]} again, and nobody asked it to")
        if current is None or self.contested or record.node in self._exempt:
            return
        if current.base is None:
            return  # Before the first build nothing serves that a transition could take away.
        told = build == signal.target and seat.position < signal.fractions.get(seat.tier, 0.0)
        if not told or signal.rollout != current.id or current.turned != self._began:
            return
        self._going[record.node] = seat.tier, record.zone
        step = next(step for step in current.plan if step.tier == seat.tier)
        tier = [agent for agent in self.agents.values() if agent.tier == seat.tier]
        self._bounded(step, seat.tier, "", step.concurrency, len(tier))
        size = sum(agent.zone == record.zone for agent in tier)
        self._bounded(step, seat.tier, record.zone, step.zone_concurrency, size)

    def _bounded(self, step: Step, tier: str, zone: str, most: int | str, of: int) -> None:
        going = [
            node
            for node, (its_tier, its_zone) in self._going.items()
            if its_tier == tier and zone in ("", its_zone)
        ]
        allowed = max(1, share(most, of))
        if len(going) > allowed:
            where = f"{tier} in {zone}" if zone else tier
            raise Broken(
                "concurrency",
                f"{', '.join(sorted(going))} of {where} are in transition, {allowed} may be",
            )

    def arrives(self, node: str) -> None:
        """A node is in no transition any more."""
        self._going.pop(node, None)

    # What control planes do.

    def begins(self, state: Rollout) -> None:
        """A rollout has been started."""
        self.note("started")
        self._rollout, self._began = state, state.turned
        self._going.clear()
        self._exempt = {node for node, agent in self.agents.items() if agent.is_held} | self._held

    def holds(self, record: NodeRecord) -> None:
        """A person holds a node, or lets it go: the wave does not answer for it from now on."""
        (self._held.add if record.hold else self._held.discard)(record.node)
        self._exempt.add(record.node)
        self._going.pop(record.node, None)

    def signalled(self, signal: Signal) -> None:
        """A signal is in the store."""
        if signal.epoch <= self._signalled:
            raise Broken(
                "fence", f"epoch {signal.epoch} is in the store after {self._signalled} was"
            )
        self._signalled = signal.epoch
        # What was decided and never got here is heard of as a layer, or as the base, of the next.
        layered = signal.layer.build if signal.layer else None
        self.builds |= {build for build in (signal.base, signal.target, layered) if build}

    def decided(
        self, plane: "Plane", before: Rollout, event: Event, decision: Decision, now: float
    ) -> None:
        """A control plane has decided, and is about to write it down."""
        after = decision.state
        if not decision.why:
            raise Broken("why", f"{type(event).__name__} in {before.phase} led on without a word")
        if after.phase not in TABLE[before.phase][type(event)]:
            raise Broken(
                "table", f"{type(event).__name__} led from {before.phase} to {after.phase}"
            )
        if after.phase is not before.phase:
            self.note(f"{before.phase} → {after.phase}")
        for effect in decision.effects:
            if isinstance(effect, WriteSignal) and effect.signal.epoch <= before.epoch:
                raise Broken("epochs", f"epoch {before.epoch} is followed by {effect.signal.epoch}")
        self._within_the_step(before, after)
        moved = after.phase is not before.phase or after.fractions != before.fractions
        if before.phase is Phase.PAUSED and isinstance(event, Observed) and moved:
            raise Broken("pause", f"{before.id} went on by itself while it was paused")
        if isinstance(event, Observed) and _leaves(before, after):
            self._has_data(before, event)
        if not self.contested:
            self._rollout = after
            if _leaves(before, after):
                self._is_green(plane, before, now)
            if after.phase is Phase.REVERTED:
                self._all_are_back(plane, after)

    def recorded(self, database: "Database", state: Rollout, row: dict[str, Any]) -> None:
        """A decision is in the database."""
        told = database.told.setdefault(state.id, {})
        if not told:
            for earlier in database.journal[state.id]:
                told |= msgspec.json.decode(earlier)
        told |= row
        if msgspec.convert(told, Rollout) != state:
            raise Broken("journal", f"folding the journal of {state.id} does not give its row")

    @staticmethod
    def _within_the_step(before: Rollout, after: Rollout) -> None:
        if after.phase not in LIVE:
            return
        back = after.phase is Phase.REVERTING
        steps = after.plan[: after.step + 1]
        for tier, fraction in after.fractions.items():
            reached = max((step.share for step in steps if step.tier == tier), default=0.0)
            allowed = before.fractions.get(tier, 0.0) if back else reached
            if fraction > allowed:
                raise Broken("fraction", f"{tier} is at {fraction:.3g}, {allowed:.3g} is allowed")

    @staticmethod
    def _has_data(before: Rollout, event: Observed) -> None:
        if before.plan[before.step].checks is not Checks.REQUIRE:
            return
        if before.phase is not Phase.SOAKING:
            return
        for verdict in event.verdicts:
            waived = {f"metric:{verdict.metric}", f"data:{verdict.metric}"} & set(before.waived)
            alert = verdict.outcome is Outcome.FAIL and verdict.action is Action.ALERT
            if verdict.outcome is not Outcome.PASS and not waived and not alert:
                raise Broken("data", f"promoted although {verdict.metric} says {verdict.outcome}")

    def _is_green(self, plane: "Plane", before: Rollout, now: float) -> None:
        step, failed, covered = before.plan[before.step], 0, 0
        for record in plane.database.records.values():
            seat = record.seats[APP]
            if seat.tier != step.tier or seat.position >= step.share:
                continue
            covered += 1
            if record.hold is not None:
                continue
            agent, heard = self.agents[record.node], plane.heard(record.node)
            if heard is None or now - heard > self._silent_after:
                raise Broken("green", f"the step was left while {record.node} was unknown")
            if agent.state.failed is not None and agent.state.failed.build == before.target:
                failed += 1
            elif agent.running != before.target:
                raise Broken("green", f"the step was left before {record.node} ran the build")
        waived = [int(key.partition(":")[2]) for key in before.waived if key.startswith("nodes:")]
        if failed > max([share(step.max_failed, covered), *waived]):
            raise Broken("green", f"the step was left with {failed} failed nodes")

    def _all_are_back(self, plane: "Plane", state: Rollout) -> None:
        for record in plane.database.records.values():
            agent = self.agents[record.node]
            if record.hold is None and agent.running != state.base:
                raise Broken("back", f"reverted, and {record.node} does not run the base build")


def _leaves(before: Rollout, after: Rollout) -> bool:
    """Whether a step is left for the next one."""
    done = after.phase is Phase.SUCCEEDED and before.phase is not Phase.SUCCEEDED
    return after.step > before.step or done
