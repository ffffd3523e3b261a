"""Statistics: how often, how fast and how safely an app is deployed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import Connection

from headway.core.statistics import Deploy, Figures, Judged, Period, figures, judged, periods
from headway.core.words import count, lasted, size
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.release import PickKind
from headway.model.rollout import Phase
from headway.server.cockpit.pages.asked import DAY_SECONDS, address
from headway.server.database import builds, journal, releases, rollouts
from headway.server.database.journal import Turn
from headway.server.database.releases import Bringing
from headway.server.database.rollouts import Past
from headway.server.plane import ControlPlane
from headway.server.situation import look

RANGES = (30, 90)
"""Over how many days, the first unless somebody asks for another."""

WEEK_SECONDS = 7 * DAY_SECONDS
WIDTH, HEIGHT = 600.0, 120.0


class Facts(Struct, frozen=True):
    """What the page is made from: the rollouts of so many days, and what they brought."""

    app: str
    now: float
    days: int
    pasts: tuple[Past, ...] = ()
    turns: tuple[Turn, ...] = ()
    bringing: Mapping[str, Bringing] = {}
    builds: Mapping[BuildId, Build] = {}


class Bar(Struct, frozen=True):
    """One bar in a box of WIDTH by HEIGHT."""

    x: float
    y: float
    width: float
    height: float
    role: str
    label: str


class Line(Struct, frozen=True):
    """A chart's row in words."""

    when: str
    said: str


class Chart(Struct, frozen=True):
    """A chart with bars, and the same as a table."""

    name: str
    title: str
    summary: str
    begin: str
    end: str
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]


class Number(Struct, frozen=True):
    """One of the figures, large; ``note`` tells what it is."""

    title: str
    value: str
    note: str


class Range(Struct, frozen=True):
    """A choice of how far to look back."""

    days: int
    href: str
    chosen: bool


class Page(Struct, frozen=True):
    """Everything that the page shows; ``unfinished`` ended otherwise, and count for nothing."""

    app: str
    ranges: tuple[Range, ...]
    days: int
    deploys: int
    unfinished: int
    numbers: tuple[Number, ...]
    charts: tuple[Chart, ...]


def make_statistics(facts: Facts) -> Page:
    """The page."""
    of = judged(_deploys(facts))
    whole = figures(of)
    begin = facts.now - facts.days * DAY_SECONDS
    weeks = periods(of, begin, facts.now, WEEK_SECONDS)
    return Page(
        app=facts.app,
        ranges=tuple(
            Range(days, address(facts.app, "statistics", days=str(days)), days == facts.days)
            for days in RANGES
        ),
        days=facts.days,
        deploys=whole.counted,
        unfinished=len(facts.pasts) - len(of),
        numbers=_numbers(facts, whole),
        charts=(
            _daily(of, begin, facts.now),
            _weekly("lead", "Lead time for changes", "median, by week", weeks, lambda f: f.lead),
            _weekly(
                "failures",
                "Change failure rate",
                "by week",
                weeks,
                lambda f: f.failure_rate,
                _percent,
                role="failed",
            ),
            _weekly("restore", "Time to restore", "median, by week", weeks, lambda f: f.restore),
            _weekly(
                "size", "Changes in a deploy", "median, by week", weeks, lambda f: f.changes, _plain
            ),
        ),
    )


def _deploys(facts: Facts) -> list[Deploy]:
    """Rollouts as deploys; each change counts for the first that brings it."""
    were_live = {turn.rollout: turn.at for turn in facts.turns if turn.phase is Phase.SUCCEEDED}
    seen: set[str] = set()
    found = []
    for past in facts.pasts:
        release = facts.bringing.get(past.release)
        merged = {} if release is None else _merged(release)
        live_at = past.ended_at if past.phase is Phase.SUCCEEDED else were_live.get(past.id)
        known = facts.builds.get(past.target)
        found.append(
            Deploy(
                began=past.started_at,
                live_at=live_at,
                back_at=past.ended_at if past.phase is Phase.REVERTED else None,
                hotfix=past.hotfix,
                merged=tuple(at for commit, at in merged.items() if at > 0 and commit not in seen),
                changes=None if release is None else len(merged),
                size=None if known is None else known.new_bytes,
            )
        )
        if live_at is not None:
            seen |= merged.keys()
    return found


def _merged(release: Bringing) -> dict[str, float]:
    """When each change was merged that is in the release at last."""
    merged = {change.commit: change.merged_at for change in release.changes}
    for pick in release.picks:
        if pick.kind is PickKind.HOTFIX:
            merged[pick.change.commit] = pick.change.merged_at
        else:
            merged.pop(pick.change.commit, None)
    return merged


def _numbers(facts: Facts, whole: Figures) -> tuple[Number, ...]:
    lead = (
        f"median from merged to live everywhere; nine of ten within {lasted(whole.lead_90)}"
        if whole.lead_90 is not None
        else "no release tells when its changes were merged"
    )
    return (
        Number(
            "Deploys a day",
            f"{whole.live / facts.days:.1f}",
            f"{count(whole.live, 'deploy')} went live in {facts.days} days",
        ),
        Number("Lead time for changes", _time(whole.lead), lead),
        Number(
            "Change failure rate",
            _percent(whole.failure_rate),
            f"{whole.failed} of {count(whole.counted, 'deploy')} were taken back, "
            "or followed by a hotfix",
        ),
        Number(
            "Time to restore",
            _time(whole.restore),
            "median from the beginning of a deploy that failed until all nodes were well again",
        ),
        Number(
            "Size",
            _plain(whole.changes) if whole.changes is not None else _bytes(whole.size),
            f"changes in a deploy (median), {_bytes(whole.size)} of new content"
            if whole.changes is not None
            else "of new content in a deploy (median)",
        ),
    )


def _daily(of: Sequence[Judged], begin: float, end: float) -> Chart:
    """Deploys that began on each day, those that failed on top of the others."""
    days = periods(of, begin, end, DAY_SECONDS)
    top = max([1, *(day.figures.counted for day in days)])
    bars, lines = [], []
    for index, day in enumerate(days):
        good, failed = day.figures.counted - day.figures.failed, day.figures.failed
        said = count(day.figures.counted, "deploy") + (f", {failed} failed" if failed else "")
        label = f"{_day(day.begin)}: {said}"
        if good:
            bars.append(_bar(index, len(days), 0, good / top, "done", label))
        if failed:
            bars.append(_bar(index, len(days), good / top, failed / top, "failed", label))
        lines.append(Line(_day(day.begin), said))
    total = sum(day.figures.counted for day in days)
    return Chart(
        name="deploys",
        title="Deploys a day",
        summary=f"{count(total, 'deploy')}, at most {top} on a day; failed ones in outline",
        begin=_day(begin),
        end=_day(end),
        bars=tuple(bars),
        lines=tuple(lines),
    )


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else lasted(seconds)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.0f} %"


def _plain(amount: float | None) -> str:
    return "–" if amount is None else f"{amount:g}"


def _bytes(amount: float | None) -> str:
    return "–" if amount is None else size(round(amount))


def _weekly(
    name: str,
    title: str,
    how: str,
    weeks: Sequence[Period],
    value: Callable[[Figures], float | None],
    show: Callable[[float | None], str] = _time,
    role: str = "new",
) -> Chart:
    values = [value(week.figures) for week in weeks]
    top = max([0.0, *(one for one in values if one is not None)])
    bars = [
        _bar(index, len(values), 0, one / top if top else 0, role, f"{_week(week)}: {show(one)}")
        for index, (week, one) in enumerate(zip(weeks, values, strict=True))
        if one is not None
    ]
    known = [one for one in values if one is not None]
    summary = f"{how}, from {show(min(known))} to {show(top)}" if known else "nothing to tell yet"
    return Chart(
        name=name,
        title=title,
        summary=summary,
        begin=_day(weeks[0].begin),
        end=_day(weeks[-1].end),
        bars=tuple(bars),
        lines=tuple(Line(_week(week), show(one)) for week, one in zip(weeks, values, strict=True)),
    )


def _bar(index: int, of: int, below: float, share: float, role: str, label: str) -> Bar:
    """A bar that stands on the share ``below``; what is not nothing is at least seen."""
    slot = WIDTH / of
    height = max(2.0, share * HEIGHT)
    return Bar(
        x=round(index * slot + slot * 0.12, 2),
        y=round(HEIGHT - below * HEIGHT - height, 2),
        width=round(slot * 0.76, 2),
        height=round(height, 2),
        role=role,
        label=label,
    )


def _week(week: Period) -> str:
    return f"{_day(week.begin)} to {_day(week.end)}"


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


async def gather(plane: ControlPlane, app: str, days: int) -> Facts:
    """An app's rollouts of so many days. Raises NotFound."""
    now = plane.clock()
    return await plane.database.read(lambda c: _read(c, app, days, now))


def _read(connection: Connection, app: str, days: int, now: float) -> Facts:
    look(connection, app, now)
    pasts = rollouts.since(connection, app, now - days * DAY_SECONDS)
    back: Collection[str] = [past.id for past in pasts if past.phase is Phase.REVERTED]
    return Facts(
        app=app,
        now=now,
        days=days,
        pasts=pasts,
        turns=journal.turns(connection, back),
        bringing=releases.bringing(connection, {past.release for past in pasts if past.release}),
        builds=builds.named(connection, app, {past.target for past in pasts}),
    )
