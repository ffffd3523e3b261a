"""Apps: how they are set up, how they stand, and what holds them."""

from headway.client.wire import Wire, segment
from headway.model.hold import Hold
from headway.model.picture import Picture, Places
from headway.model.plan import AppConfig
from headway.model.views import AppView, HoldRequest, Why


class Apps(Wire):
    """What there is to ask of apps, and of the holds on them, their tiers and nodes."""

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

    def holds(self) -> list[Hold]:
        """Every hold in force. [GET /v1/holds, viewer]"""
        return list(self.each("/v1/holds", Hold))

    def add_hold(self, request: HoldRequest) -> Hold:
        """Hold an app, a tier or a node. [POST /v1/holds, deployer]"""
        return self.call("POST", "/v1/holds", Hold, request)

    def lift_hold(self, hold: str) -> None:
        """Lift a hold. [DELETE /v1/holds/{id}, deployer]"""
        self.send("DELETE", f"/v1/holds/{segment(hold)}")
