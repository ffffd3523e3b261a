"""The whole screen as lines of text: which part stands where, and what it shows."""

from datetime import UTC, datetime

from msgspec import Struct
from rich.text import Text

from headway.cli.screen import line, said
from headway.cli.wording import duration
from headway.model.picture import EntryLine, Picture
from headway.monitor import drawing, node_map
from headway.monitor.keys import deeds, word
from headway.monitor.layout import Want, share
from headway.monitor.look import clickable, fit, folded, rule

LATE_SECONDS = 12.0
"""So long after the last look the picture counts as not live: two looks have failed to come."""


class View(Struct, frozen=True):
    """A picture, and what else the screen tells.

    ``now`` is the server's time; ``age`` is how long ago the picture was taken, in seconds, and
    ``trouble`` why there is no newer one. ``notice`` is the answer to the last key. ``scroll`` is
    how many lines of the journal are above its window.
    """

    picture: Picture
    now: float
    may_act: bool = False
    age: float = 0.0
    trouble: str = ""
    notice: str = ""
    alarming: bool = False
    scroll: int = 0
    choice: bool = False

    @property
    def live(self) -> bool:
        """Whether the picture is what is, as far as anybody knows."""
        return not self.trouble and self.age < LATE_SECONDS


class Face(Struct, frozen=True):
    """The lines, and where the map and the journal stand: their first line and their height."""

    lines: list[Text]
    map: tuple[int, int]
    journal: tuple[int, int]


def draw(view: View, width: int, height: int) -> Face:
    """All of it, in exactly ``height`` lines of ``width`` cells."""
    picture, now = view.picture, view.now
    head = drawing.top(picture, _clock(now), width)
    if not view.live:
        head += _lost(view, width)
    foot = [*_notice(view, width), _keys(view, width)]
    room = max(0, height - len(head) - len(foot))
    banner = drawing.banner(picture, now, width, max(4, min(10, room // 3)), may_act=view.may_act)
    room -= len(banner)
    beside = max(
        len(picture.rollout.steps) if picture.rollout else 1,
        len(picture.rollout.verdicts) if picture.rollout else 1,
    )
    whole = node_map.rows_wanted(picture, width)
    wants = {
        "pipeline": Want(2, drawing.pipeline_rows(picture)),
        "plan": Want(3, min(1 + beside, max(4, room // 3))),
        "map": Want(min(3, whole), min(whole, max(4, room // 3))),
        "journal": Want(3, room),
    }
    rows = share(room, wants)
    lines = [
        *head,
        *banner,
        *_pad(drawing.pipeline(picture, width, rows["pipeline"]), rows["pipeline"]),
    ]
    lines += _pad(_plan(picture, now, width, rows["plan"]), rows["plan"])
    map_at = len(lines)
    lines += _pad(node_map.draw(picture, width, rows["map"]), rows["map"])
    journal_at = len(lines)
    lines += _pad(_journal(view, width, rows["journal"]), rows["journal"])
    fitted = [fit(one, width) for one in (*_pad(lines, height - len(foot)), *foot)]
    return Face(fitted[:height], (map_at, rows["map"]), (journal_at, rows["journal"]))


def _plan(picture: Picture, now: float, width: int, height: int) -> list[Text]:
    """The steps and, beside them, the verdicts."""
    left = min(width // 2, 46)
    steps = _pad(drawing.steps(picture, now, left - 1, height), height)
    said_ = _pad(drawing.verdicts(picture, width - left, height), height)
    return [line(fit(a, left - 1), " ", b) for a, b in zip(steps, said_, strict=True)]


def _journal(view: View, width: int, height: int) -> list[Text]:
    lines = [rule(["Journal"], width)]
    rows: list[Text] = []
    for entry in view.picture.journal:
        if len(rows) >= view.scroll + height:
            break
        rows += _entry(entry, width)
    return [*lines, *rows[view.scroll : view.scroll + height - 1]][:height]


def journal_rows(picture: Picture, width: int) -> int:
    """How many lines all of the journal takes that a picture has."""
    return sum(len(_entry(entry, width)) for entry in picture.journal)


def _entry(entry: EntryLine, width: int) -> list[Text]:
    local = _local(entry.at)
    at = f"{local:%H:%M:%S}" if local else " " * 8
    actor = line(said(entry.actor, "bold"), ": ") if entry.actor else said("")
    return folded(said(f" {at}", "dim"), line(actor, entry.why), width, 3)


def _lost(view: View, width: int) -> list[Text]:
    told = f" NOT LIVE, {duration(view.age)} old: {view.trouble or 'no answer yet'} "
    rows = folded("", said(told), width - 1, 2)
    return [fit(row, width) for row in (Text(row.plain, "bold reverse yellow") for row in rows)]


def _notice(view: View, width: int) -> list[Text]:
    if not view.notice:
        return []
    style = "bold yellow" if view.alarming else "bold"
    return folded(said(" »", style), said(view.notice, style), width, 3)


def _keys(view: View, width: int) -> Text:
    """The keys that do something now; each can be clicked."""
    parts: list[Text] = []
    if view.may_act:
        parts += [
            _key(deed.key, word(deed), f"app.deed('{deed.key}')") for deed in deeds(view.picture)
        ]
    parts.append(_key("⏎", "nodes", "app.nodes"))
    if view.choice:
        parts.append(_key("o", "apps", "app.choose"))
    parts += [_key("?", "help", "app.help"), _key("q", "quit", "app.leave")]
    return fit(line(" ", *parts), width)


def _key(key: str, does: str, click: str) -> Text:
    return clickable(line(said(key, "bold reverse"), said(f" {does}  ")), click)


def _clock(moment: float) -> str:
    local = _local(moment)
    if local is None:
        return ""
    if local.utcoffset():
        return f"{local:%H:%M:%S} ({local.astimezone(UTC):%H:%M} UTC) "
    return f"{local:%H:%M:%S} UTC "


def _local(moment: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(moment, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def _pad(lines: list[Text], height: int) -> list[Text]:
    return [*lines[:height], *(Text() for _ in range(height - len(lines)))]
