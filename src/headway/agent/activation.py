"""From one build to another: drain, switch, restart, verify, undrain; and back when that fails.

    drain ─► switch ─► restart and verify each instance ─► undrain       the build runs
      │                   └─► switch back ─► restart and verify those ─► undrain
      └─► undrain                                          it failed here, and is remembered

Before the first step and before the way back the intention is written down, so that an agent
that is killed anywhere finds at its next start which of the two ways to finish. The instances of an
app that has several are drained and undrained one by one, each around its own restart.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import structs

from headway.agent.config import AppSettings
from headway.agent.lifecycle import Hooks
from headway.agent.log import log
from headway.agent.rolling import Rolling
from headway.agent.slots import Slots
from headway.agent.state import Activation, Memory, Slot
from headway.agent.switch import switch
from headway.errors import HookFailed
from headway.model.build import Failure
from headway.model.names import BuildId
from headway.model.report import Activity


class Activator:
    """Moves one app on this node from build to build.

    ``show`` is told each activity as it begins.
    """

    def __init__(
        self,
        *,
        app: AppSettings,
        node: str,
        memory: Memory,
        slots: Slots,
        hooks: Hooks,
        show: Callable[[Activity], None],
    ) -> None:
        self._app = app
        self._node = node
        self._memory = memory
        self._slots = slots
        self._hooks = hooks
        self._rolling = Rolling(app, hooks)
        self._show = show

    def recover(self) -> None:
        """Finish or undo what an agent before this one left, and put the app into traffic."""
        if killed := self._hooks.bury():
            log.warning("killed what a hook had left", extra={"processes": killed} | self._tag)
        activation = self._memory.state.activation
        if activation is not None:
            log.warning(
                "finishing what was interrupted",
                extra={"build": activation.build, "returning": activation.returning} | self._tag,
            )
            # All but the one that was being restarted can serve; it goes on from there.
            others = set(self._rolling.names) - set(activation.begun[-1:])
            self._rolling.release(others, self._environment(activation.slot))
            if activation.returning and activation.back is not None:
                self._return(activation, activation.back)
            elif self._slots.hot() == activation.slot:
                self._finish(activation)
            else:
                self._memory.keep(activation=None)
        self._undrain()

    def activate(self, build: BuildId, attempt: int) -> None:
        """Bring the app onto a build that is ready in a slot.

        A build that fails is remembered in the state, and the app is back on the one before.
        """
        slot = self._slots.holding(build)
        if slot is None:
            raise HookFailed(f"{build[:12]} is not ready in any slot")
        hot = self._slots.hot()
        activation = Activation(build, slot, hot if hot != slot else None, attempt)
        self._memory.keep(activation=activation)
        self._show(Activity.DRAINING)
        try:
            self._run("drain", slot)
        except HookFailed as error:
            self._fail(activation, error, None)
            self._undrain()
            return
        self._show(Activity.SWITCHING)
        switch(self._slots.app, slot)
        self._finish(activation)
        self._undrain()

    def environment(self, tree: Path, build: BuildId, commit: str) -> dict[str, str]:
        """What every hook is told."""
        return {
            "HEADWAY_APP": self._app.name,
            "HEADWAY_NODE": self._node,
            "HEADWAY_TREE": str(tree),
            "HEADWAY_BUILD": build,
            "HEADWAY_COMMIT": commit,
        }

    def _environment(self, slot: str) -> dict[str, str]:
        known = self._memory.state.slots.get(slot, Slot())
        return self.environment(self._slots.path(slot), known.build or "", known.commit)

    def _finish(self, activation: Activation) -> None:
        try:
            self._roll(activation)
        except HookFailed as error:
            if activation.back is None:
                # There is no way back from a first build: it stays where it can be looked at.
                self._fail(activation, error, None)
            else:
                begun = self._memory.state.activation or activation
                returning = structs.replace(begun, returning=True)
                self._fail(activation, error, returning)
                self._return(returning, activation.back)
            return
        state = self._memory.state
        healed = state.failed is not None and state.failed.build == activation.build
        self._memory.keep(
            activation=None,
            running=activation.slot,
            good=state.running if state.running != activation.slot else state.good,
            failed=None if healed else state.failed,
            error="",
            output="",
        )
        log.info("switched", extra={"build": activation.build} | self._tag)

    def _roll(self, activation: Activation) -> None:
        """Move every instance that has not been verified yet. Raises HookFailed."""
        environment = self._environment(activation.slot)
        verified = activation.begun[:-1]
        for name in self._rolling.names:
            if name not in verified:
                begun = structs.replace(activation, begun=(*verified, name))
                begin = partial(self._memory.keep, activation=begun)
                self._rolling.move(name, environment, begin=begin, show=self._show)
                verified = begun.begun

    def _return(self, activation: Activation, back: str) -> None:
        """Go back to the slot before; what goes wrong on the way is told, and no reason to stay."""
        self._show(Activity.FLIPPING_BACK)
        switch(self._slots.app, back)
        environment = self._environment(back)
        names = self._rolling.names
        begun = [name for name in names if name in activation.begun or len(names) == 1]
        # What is out of traffic comes back before more is taken out: first what was not moved.
        self._rolling.release(set(names) - set(begun), environment)
        wrong = []
        while begun:
            self._memory.keep(activation=structs.replace(activation, begun=tuple(begun)))
            name = begun.pop()
            try:
                self._rolling.move(name, environment, anyway=True)
            except HookFailed as second:
                wrong.append(second.sentence)
                self._rolling.release({name}, environment)
        error = self._memory.state.error
        if wrong:
            error = f"{error}; and after flipping back: {'; '.join(wrong)}"
        self._memory.keep(activation=None, running=back, error=error)
        log.warning("flipped back", extra={"from": activation.build, "error": error} | self._tag)

    def _fail(self, activation: Activation, error: HookFailed, then: Activation | None) -> None:
        """Write down that the build failed here, and what is still to be done about it."""
        self._memory.keep(
            activation=then,
            failed=Failure(activation.build, activation.attempt),
            error=error.sentence,
            output=error.output,
        )
        log.error(
            "the build failed here",
            extra={"build": activation.build, "error": error.sentence} | self._tag,
        )

    def _undrain(self) -> None:
        """Put the app into traffic, whatever it was taken out by; it may be there already."""
        hot = self._slots.hot()
        if hot is None:
            return
        wrong = self._rolling.release(self._rolling.names, self._environment(hot))
        try:
            self._run("undrain", hot)
        except HookFailed as error:
            wrong = error.sentence
            log.error("undrain failed", extra={"error": error.sentence} | self._tag)
        if wrong:
            self._memory.keep(error=wrong)

    def _run(self, name: str, slot: str) -> None:
        """Run a hook for the whole app; one that has instances runs it for each of them."""
        hook = self._app.drain if name == "drain" else self._app.undrain
        if hook is not None and not self._app.instances:
            self._hooks.run(name, hook, self._environment(slot))

    @property
    def _tag(self) -> dict[str, object]:
        return {"app": self._app.name}
