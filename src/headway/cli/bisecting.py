"""Looking for the change that is to blame: builds of halves of a release, one after the other."""

import time
from contextlib import suppress
from pathlib import Path

from headway.cli.call import Call
from headway.cli.making import fetched, make
from headway.cli.screen import note
from headway.client.api import Client
from headway.core.bisect import Bisection, tell
from headway.errors import NotFound, RolloutFailed
from headway.model.release import Release
from headway.model.release_views import BisectRequest, BisectView
from headway.model.rollout import Phase, Rollout
from headway.model.views import ActionRequest, DeployRequest
from headway.signing import Signer

LOOK_SECONDS = 1.0
PLAN = "bisect"


def bisect(
    call: Call,
    client: Client,
    signer: Signer,
    repo: Path,
    release: Release,
    good: int,
    bad: int,
) -> BisectView:
    """Try until one change is left. Raises RolloutFailed where a probe says nothing.

    Each probe is a rollout that ends before the last tier, and is taken back whatever it says.
    """
    view = client.bisect(release.id, BisectRequest(good, bad))
    while view.probe is not None:
        note(f"{view.sentence}; trying {view.probe[:12]}")
        ref = fetched(repo, view.probe, release.branch)
        build = make(call, client, signer, app=release.app, repo=repo, ref=ref)
        reason = f"bisect of {release.id}: is it in the first {(view.good + view.bad) // 2}?"
        begun = client.deploy(release.app, DeployRequest(build.id, PLAN, reason, hotfix=True))
        innocent = _watched(client, begun.rollout.id)
        state = Bisection(release.id, release.changes, view.good, view.bad)
        state = tell(state, view.probe, good=innocent)
        view = client.bisect(release.id, BisectRequest(state.good, state.bad))
    return view


def _watched(client: Client, rollout: str) -> bool:
    """Whether the canary finds no fault; what was deployed is gone again afterwards."""
    while True:
        state = client.rollout(rollout).rollout
        if state.phase is Phase.PAUSED and not _by_a_check(state):
            raise RolloutFailed(f"the probe {rollout} stands, and says nothing: {state.why}")
        if state.phase in (Phase.ABORTED, Phase.SUPERSEDED, Phase.SUCCEEDED):
            raise RolloutFailed(f"the probe {rollout} was {state.phase}: {state.why}")
        if state.phase in (Phase.WAITING, Phase.PAUSED):
            client.act(rollout, "revert", ActionRequest("a probe of a bisect"))
            return _gone(client, rollout, innocent=state.phase is Phase.WAITING)
        if state.phase in (Phase.REVERTING, Phase.REVERTED):
            return _gone(client, rollout, innocent=False)
        time.sleep(LOOK_SECONDS)


def _gone(client: Client, rollout: str, *, innocent: bool) -> bool:
    """Wait until the probe is off every node, and lift the hold that this has left."""
    while client.rollout(rollout).rollout.phase is not Phase.REVERTED:
        time.sleep(LOOK_SECONDS)
    with suppress(NotFound):
        client.lift_hold(f"revert-{rollout}")
    return innocent


def _by_a_check(state: Rollout) -> bool:
    """Whether a metric or the smoke test has stopped it, and not a node that failed or was late."""
    return any(key == "smoke" or key.startswith("metric:") for key in state.objections)
