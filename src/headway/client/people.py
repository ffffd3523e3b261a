"""Who may do what: tokens, users, and whose token the caller holds."""

from headway.client.wire import Wire, segment
from headway.model.access import Identity
from headway.model.views import (
    LinkCode,
    PasswordRequest,
    RoleRequest,
    TokenCreated,
    TokenRequest,
    TokenView,
    UserRequest,
    UserView,
)


class People(Wire):
    """What there is to ask of tokens, of users and of oneself."""

    def whoami(self) -> Identity:
        """Whose token this is. [GET /v1/whoami, any role]"""
        return self.call("GET", "/v1/whoami", Identity)

    def link_chat(self) -> LinkCode:
        """A code that links a chat account to the caller. [POST /v1/chat/links, viewer]"""
        return self.call("POST", "/v1/chat/links", LinkCode)

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
