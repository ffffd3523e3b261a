"""An app's configuration as it is, and for admins who may come in."""

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from headway.core.plan import title
from headway.errors import NotFound
from headway.guard.watch import query_of
from headway.model.access import Role
from headway.model.plan import AppConfig, Checks, Gate, Metric, Step
from headway.server.cockpit.words import duration
from headway.server.database import apps, tokens, users
from headway.server.database.tokens import Token
from headway.server.database.users import User
from headway.server.plane import ControlPlane


class Facts(Struct, frozen=True):
    """What the page is made from; ``admits`` is whether the reader may see who comes in."""

    config: AppConfig
    admits: bool = False
    users: tuple[User, ...] = ()
    tokens: tuple[Token, ...] = ()


class StepRow(Struct, frozen=True):
    """A step of a plan, in words."""

    title: str
    begins: str
    soak: str
    checks: str
    moving: str
    failures: str
    deadline: str


class Plan(Struct, frozen=True):
    """A plan and its steps."""

    name: str
    steps: tuple[StepRow, ...]


class MetricRow(Struct, frozen=True):
    """A metric, what it is made of, and what follows when it fails."""

    name: str
    query: str
    kind: str
    importance: str
    bounds: str
    action: str


class Caller(Struct, frozen=True):
    """Somebody, or a program, who may come in, and how."""

    name: str
    role: str
    how: str
    since: float
    seen_at: float | None = None


class Page(Struct, frozen=True):
    """Everything that the page shows; ``document`` is the whole configuration as JSON.

    ``lane`` is the app that changes of ``lane_paths`` go out as.
    """

    app: str
    plans: tuple[Plan, ...]
    metrics: tuple[MetricRow, ...]
    false_alarms: str
    sources: tuple[str, ...]
    smoke: tuple[str, ...]
    make: str
    repository: str
    lane: str
    lane_paths: str
    document: str
    admits: bool
    callers: tuple[Caller, ...]
    nodes: int


_CHECKS = {
    Checks.NONE: "its nodes have attested it",
    Checks.WATCH: "a failing metric stops it",
    Checks.REQUIRE: "every metric must pass",
}


def make_settings(facts: Facts) -> Page:
    """The page."""
    config = facts.config
    releases = config.releases
    document = msgspec.json.format(msgspec.json.encode(config, order="deterministic"), indent=2)
    return Page(
        app=config.name,
        plans=tuple(
            Plan(name, tuple(_step(step) for step in steps)) for name, steps in config.plans.items()
        ),
        metrics=tuple(_metric(config, metric) for metric in config.metrics),
        false_alarms=f"{config.guard.false_alarms * 100:g} %",
        sources=("what its nodes report", *(f"{s.name}: {s.url}" for s in config.sources)),
        smoke=tuple(one.url or " ".join(one.command) for one in config.smoke),
        make=" ".join(config.make),
        repository="" if releases is None else f"{releases.repository}, {releases.main}",
        lane=releases.config.app if releases and releases.config else "",
        lane_paths=", ".join(releases.config.paths) if releases and releases.config else "",
        document=document.decode(),
        admits=facts.admits,
        callers=_callers(facts),
        nodes=sum(token.role is Role.NODE for token in facts.tokens),
    )


def _step(step: Step) -> StepRow:
    begins = {
        Gate.MANUAL: "when a person presses",
        Gate.ASSISTED: f"after {duration(step.notice)}, unless somebody pauses",
        Gate.AUTO: "by itself",
    }
    checks = [_CHECKS[step.checks]]
    checks += ["the smoke test must pass"] if step.smoke else []
    checks += [f"{step.sign_off} must sign it off"] if step.sign_off else []
    return StepRow(
        title=title(step),
        begins=begins[step.gate],
        soak=duration(step.soak) if step.soak else "not at all",
        checks=", ".join(checks),
        moving=f"{step.concurrency}",
        failures=f"{step.max_failed}",
        deadline=duration(step.deadline),
    )


def _metric(config: AppConfig, metric: Metric) -> MetricRow:
    bounds = ["compared with the old build"] if metric.compare else []
    bounds += [f"above {metric.above:g} fails"] if metric.above is not None else []
    bounds += [f"below {metric.below:g} fails"] if metric.below is not None else []
    bounds += [f"{metric.zscore:g} deviations are too far"] if metric.zscore is not None else []
    return MetricRow(
        name=metric.name,
        query=query_of(config, metric),
        kind=metric.kind.value,
        importance=metric.importance.value + (", optional" if metric.optional else ""),
        bounds="; ".join(bounds),
        action=metric.action.value,
    )


def _callers(facts: Facts) -> tuple[Caller, ...]:
    """People and tokens by name; the tokens of nodes, of which there may be thousands, left out."""
    people = [
        Caller(
            one.name,
            one.role.value,
            "a password" if one.password else f"{one.issuer}",
            one.created_at,
            one.seen_at,
        )
        for one in facts.users
    ]
    programs = [
        Caller(one.name, one.role.value, "a token", one.created_at)
        for one in facts.tokens
        if one.role is not Role.NODE
    ]
    return tuple(sorted((*people, *programs), key=lambda one: one.name))


async def gather(plane: ControlPlane, app: str, *, admits: bool) -> Facts:
    """An app's configuration. Raises NotFound."""

    def read(connection: Connection) -> Facts:
        config = apps.get(connection, app)
        if config is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        if not admits:
            return Facts(config)
        return Facts(config, admits, users.every(connection), tokens.every(connection))

    return await plane.database.read(read)
