"""The control plane's HTTP API for Python: one method per route, typed by the model.

The brackets at the end of each docstring name the route and the least role that it takes; the
API reference is generated from them, and a test holds every method to its own.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import httpx2
import msgspec

from headway.builds.collect import Collected
from headway.builds.repack import Repacked
from headway.client.wire import PAGE, Wire, segment
from headway.errors import NotFound
from headway.model.access import Identity
from headway.model.announcement import Delivery
from headway.model.build import Build
from headway.model.hold import Hold
from headway.model.journal import JournalEntry
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.picture import Picture, Places
from headway.model.plan import AppConfig
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
from headway.model.report import Enrolment, Report
from headway.model.rollout import NodeState, Rollout
from headway.model.schedule import Frozen
from headway.model.views import (
    ActionRequest,
    AppView,
    CollectRequest,
    DeployRequest,
    Health,
    HoldRequest,
    LinkCode,
    NodeHoldRequest,
    NodeStatus,
    Packet,
    PasswordRequest,
    PinRequest,
    Problem,
    ProblemKind,
    RepackRequest,
    ReplayView,
    RoleRequest,
    RolloutView,
    TokenCreated,
    TokenRequest,
    TokenView,
    TrainAnswer,
    TrainRequest,
    TrainView,
    TuneRequest,
    TuneView,
    UserRequest,
    UserView,
    Why,
)

GIT_SECONDS = 600.0
"""How long a repository may take to be fetched, and its forge to be asked."""

UPKEEP_SECONDS = 3600.0
"""How long merging packs, all of which are read and written, may take."""


TUNE_SECONDS = 600.0
"""How long playing thirty rollouts to ten settings may take."""


class Client(Wire):
    """A control plane, as the holder of one token sees it; close it, or use it with ``with``.

    Every method raises the HeadwayError that the server's problem names, and Unreachable when
    there is no answer.
    """

    def health(self) -> Health:
        """Whether it serves, and in which version. [GET /v1/health, public]"""
        return self.call("GET", "/v1/health", Health)

    def problem(self, code: str) -> ProblemKind:
        """What a kind of problem means. [GET /problems/{code}, public]"""
        return self.call("GET", f"/problems/{segment(code)}", ProblemKind)

    def whoami(self) -> Identity:
        """Whose token this is. [GET /v1/whoami, any role]"""
        return self.call("GET", "/v1/whoami", Identity)

    def metrics(self) -> str:
        """Headway's own metrics, in Prometheus' text format. [GET /metrics, viewer]"""
        return self.send("GET", "/metrics").text

    def apply_app(self, config: AppConfig) -> AppView:
        """Set up an app, or change it. [PUT /v1/apps/{app}, admin]"""
        return self.call("PUT", f"/v1/apps/{segment(config.name)}", AppView, config)

    def apps(self) -> list[AppView]:
        """Every app. [GET /v1/apps, viewer]"""
        return self.call("GET", "/v1/apps", list[AppView])

    def app(self, app: str) -> AppView:
        """One app, the build that is live and its latest rollout. [GET /v1/apps/{app}, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}", AppView)

    def why(self, app: str) -> Why:
        """Why nothing is deploying, or what it waits for. [GET /v1/apps/{app}/why, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/why", Why)

    def picture(self, app: str) -> Picture:
        """An app as the cockpit shows it. [GET /v1/apps/{app}/picture, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/picture", Picture)

    def places(self, app: str) -> Places:
        """Whom the picture's letters are about. [GET /v1/apps/{app}/places, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/places", Places)

    def register_build(self, app: str, attestation: bytes) -> Build:
        """Hand in a published build's attestation. [POST /v1/apps/{app}/builds, deployer]"""
        return self.call("POST", f"/v1/apps/{segment(app)}/builds", Build, attestation)

    def builds(self, app: str, limit: int | None = 50) -> list[Build]:
        """An app's builds, newest first. [GET /v1/apps/{app}/builds, viewer]"""
        path = f"/v1/apps/{segment(app)}/builds"
        return list(self.each(path, Build, most=limit))

    def build(self, app: str, prefix: str) -> Build:
        """A build by the first digits of its id. [GET /v1/apps/{app}/builds/{prefix}, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/builds/{segment(prefix)}", Build)

    def repack(self, app: str, request: RepackRequest) -> Repacked:
        """Merge the packs of an app's builds. [POST /v1/apps/{app}/builds/repack, admin]"""
        path = f"/v1/apps/{segment(app)}/builds/repack"
        return self.call("POST", path, Repacked, request, patience=UPKEEP_SECONDS)

    def collect(self, app: str, request: CollectRequest) -> Collected:
        """Remove builds that nothing needs. [POST /v1/apps/{app}/builds/gc, admin]"""
        path = f"/v1/apps/{segment(app)}/builds/gc"
        return self.call("POST", path, Collected, request, patience=UPKEEP_SECONDS)

    def read_artifact(self, path: str, first: int = 0, last: int | None = None) -> bytes:
        """An artifact's bytes, ``first`` to ``last`` inclusive. [GET /v1/store/{path}, any role]"""
        end = "" if last is None else last
        headers = {} if (first, last) == (0, None) else {"Range": f"bytes={first}-{end}"}
        return self.send("GET", _artifact(path), headers=headers).content

    def artifact_size(self, path: str) -> int | None:
        """An artifact's length in bytes, or None. [HEAD /v1/store/{path}, any role]"""
        try:
            return int(self.send("HEAD", _artifact(path)).headers["content-length"])
        except NotFound:
            return None

    def write_artifact(self, path: str, content: bytes | Iterable[bytes]) -> None:
        """Store an artifact; none is ever replaced. [PUT /v1/store/{path}, deployer]"""
        self.send("PUT", _artifact(path), body=content)

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

    def link_chat(self) -> LinkCode:
        """A code that links a chat account to the caller. [POST /v1/chat/links, viewer]"""
        return self.call("POST", "/v1/chat/links", LinkCode)

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

    def nodes(
        self, app: str | None = None, tier: str | None = None, state: NodeState | None = None
    ) -> list[NodeStatus]:
        """Every node, or those of one app, tier or state. [GET /v1/nodes, viewer]"""
        wanted = {"app": app, "tier": tier, "state": state}
        return list(self.each("/v1/nodes", NodeStatus, wanted))

    def node(self, node: str) -> list[NodeStatus]:
        """One node, once for each of its apps. [GET /v1/nodes/{node}, viewer]"""
        return self.call("GET", f"/v1/nodes/{segment(node)}", list[NodeStatus])

    def hold_node(self, node: str, request: NodeHoldRequest) -> list[NodeStatus]:
        """Keep a node as it is. [PUT /v1/nodes/{node}/hold, deployer]"""
        return self.call("PUT", f"/v1/nodes/{segment(node)}/hold", list[NodeStatus], request)

    def unhold_node(self, node: str) -> list[NodeStatus]:
        """Let a node follow the signal again. [DELETE /v1/nodes/{node}/hold, deployer]"""
        return self.call("DELETE", f"/v1/nodes/{segment(node)}/hold", list[NodeStatus])

    def pin_node(self, node: str, app: str, request: PinRequest) -> list[NodeStatus]:
        """Pin a node to one build of an app. [PUT /v1/nodes/{node}/pins/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/pins/{segment(app)}"
        return self.call("PUT", path, list[NodeStatus], request)

    def unpin_node(self, node: str, app: str) -> list[NodeStatus]:
        """Take a node's pin away. [DELETE /v1/nodes/{node}/pins/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/pins/{segment(app)}"
        return self.call("DELETE", path, list[NodeStatus])

    def verify_node(self, node: str, app: str) -> list[NodeStatus]:
        """Ask a node to read again all it holds. [POST /v1/nodes/{node}/verify/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/verify/{segment(app)}"
        return self.call("POST", path, list[NodeStatus])

    def forget_node(self, node: str) -> None:
        """Strike a node off the fleet. [DELETE /v1/nodes/{node}, admin]"""
        self.send("DELETE", f"/v1/nodes/{segment(node)}")

    def holds(self) -> list[Hold]:
        """Every hold in force. [GET /v1/holds, viewer]"""
        return list(self.each("/v1/holds", Hold))

    def add_hold(self, request: HoldRequest) -> Hold:
        """Hold an app, a tier or a node. [POST /v1/holds, deployer]"""
        return self.call("POST", "/v1/holds", Hold, request)

    def lift_hold(self, hold: str) -> None:
        """Lift a hold. [DELETE /v1/holds/{id}, deployer]"""
        self.send("DELETE", f"/v1/holds/{segment(hold)}")

    def deliveries(self, dead: bool = False, limit: int | None = 50) -> list[Delivery]:
        """Announcements that have not arrived. [GET /v1/announcements, viewer]"""
        wanted = {"dead": "true" if dead else "false"}
        return list(self.each("/v1/announcements", Delivery, wanted, most=limit))

    def retry_delivery(self, delivery: int) -> None:
        """Send again what was given up. [POST /v1/announcements/{delivery}/retry, deployer]"""
        self.send("POST", f"/v1/announcements/{delivery}/retry")

    def journal(
        self,
        app: str | None = None,
        rollout: str | None = None,
        after: int | None = None,
        limit: int | None = 50,
        release: str | None = None,
        told: bool = False,
        before: int | None = None,
    ) -> list[JournalEntry]:
        """What came after ``after``, or else the newest before ``before``, or all; oldest first.
        [GET /v1/journal, viewer]
        """
        if limit is None:
            after = after or 0
        params: dict[str, str | int | None] = {
            "app": app,
            "rollout": rollout,
            "release": release,
            "after": after,
            "before": before,
            "told": "true" if told else None,
        }
        found = list(self.each("/v1/journal", JournalEntry, params, most=limit))
        # Without ``after`` the pages lead back, and a page has only so many.
        while after is None and limit and 0 < len(found) < limit and len(found) % PAGE == 0:
            params["before"] = found[0].seq
            earlier = self.each("/v1/journal", JournalEntry, params, most=limit - len(found))
            if not (page := list(earlier)):
                break
            found[:0] = page
        return found

    def events(self, last: str = "") -> AbstractContextManager[Iterator[httpx2.ServerSentEvent]]:
        """One connection to what happens, from ``last`` on; ``headway.client.events`` keeps it up.
        [GET /v1/events, viewer]
        """
        return self.stream("/v1/events", headers={"Last-Event-ID": last} if last else {})

    def create_token(self, request: TokenRequest) -> TokenCreated:
        """Make a token, which is shown this once. [POST /v1/tokens, admin]"""
        return self.call("POST", "/v1/tokens", TokenCreated, request)

    def tokens(self) -> list[TokenView]:
        """Every token's name and role. [GET /v1/tokens, admin]"""
        return list(self.each("/v1/tokens", TokenView))

    def revoke_token(self, name: str) -> None:
        """End a token. [DELETE /v1/tokens/{name}, admin]"""
        self.send("DELETE", f"/v1/tokens/{segment(name)}")

    def add_user(self, request: UserRequest) -> UserView:
        """Make a user, who signs in with a password. [POST /v1/users, admin]"""
        return self.call("POST", "/v1/users", UserView, request)

    def users(self) -> list[UserView]:
        """Everybody who may sign in. [GET /v1/users, admin]"""
        return list(self.each("/v1/users", UserView))

    def change_role(self, name: str, request: RoleRequest) -> UserView:
        """Give a user another role, at once. [PUT /v1/users/{name}/role, admin]"""
        return self.call("PUT", f"/v1/users/{segment(name)}/role", UserView, request)

    def change_password(self, name: str, request: PasswordRequest) -> None:
        """Give a user another password. [PUT /v1/users/{name}/password, admin]"""
        self.send("PUT", f"/v1/users/{segment(name)}/password", body=request)

    def sign_out_user(self, name: str) -> None:
        """End all sessions of a user. [DELETE /v1/users/{name}/sessions, admin]"""
        self.send("DELETE", f"/v1/users/{segment(name)}/sessions")

    def remove_user(self, name: str) -> None:
        """Remove a user, and end their sessions. [DELETE /v1/users/{name}, admin]"""
        self.send("DELETE", f"/v1/users/{segment(name)}")

    def enrol(self, enrolment: Enrolment) -> None:
        """Present a node; the token must be that node's. [POST /v1/node/enrol, node]"""
        self.send("POST", "/v1/node/enrol", body=enrolment)

    def watch(self, apps: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Each key and signed envelope as it changes, until the connection ends.
        [GET /v1/node/watch, node]
        """
        with self.stream("/v1/node/watch", {"apps": ",".join(apps)}) as events:
            for event in events:
                update = msgspec.json.decode(event.data, type=_Update)
                yield update.key, base64.b64decode(update.value)

    def report(self, reports: Sequence[Report]) -> None:
        """Hand in reports; on return they are durable. [POST /v1/node/reports, node]"""
        self.send("POST", "/v1/node/reports", body=list(reports))

    def find_peer(self, ask: PeerAsk) -> PeerAnswer:
        """Where the node is to get a build. [POST /v1/node/peers, node]"""
        return self.call("POST", "/v1/node/peers", PeerAnswer, body=ask)

    def pass_on(self, packets: Sequence[Packet]) -> list[Problem | None]:
        """Hand in what many nodes have reported to a hub. [POST /v1/hub/reports, public]"""
        encoded = msgspec.json.encode(list(packets))
        return self.call("POST", "/v1/hub/reports", list[Problem | None], body=encoded)


class _Update(msgspec.Struct):
    key: str
    value: str


def _artifact(path: str) -> str:
    return "/v1/store/" + "/".join(segment(part) for part in path.split("/"))
