"""Which way a build takes through its plan, and what bars it."""

from msgspec import Struct, structs

from headway.core import plan as plans
from headway.core import release as core
from headway.core.short_path import go_on_from, probe_path, short_path
from headway.errors import Refused
from headway.model.plan import AppConfig, Step
from headway.model.release import Release
from headway.model.releasing import HotfixPolicy
from headway.model.rollout import LIVE, FleetView, Phase
from headway.model.views import DeployRequest
from headway.server.situation import Situation

DEFAULT = "default"
DARK = "dark"
"""The plan of releases of nothing but dark changes; an app may write its own."""


PROBE = "bisect"
"""The plan of probes that look for a change to blame; an app may write its own."""


class Trip(Struct, frozen=True):
    """The app's configuration with the plan of that name, and why it may not begin, or empty."""

    config: AppConfig
    plan: str
    release: Release | None
    hotfix: bool
    barred: str


def plan_trip(
    known: Situation, release: Release | None, request: DeployRequest, now: float
) -> Trip:
    """The way of a build. Raises Refused where only releases go, and this is of none."""
    config = known.config
    ours = known.home.owner.releases if known.home is not None else None
    if release is None and ours is not None and ours.only:
        raise Refused(
            f"{config.name} deploys the builds of releases only, and this build is of none; "
            f"`headway release list {config.name}` has them"
        )
    if request.hotfix and not request.reason:
        raise Refused("a hotfix passes where others wait; say why with --reason")
    hotfix = request.hotfix or (release is not None and core.is_hotfix(release))
    plan, steps = request.plan, config.plans.get(request.plan, ())
    if release is not None and plan == DEFAULT:
        if core.is_all_dark(release):
            plan, steps = DARK, config.plans.get(DARK) or short_path(steps)
        elif ours is not None and ours.hotfix is HotfixPolicy.CONTINUE:
            steps = _continued(known, release) or steps
    if plan == PROBE and not steps:
        steps = probe_path(config.plans.get(DEFAULT, ()))
    config = structs.replace(config, plans={**config.plans, plan: steps} if steps else config.plans)
    tier = steps[0].tier if steps else ""
    return Trip(config, plan, release, hotfix, known.bars(tier, now, hotfix=hotfix, begins=True))


def barred(known: Situation, fleet: FleetView, now: float) -> str:
    """Why the latest rollout may not begin a further step now, or an empty string."""
    state = known.latest
    if state is None or state.phase not in (Phase.SOAKING, Phase.WAITING):
        return ""
    upcoming = plans.following(state.plan, state.step, fleet)
    if upcoming is None:
        return ""
    tier = state.plan[upcoming].tier
    return known.bars(tier, now, hotfix=state.hotfix, begins=False)


def _continued(known: Situation, release: Release) -> tuple[Step, ...]:
    """The plan of a hotfix that goes on where its own release is, if that is under way."""
    before = known.latest
    under_way = before is not None and before.phase in LIVE - {Phase.REVERTING}
    if before is None or not under_way or before.release != release.id:
        return ()
    return go_on_from(before.plan, before.step) if core.is_hotfix(release) else ()
