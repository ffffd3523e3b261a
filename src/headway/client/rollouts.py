"""Rollouts: deploying, by hand or by train, and what the guard says of it."""

from headway.client.wire import Wire, segment
from headway.model.rollout import Rollout
from headway.model.views import (
    ActionRequest,
    DeployRequest,
    ReplayView,
    RolloutView,
    TrainAnswer,
    TrainRequest,
    TrainView,
    TuneRequest,
    TuneView,
    Why,
)

TUNE_SECONDS = 600.0
"""How long playing thirty rollouts to ten settings may take."""


class Rollouts(Wire):
    """What there is to ask of rollouts, of the train and of the guard."""

    def deploy(self, app: str, request: DeployRequest) -> RolloutView:
        """Start a rollout. [POST /v1/apps/{app}/rollouts, deployer]"""
        return self.call("POST", f"/v1/apps/{segment(app)}/rollouts", RolloutView, request)

    def rollouts(self, app: str, limit: int | None = 20) -> list[Rollout]:
        """An app's rollouts, newest first. [GET /v1/apps/{app}/rollouts, viewer]"""
        path = f"/v1/apps/{segment(app)}/rollouts"
        return list(self.each(path, Rollout, most=limit))

    def rollout(self, rollout: str) -> RolloutView:
        """A rollout, tier by tier, and its next action. [GET /v1/rollouts/{id}, viewer]"""
        return self.call("GET", f"/v1/rollouts/{segment(rollout)}", RolloutView)

    def act(self, rollout: str, action: str, request: ActionRequest) -> RolloutView:
        """``action``: advance, pause, resume, revert, abort, retry, sign-off.
        [POST /v1/rollouts/{id}/{action}, deployer]
        """
        path = f"/v1/rollouts/{segment(rollout)}/{segment(action)}"
        return self.call("POST", path, RolloutView, request)

    def train(self, app: str) -> TrainView:
        """An app's train. [GET /v1/apps/{app}/train, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/train", TrainView)

    def ask_train(self, app: str, request: TrainRequest) -> TrainAnswer:
        """Commands as in chat; to change something takes a deployer.
        [POST /v1/apps/{app}/train, viewer]
        """
        return self.call("POST", f"/v1/apps/{segment(app)}/train", TrainAnswer, request)

    def replay(self, rollout: str) -> ReplayView:
        """A rollout's verdicts, again. [GET /v1/rollouts/{rollout}/replay, viewer]"""
        return self.call("GET", f"/v1/rollouts/{segment(rollout)}/replay", ReplayView)

    def tune(self, app: str, request: TuneRequest) -> TuneView:
        """Try other settings on past rollouts. [POST /v1/apps/{app}/guard/tune, deployer]"""
        path = f"/v1/apps/{segment(app)}/guard/tune"
        return self.call("POST", path, TuneView, request, patience=TUNE_SECONDS)

    def explain_metric(self, app: str, metric: str, rollout: str | None = None) -> Why:
        """A metric in words. [GET /v1/apps/{app}/guard/metrics/{metric}, viewer]"""
        path = f"/v1/apps/{segment(app)}/guard/metrics/{segment(metric)}"
        return self.call("GET", path, Why, params={"rollout": rollout})
