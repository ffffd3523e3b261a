"""What an app's page is made from."""

from msgspec import Struct

from headway.model.build import Build
from headway.model.hold import Hold
from headway.model.journal import JournalEntry
from headway.model.names import BuildId
from headway.model.rollout import FleetView
from headway.model.views import RolloutView, TrainView


class Facts(Struct, frozen=True):
    """An app at the moment ``now``.

    ``live_since`` is when the rollout that brought ``live`` ended. ``begun`` is the sentence with
    which the latest rollout began: who started it and why. ``newest`` is the last build that was
    published. ``drifted`` says by node what has
    changed on its disk. ``journal`` is oldest first; ``why`` says what the app waits for, and
    ``present`` who has the page open.
    """

    app: str
    now: float
    live: BuildId | None = None
    live_since: float | None = None
    rollout: RolloutView | None = None
    begun: str = ""
    builds: dict[BuildId, Build] = {}
    newest: Build | None = None
    fleet: FleetView = FleetView()
    drifted: dict[str, str] = {}
    holds: tuple[Hold, ...] = ()
    train: TrainView | None = None
    journal: tuple[JournalEntry, ...] = ()
    why: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
