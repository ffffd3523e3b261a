"""The way back without a control plane: from the signal that stands to one that takes all back."""

from msgspec import structs

from headway.errors import NotFound, Refused
from headway.model.names import BuildId
from headway.model.signal import Signal


def go_back(
    standing: Signal, to: BuildId | None, beyond: int, by: str, reason: str, now: float
) -> Signal:
    """The signal that brings every node to ``to``, or to the base build, in one write.

    Its epoch is above that of ``standing`` and above ``beyond``. Nodes on which the build failed
    before try it again. Raises Refused when there is nothing to go back to.
    """
    build = to or standing.base
    if build is None:
        raise Refused(
            f"{standing.target[:12]} is the first build of {standing.app}, so there is none to go"
            " back to; name one that the nodes can fetch: --to BUILD"
        )
    epoch = max(standing.epoch, beyond) + 1
    if is_everywhere(standing, build) and epoch == standing.epoch + 1:
        raise Refused(
            f"every node of {standing.app} is told to run {build[:12]} already, since epoch"
            f" {standing.epoch}; name another build with --to BUILD"
        )
    return structs.replace(
        standing,
        epoch=epoch,
        rollout=f"{standing.app}-emergency-{epoch}",
        base=build,
        fractions={},
        layer=None,
        attempt=epoch,
        turned=epoch,
        retry=dict.fromkeys(sorted(tiers(standing)), 1.0),
        prepare=False,
        issued_at=now,
        by=by,
        why=f"emergency revert to {build[:12]}, by {by}: {reason}"[:500],
    )


def tiers(signal: Signal) -> set[str]:
    """Every tier that the signal speaks of."""
    layered = signal.layer.fractions if signal.layer else {}
    return {*signal.fractions, *signal.retry, *layered}


def goes_back(signal: Signal) -> bool:
    """Whether the signal sends every node to its base build, and does not prepare another."""
    if signal.base is None or signal.prepare:
        return False
    layered = signal.layer.fractions if signal.layer else {}
    return not any((*signal.fractions.values(), *layered.values()))


def is_everywhere(signal: Signal, build: BuildId) -> bool:
    """Whether every node, of whatever tier, is told to run ``build``."""
    return goes_back(signal) and signal.base == build


def known_builds(signal: Signal) -> tuple[BuildId, ...]:
    """The builds that the signal names, so that the first digits of one suffice."""
    layered = signal.layer.build if signal.layer else None
    return tuple(dict.fromkeys(b for b in (signal.base, signal.target, layered) if b))


def find_build(signal: Signal, text: str) -> BuildId:
    """The build that ``text`` names: a whole id, or the first digits of one in the signal.

    Raises NotFound, which tells the builds that are known here.
    """
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return text
    found = [build for build in known_builds(signal) if len(text) >= 6 and build.startswith(text)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(build[:12] for build in known_builds(signal))
    raise NotFound(
        f"the signal names no build {text[:64]}, only {known}; without the control plane any other"
        " must be given with all of its 64 digits"
    )
