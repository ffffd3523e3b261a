"""How an app is deployed, in the figures that DORA's research has made common.

After N. Forsgren, J. Humble, G. Kim, "Accelerate" (2018), and the definitions at https://dora.dev:

- *deployment frequency*: how many deploys went live, a day;
- *lead time for changes*: from the moment a change was merged to the one it was live everywhere;
- *change failure rate*: of the deploys that went live or were taken back, how many were taken back,
  or were followed by a hotfix while they were live;
- *time to restore*: from the beginning of a deploy that failed to the moment when the build before
  it, or its hotfix, was on every node. Nobody was harmed for longer, and perhaps for less.

Each deploy counts in the period in which it began.
"""

from collections.abc import Iterable, Sequence
from math import ceil
from statistics import median

from msgspec import Struct
from msgspec.structs import replace


class Deploy(Struct, frozen=True):
    """A rollout that has ended, oldest first in every list. Times in seconds since the epoch.

    ``live_at`` is when it went live, None if it never did; ``back_at`` when it was taken back.
    ``merged`` are the moments at which its changes were merged, ``changes`` how many it brought,
    and ``size`` how many bytes of it no build before had.
    """

    began: float
    live_at: float | None = None
    back_at: float | None = None
    hotfix: bool = False
    merged: tuple[float, ...] = ()
    changes: int | None = None
    size: int | None = None


class Judged(Struct, frozen=True):
    """A deploy, and if it failed, when all was well again."""

    deploy: Deploy
    failed: bool = False
    restored_at: float | None = None


class Figures(Struct, frozen=True):
    """The figures of a period. Durations in s, sizes in bytes; None: there is nothing to tell.

    ``counted`` are the deploys that went live or were taken back; ``live`` those that went live.
    """

    counted: int = 0
    live: int = 0
    failed: int = 0
    lead: float | None = None
    lead_90: float | None = None
    restore: float | None = None
    changes: float | None = None
    size: float | None = None

    @property
    def failure_rate(self) -> float | None:
        """The share of deploys that failed, from 0 to 1."""
        return self.failed / self.counted if self.counted else None


class Period(Struct, frozen=True):
    """A stretch of time and its figures."""

    begin: float
    end: float
    figures: Figures


def judged(deploys: Iterable[Deploy]) -> tuple[Judged, ...]:
    """Which deploys failed: those taken back, and those that a hotfix followed."""
    found: list[Judged] = []
    standing: int | None = None
    for deploy in deploys:
        if deploy.live_at is None and deploy.back_at is None:
            continue
        if deploy.hotfix and deploy.live_at is not None and standing is not None:
            # Once: a second hotfix mends the first.
            found[standing] = replace(found[standing], failed=True, restored_at=deploy.live_at)
        failed = deploy.back_at is not None
        found.append(Judged(deploy, failed, deploy.back_at))
        if not failed:
            standing = len(found) - 1
    return tuple(found)


def figures(of: Sequence[Judged]) -> Figures:
    """The figures of these deploys."""
    live = [one.deploy for one in of if one.deploy.live_at is not None]
    leads = sorted(
        max(0.0, deploy.live_at - merged)
        for deploy in live
        if deploy.live_at is not None
        for merged in deploy.merged
    )
    restores = [
        one.restored_at - one.deploy.began
        for one in of
        if one.failed and one.restored_at is not None
    ]
    sizes = [one.deploy.size for one in of if one.deploy.size is not None]
    changes = [one.deploy.changes for one in of if one.deploy.changes is not None]
    return Figures(
        counted=len(of),
        live=len(live),
        failed=sum(one.failed for one in of),
        lead=median(leads) if leads else None,
        lead_90=leads[ceil(0.9 * len(leads)) - 1] if leads else None,
        restore=median(restores) if restores else None,
        changes=median(changes) if changes else None,
        size=median(sizes) if sizes else None,
    )


def periods(of: Sequence[Judged], begin: float, end: float, length: float) -> tuple[Period, ...]:
    """The figures of each period of ``length`` seconds, the last one perhaps cut short."""
    found, at, index = [], begin, 0
    ordered = sorted((one for one in of if begin <= one.deploy.began < end), key=_began)
    for number in range(ceil((end - begin) / length)):
        at, until = begin + number * length, min(begin + (number + 1) * length, end)
        first = index
        while index < len(ordered) and ordered[index].deploy.began < until:
            index += 1
        found.append(Period(at, until, figures(ordered[first:index])))
    return tuple(found)


def _began(one: Judged) -> float:
    return one.deploy.began
