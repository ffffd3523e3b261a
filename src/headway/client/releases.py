"""Releases, what they bring, and when they may go out."""

from collections.abc import Mapping

from headway.client.wire import Wire, segment
from headway.model.release import Release
from headway.model.release_views import (
    BisectRequest,
    BisectView,
    CutRequest,
    FreezeRequest,
    HotfixRequest,
    Notes,
    QueueView,
    ReleaseView,
    RevertRequest,
    ScheduleView,
    ShiftRequest,
    SuspectsView,
)
from headway.model.schedule import Frozen

GIT_SECONDS = 600.0
"""How long a repository may take to be fetched, and its forge to be asked."""


class Releases(Wire):
    """What there is to ask of releases and of the schedule."""

    def queue(self, app: str) -> QueueView:
        """What was merged since what is live. [GET /v1/apps/{app}/queue, viewer]"""
        path = f"/v1/apps/{segment(app)}/queue"
        return self.call("GET", path, QueueView, patience=GIT_SECONDS)

    def releases(self, app: str, limit: int | None = 20) -> list[Release]:
        """An app's releases, newest first. [GET /v1/apps/{app}/releases, viewer]"""
        path = f"/v1/apps/{segment(app)}/releases"
        return list(self.each(path, Release, most=limit))

    def cut_release(self, app: str, request: CutRequest) -> ReleaseView:
        """Cut a release from main. [POST /v1/apps/{app}/releases, deployer]"""
        path = f"/v1/apps/{segment(app)}/releases"
        return self.call("POST", path, ReleaseView, request, patience=GIT_SECONDS)

    def release(self, release: str) -> ReleaseView:
        """One release, and its next action. [GET /v1/releases/{release}, viewer]"""
        return self.call("GET", f"/v1/releases/{segment(release)}", ReleaseView)

    def release_notes(self, release: str) -> Notes:
        """What a release brings. [GET /v1/releases/{release}/notes, viewer]"""
        return self.call("GET", f"/v1/releases/{segment(release)}/notes", Notes)

    def suspects(self, release: str) -> SuspectsView:
        """Who may be to blame for what fails. [GET /v1/releases/{release}/suspects, viewer]"""
        return self.call("GET", f"/v1/releases/{segment(release)}/suspects", SuspectsView)

    def hotfix(self, release: str, request: HotfixRequest) -> ReleaseView:
        """Pick changes onto a release. [POST /v1/releases/{release}/hotfix, deployer]"""
        path = f"/v1/releases/{segment(release)}/hotfix"
        return self.call("POST", path, ReleaseView, request, patience=GIT_SECONDS)

    def revert_change(self, release: str, request: RevertRequest) -> ReleaseView:
        """Take changes back, also on main. [POST /v1/releases/{release}/revert, deployer]"""
        path = f"/v1/releases/{segment(release)}/revert"
        return self.call("POST", path, ReleaseView, request, patience=GIT_SECONDS)

    def bisect(self, release: str, request: BisectRequest) -> BisectView:
        """Which commit to try next. [POST /v1/releases/{release}/bisect, viewer]"""
        path = f"/v1/releases/{segment(release)}/bisect"
        return self.call("POST", path, BisectView, request)

    def deliver(self, forge: str, headers: Mapping[str, str], body: bytes) -> None:
        """Hand in a forge's signed message, as it does itself. [POST /v1/hooks/{forge}, public]"""
        self.send("POST", f"/v1/hooks/{segment(forge)}", body=body, headers=headers)

    def schedule(self, app: str) -> ScheduleView:
        """When deploys may go, and who is on shift. [GET /v1/apps/{app}/schedule, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/schedule", ScheduleView)

    def freeze(self, app: str, request: FreezeRequest) -> Frozen:
        """Let nothing new begin for a time. [POST /v1/apps/{app}/freezes, deployer]"""
        return self.call("POST", f"/v1/apps/{segment(app)}/freezes", Frozen, request)

    def end_freeze(self, freeze: str) -> None:
        """End a freeze that was declared. [DELETE /v1/freezes/{freeze}, deployer]"""
        self.send("DELETE", f"/v1/freezes/{segment(freeze)}")

    def change_shift(self, app: str, request: ShiftRequest) -> ScheduleView:
        """Take the shift, or hand it over. [POST /v1/apps/{app}/shift, deployer]"""
        return self.call("POST", f"/v1/apps/{segment(app)}/shift", ScheduleView, request)
