"""An app's train, and what people say to it."""

from litestar import get, post
from litestar.params import JSONBody

from headway.errors import InvalidInput, Refused
from headway.model.views import LinkCode, TrainAnswer, TrainRequest, TrainView
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule


@get("/v1/apps/{app:str}/train", opt={"role": Rule.VIEWER}, summary="An app's train")
async def show_train(app: InPath, plane: Plane) -> TrainView:
    """Who rides, who leads, whose word is missing, and what holds it."""
    return await plane.chat.view(app)


@post(
    "/v1/apps/{app:str}/train",
    opt={"role": Rule.VIEWER, "errors": (Refused,)},
    status_code=200,
    summary="Say something to an app's train",
)
async def ask_train(
    app: InPath, data: JSONBody[TrainRequest], plane: Plane, caller: Caller
) -> TrainAnswer:
    """Commands as they are typed in chat. What changes something takes a deployer."""
    replies = await plane.chat.hear(app, caller, data.text, private=True)
    if not replies:
        raise InvalidInput("there is no command in that; `.help` lists what there is")
    view = await plane.chat.view(app)
    return TrainAnswer(tuple(reply.text for reply in replies), view)


@post("/v1/chat/links", opt={"role": Rule.VIEWER}, status_code=201, summary="Link a chat account")
async def offer_link(plane: Plane, caller: Caller) -> LinkCode:
    """A code for ``.link``: whoever sends it to Headway in chat is the caller from then on."""
    return plane.chat.offer(caller)
