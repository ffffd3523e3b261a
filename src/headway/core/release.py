"""Releases: what may enter one, what its branch and tags are called, and what its notes say.

A release is cut from the main branch, and after that only what is picked onto its branch changes
it. Nothing enters that the gate objects to, unless a person overrules it, which is written down.
Each pick makes a new head, and so the build of the one before is the release's no longer.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import structs

from headway.core import paths, words
from headway.errors import Refused
from headway.model.release import (
    Built,
    Change,
    CheckState,
    CommitId,
    Cut,
    Lane,
    OpenRevert,
    Picked,
    PickKind,
    Pushed,
    PushRelease,
    Release,
    ReleaseDecision,
    ReleaseEvent,
    Review,
    Tag,
)
from headway.model.releasing import ConfigLane, Need

MAX_PATHS = 200
"""So many of a change's files are kept; more are counted."""

_DARK = re.compile(r"DARK\b")


def is_dark(subject: str) -> bool:
    """Whether the subject begins with the word DARK."""
    return _DARK.match(subject) is not None


def is_all_dark(release: Release) -> bool:
    """Whether everything in it is dark, so that it may take the short path."""
    brought = [*release.changes, *(pick.change for pick in release.picks)]
    return bool(brought) and all(change.dark for change in brought)


def is_hotfix(release: Release) -> bool:
    """Whether something was picked onto it after it was cut."""
    return bool(release.picks)


def lane_of(touched: Sequence[str], config: ConfigLane | None) -> Lane:
    """The lane of a change that touches these files; all of them, none left out."""
    ours = config.paths if config is not None else ()
    only_config = bool(touched) and all(paths.matches(path, ours) for path in touched)
    return Lane.CONFIG if only_config else Lane.CODE


def touches_config(touched: Iterable[str], config: ConfigLane) -> bool:
    """Whether a change has something for the config lane, whatever else it touches."""
    return any(paths.matches(path, config.paths) for path in touched)


def objections(change: Change, needs: Sequence[Need]) -> tuple[str, ...]:
    """What keeps a change from entering, a sentence each. The config lane needs no tests."""
    named = name(change)
    found = []
    if Need.REVIEW in needs and change.review is not Review.APPROVED:
        said = {
            Review.REFUSED: "a reviewer has asked for changes",
            Review.MISSING: "nobody has approved it",
        }
        found.append(f"{named}: {said.get(change.review, 'no review of it is known')}")
    if Need.TESTS in needs and change.lane is Lane.CODE and change.tests is not CheckState.GREEN:
        said_of = {
            CheckState.RED: "its checks have failed",
            CheckState.RUNNING: "its checks still run",
        }
        found.append(f"{named}: {said_of.get(change.tests, 'no checks of it are known')}")
    return tuple(found)


def fit(changes: Sequence[Change], needs: Sequence[Need], most: int) -> tuple[Change, ...]:
    """The first changes up to the one before which the gate is closed, and ``most`` of them."""
    ready = []
    for change in changes[:most]:
        if objections(change, needs):
            break
        ready.append(change)
    return tuple(ready)


def branch_of(app: str, number: int) -> str:
    """The name of a release's branch."""
    return f"release/{app}-{number}"


def tag_of(app: str, number: int, state: int) -> str:
    """The name of a release's tag: ``web-3.0`` when it is cut, ``web-3.1`` after a pick."""
    return f"{app}-{number}.{state}"


def id_of(app: str, number: int) -> str:
    """A release's id."""
    return f"{app}-r{number}"


def cut(
    *,
    app: str,
    number: int,
    lane: Lane,
    base: CommitId | None,
    main: CommitId,
    changes: tuple[Change, ...],
    needs: Sequence[Need],
    returning: Sequence[str],
    by: str,
    reason: str,
    override: str,
    now: float,
) -> ReleaseDecision:
    """Make a release of ``changes``. Raises Refused when there are none, or the gate is closed.

    ``returning`` are sentences on changes that were taken back on an earlier release and that
    main still has. With ``override``, a reason, what is objected to enters, and is written down.
    Without a ``base``, nothing was live before, and everything is new.
    """
    if base is not None and not changes:
        raise Refused(f"nothing was merged since what is live ({base[:12]}); there is no release")
    against = [*returning, *(text for change in changes for text in objections(change, needs))]
    _gate(against, override, "cut it before that with --until, or ")
    tag = Tag(tag_of(app, number, 0), main)
    what = words.count(len(changes), "change") if base is not None else "everything so far"
    why = f"{by} cuts {id_of(app, number)} with {what}" + (f": {reason}" if reason else "")
    state = Release(
        id=id_of(app, number),
        app=app,
        number=number,
        lane=lane,
        branch=branch_of(app, number),
        base=base,
        main=main,
        tags=(tag,),
        changes=changes,
        by=by,
        at=now,
        why=_overruled(why, against, override),
        reason=reason,
        overrides=tuple(against),
    )
    return ReleaseDecision(state, (PushRelease(state.id, state.branch, tag),), state.why)


def decide(
    state: Release, event: ReleaseEvent, needs: Sequence[Need] = (), asks: Sequence[OpenRevert] = ()
) -> ReleaseDecision:
    """What ``event`` leads to. ``asks`` are reverts on main to ask for. Raises Refused."""
    match event:
        case Picked():
            return _picked(state, event, needs, asks)
        case Pushed(commit=commit):
            why = f"the repository has {state.id} up to {commit[:12]}"
            return ReleaseDecision(structs.replace(state, pushed=commit), (), why)
        case Built(build=build, commit=commit, by=by):
            if commit != state.head or state.build == build:
                return ReleaseDecision(state, (), state.why)
            why = f"{by} has published {build[:12]}, the build of {state.tags[-1].name}"
            return ReleaseDecision(structs.replace(state, build=build, why=why), (), why)
        case Cut():
            raise Refused(f"{state.id} is cut already")


def _picked(
    state: Release, event: Picked, needs: Sequence[Need], asks: Sequence[OpenRevert]
) -> ReleaseDecision:
    against = [
        text
        for pick in event.picks
        if pick.kind is PickKind.HOTFIX
        for text in objections(pick.change, needs)
    ]
    _gate(against, event.override)
    last = event.picks[-1]
    tag = Tag(tag_of(state.app, state.number, len(state.tags)), last.commit)
    verb = "takes back" if last.kind is PickKind.REVERT else "picks"
    what = ", ".join(name(pick.change) for pick in event.picks)
    why = f"{last.by} {verb} {what} on {state.id}, now {tag.name}"
    why += f": {last.reason}" if last.reason else ""
    why = _overruled(why, against, event.override)
    picked = structs.replace(
        state,
        tags=(*state.tags, tag),
        picks=(*state.picks, *event.picks),
        build=None,
        overrides=(*state.overrides, *against),
        why=why,
    )
    push = PushRelease(state.id, state.branch, tag, expect=state.head)
    return ReleaseDecision(picked, (push, *asks), why)


def returning(
    earlier: Iterable[Release], still: frozenset[CommitId], brought: Iterable[Change]
) -> tuple[str, ...]:
    """A sentence for each change that a revert took off a release, and that comes back with main.

    ``still`` are the commits that main has and has not taken back.
    """
    back = {
        pick.change.commit: f"{name(pick.change)} was taken back on {release.id}, and main still "
        "has it: merge its revert first"
        for release in earlier
        for pick in release.picks
        if pick.kind is PickKind.REVERT and pick.change.commit in still
    }
    again = {change.commit for change in brought}
    return tuple(text for commit, text in back.items() if commit not in again)


def find(changes: Iterable[Change], wanted: str) -> tuple[Change, ...]:
    """The changes that ``#12``, ``12`` or the first digits of a commit name; oldest first."""
    number = wanted.removeprefix("#")
    by_number = tuple(c for c in changes if number.isdigit() and c.number == int(number))
    if by_number or wanted.startswith("#"):
        return by_number
    if not re.fullmatch("[0-9a-f]{6,64}", wanted):
        return ()
    return tuple(change for change in changes if change.commit.startswith(wanted))


def name(change: Change) -> str:
    """A change, as people name it: ``#12 "Faster search"``, or its commit's first digits."""
    short = f"#{change.number}" if change.number is not None else change.commit[:12]
    return f'{short} "{change.subject[:60]}"'


def notes(release: Release) -> str:
    """The release notes, in Markdown."""
    parts = [f"# {release.tags[-1].name}", ""]
    kinds = (
        ("Changes", [c for c in release.changes if not c.dark and c.lane is release.lane]),
        ("Dark", [c for c in release.changes if c.dark]),
        ("Of the other lane", [c for c in release.changes if c.lane is not release.lane]),
        ("Hotfixes", [p.change for p in release.picks if p.kind is PickKind.HOTFIX]),
        ("Taken back", [p.change for p in release.picks if p.kind is PickKind.REVERT]),
    )
    for title, changes in kinds:
        if changes:
            parts += [f"## {title}", "", *(_line(change) for change in changes), ""]
    if release.overrides:
        parts += ["## Entered against the gate", ""]
        parts += [f"- {_plain(text)}" for text in release.overrides]
        parts.append("")
    if len(parts) == 2:
        parts.append("Everything so far.")
    return "\n".join(parts).rstrip() + "\n"


def _line(change: Change) -> str:
    short = f"#{change.number}" if change.number is not None else change.commit[:12]
    link = f"[{short}]({change.url})" if re.fullmatch(r"https?://[^\s()<>]+", change.url) else short
    return f"- {_plain(change.subject)} ({link}, {_plain(change.author)})"


def _plain(text: str) -> str:
    """Text from elsewhere, in which no Markdown and no HTML is read."""
    return re.sub(r"([\\`*_\[\]<>&|~#])", r"\\\1", " ".join(text.split()))


def _gate(against: Sequence[str], override: str, instead: str = "") -> None:
    if against and not override:
        more = f"; and {len(against) - 3} more" if len(against) > 3 else ""
        raise Refused(
            f"not everything may enter: {'; '.join(against[:3])}{more}; {instead}overrule it with "
            "--override REASON"
        )


def _overruled(why: str, against: Sequence[str], override: str) -> str:
    if not against:
        return why
    return f"{why} (overrules the gate: {override}; it objected that {'; '.join(against[:3])})"
