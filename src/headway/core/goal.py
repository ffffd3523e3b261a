"""What a node should run, and the sentence why. Agents and control plane use the same functions."""

from msgspec import Struct

from headway.model.build import Failure
from headway.model.names import BuildId
from headway.model.signal import NodeRecord, Seat, Signal


class Goal(Struct, frozen=True):
    """``run`` is what to flip to and ``prepare`` what to make ready; None means: leave as it is.

    ``held`` tells that a person, not the signal, decides.
    """

    run: BuildId | None
    prepare: BuildId | None
    why: str
    held: bool = False


def goal(
    signal: Signal | None, record: NodeRecord | None, failed: Failure | None, now: float, app: str
) -> Goal:
    """Decide from the signal and the node's own record what ``app`` should run here.

    A hold comes before a pin, a pin before the signal. A build that has failed here is not
    tried again before the signal's attempt rises.
    """
    if record is None or app not in record.seats:
        return Goal(None, None, "waiting for this node's record")
    seat = record.seats[app]
    hold = record.hold
    if hold is not None and (hold.until is None or now < hold.until):
        return Goal(None, None, f"held by {hold.by}: {hold.reason}", held=True)
    if seat.pin is not None:
        return Goal(seat.pin, seat.pin, f"pinned to {seat.pin[:12]}", held=True)
    if signal is None:
        return Goal(None, None, f"waiting for a first signal of {app}")
    prepare = signal.target if signal.prepare else None
    run, why = wanted(signal, seat)
    if run is not None and has_failed(failed, run, signal, seat):
        stay = signal.base if run == signal.target and run != signal.base else None
        return Goal(stay, None, f"{run[:12]} failed here; waiting to be told to retry")
    return Goal(run, prepare, why)


def wanted(signal: Signal, seat: Seat) -> tuple[BuildId | None, str]:
    """What the signal alone asks of this seat, and why."""
    place = f"position {seat.position:.4g} of {seat.tier}"
    fraction = signal.fractions.get(seat.tier, 0.0)
    if seat.position < fraction:
        return signal.target, f"{place} is within {fraction:.4g}: target"
    layer = signal.layer
    if layer is not None and seat.position < layer.fractions.get(seat.tier, 0.0):
        return layer.build, f"{place} keeps what an unfinished rollout left"
    if signal.base is None:
        return None, f"{place} is beyond {fraction:.4g}, and there is no base"
    return signal.base, f"{place} is beyond {fraction:.4g}: base"


def has_failed(failed: Failure | None, build: BuildId, signal: Signal, seat: Seat) -> bool:
    """Whether ``build`` has failed here and is not to be tried again yet.

    What an unfinished rollout left is kept where it works, and never tried again.
    """
    if failed is None or failed.build != build:
        return False
    if build not in (signal.target, signal.base):
        return True
    retries = failed.attempt < signal.attempt and seat.position < signal.retry.get(seat.tier, 0.0)
    return not retries
