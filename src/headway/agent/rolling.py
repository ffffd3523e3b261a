"""Bringing the instances of an app onto the hot tree, one after another.

    drain ─► out of traffic ─► restart ─► verify ─► back into traffic ─► undrain ─► the next

An app without instances is one instance without a name, and is drained before the flip already.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple

from msgspec import structs

from headway.agent import probe
from headway.agent.config import AppSettings, Hook
from headway.agent.evidence import evidence
from headway.agent.lifecycle import Hooks
from headway.agent.log import log
from headway.agent.restart import restart
from headway.agent.strategies import Instance, filled, placeholders
from headway.agent.traffic.door import Door, door
from headway.errors import HookFailed
from headway.model.report import Activity


class _One(NamedTuple):
    """One instance: the settings as they are for it, what its hooks and the log are told."""

    app: AppSettings
    gate: Door | None
    variables: dict[str, str]
    told: dict[str, str]


class Rolling:
    """The instances of one app on this node."""

    def __init__(self, app: AppSettings, hooks: Hooks) -> None:
        self._app = app
        self._hooks = hooks
        self.names = tuple(instance.name for instance in app.instances) or ("",)
        # Nobody knows what an agent before this one, or somebody else, has left out of traffic.
        self._out = set(self.names)

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
        one = self._of(name)
        env = {**environment, **one.variables}
        show(Activity.RESTARTING)
        self._out.add(name)
        drain = partial(self._run, "drain", one.app.drain, env)
        for leave in (drain, partial(_close, one.gate)):
            try:
                stayed = leave()
            except HookFailed as error:
                if not anyway:
                    raise
                stayed = error.sentence
            if stayed:
                log.warning("restarting without waiting longer", extra={"why": stayed} | one.told)
        begin()
        said = restart(one.app.restart, self._hooks, env)
        show(Activity.VERIFYING)
        if one.app.verify is not None:
            values = {
                "build": environment["HEADWAY_BUILD"],
                "commit": environment["HEADWAY_COMMIT"],
                "tree": environment["HEADWAY_TREE"],
            }
            try:
                probe.verify(one.app.verify, values)
            except HookFailed as error:
                raise HookFailed(error.sentence, evidence(one.app, self._hooks, said)) from None
        if one.gate is not None:
            one.gate.open()
        self._run("undrain", one.app.undrain, env)
        self._out.discard(name)

    def release(self, names: Collection[str], environment: Mapping[str, str]) -> str:
        """Put those of these instances that may be out of traffic back into it.

        Returns what went wrong, if anything did; then it is tried again the next time.
        """
        wrong = []
        for name in sorted(self._out.intersection(names)):
            one = self._of(name)
            try:
                if one.gate is not None:
                    one.gate.release()
                self._run("undrain", one.app.undrain, {**environment, **one.variables})
                self._out.discard(name)
            except HookFailed as error:
                wrong.append(error.sentence)
                log.error("undrain failed", extra={"error": error.sentence} | one.told)
        return "; ".join(dict.fromkeys(wrong))

    def _of(self, name: str) -> _One:
        ours = tuple(instance for instance in self._app.instances if instance.name == name)
        app = structs.replace(self._app, instances=ours)
        told = {"app": app.name, **({"instance": name} if ours else {})}
        words = placeholders(ours[0]) if ours else {}
        app = structs.replace(
            app,
            restart=filled(app.restart, words),
            verify=filled(app.verify, words),
            traffic=filled(app.traffic, words),
            drain=filled(app.drain, words) if ours else None,
            undrain=filled(app.undrain, words) if ours else None,
        )
        gate = door(app.traffic, ours[0] if ours else None) if app.traffic else None
        return _One(app, gate, _variables(ours), told)

    def _run(self, name: str, hook: Hook | None, environment: Mapping[str, str]) -> str:
        if hook is not None:
            self._hooks.run(name, hook, environment)
        return ""


def _close(gate: Door | None) -> str:
    return gate.close() if gate is not None else ""


def _variables(instances: tuple[Instance, ...]) -> dict[str, str]:
    """What the hooks of an instance are told of it."""
    if not instances:
        return {}
    [instance] = instances
    port = {} if instance.port is None else {"HEADWAY_PORT": str(instance.port)}
    return {"HEADWAY_INSTANCE": instance.name, **port}
