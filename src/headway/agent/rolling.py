"""Bringing the instances of an app onto the hot tree, one after another.

    out of traffic ─► restart ─► verify ─► back into traffic ─► the next

An app without instances is one instance without a name.
"""

from collections.abc import Callable, Collection, Mapping

from msgspec import structs

from headway.agent import probe
from headway.agent.config import AppSettings
from headway.agent.lifecycle import Hooks
from headway.agent.log import log
from headway.agent.restart import restart
from headway.agent.strategies import Instance, filled, placeholders
from headway.agent.traffic.door import Door, door
from headway.errors import HookFailed
from headway.model.report import Activity


class Rolling:
    """The instances of one app on this node."""

    def __init__(self, app: AppSettings, hooks: Hooks) -> None:
        self._app = app
        self._hooks = hooks
        self.names = tuple(instance.name for instance in app.instances) or ("",)

    def move(
        self,
        name: str,
        environment: Mapping[str, str],
        *,
        begin: Callable[[], object] = lambda: None,
        show: Callable[[Activity], None] = lambda _: None,
        anyway: bool = False,
    ) -> None:
        """Restart one instance, out of traffic, until it is healthy and back in traffic.

        ``begin`` is called before the first thing that cannot be taken back, and ``show`` with
        each activity. Raises HookFailed; with ``anyway`` not for a drain that fails.
        """
        app, gate, told = self._of(name)
        show(Activity.RESTARTING)
        if gate is not None:
            try:
                stayed = gate.close()
            except HookFailed as error:
                if not anyway:
                    raise
                stayed = error.sentence
            if stayed:
                log.warning("restarting without waiting longer", extra={"why": stayed} | told)
        begin()
        restart(app.restart, self._hooks, {**environment, **_variables(app.instances)})
        show(Activity.VERIFYING)
        if app.verify is not None:
            values = {
                "build": environment["HEADWAY_BUILD"],
                "commit": environment["HEADWAY_COMMIT"],
                "tree": environment["HEADWAY_TREE"],
            }
            probe.verify(app.verify, values)
        if gate is not None:
            gate.open()

    def release(self, names: Collection[str]) -> str:
        """Put these instances into traffic; returns what went wrong, if anything did."""
        wrong = []
        for name in sorted(names):
            _, gate, told = self._of(name)
            try:
                if gate is not None:
                    gate.release()
            except HookFailed as error:
                wrong.append(error.sentence)
                log.error("undrain failed", extra={"error": error.sentence} | told)
        return "; ".join(dict.fromkeys(wrong))

    def _of(self, name: str) -> tuple[AppSettings, Door | None, dict[str, str]]:
        """The settings as they are for one instance, its door, and its name for the log."""
        ours = tuple(instance for instance in self._app.instances if instance.name == name)
        app = structs.replace(self._app, instances=ours)
        told = {"app": app.name, **({"instance": name} if ours else {})}
        words = placeholders(ours[0]) if ours else {}
        app = structs.replace(
            app,
            restart=filled(app.restart, words),
            verify=filled(app.verify, words),
            traffic=filled(app.traffic, words),
        )
        gate = door(app.traffic, ours[0] if ours else None) if app.traffic else None
        return app, gate, told


def _variables(instances: tuple[Instance, ...]) -> dict[str, str]:
    """What a restart hook is told of the instance that it is to restart."""
    if not instances:
        return {}
    [instance] = instances
    port = {} if instance.port is None else {"HEADWAY_PORT": str(instance.port)}
    return {"HEADWAY_INSTANCE": instance.name, **port}
