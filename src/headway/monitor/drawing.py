"""The parts of the picture as lines of text, each as wide and as high as it is told.

All of it is pure: a picture, the moment and a size in, lines out.
"""

from rich.text import Text

from headway.cli.screen import line, said
from headway.cli.wording import ago, duration, short
from headway.core.words import held
from headway.model.hold import Hold
from headway.model.picture import BuildLine, Picture, TierLine
from headway.monitor.keys import deeds
from headway.monitor.look import (
    PLACES,
    ROLES,
    STATES,
    TONES,
    fit,
    folded,
    mark,
    rule,
    spread,
)

BAR_CELLS = 24
MOST_ALARMS = 3
MOST_HOLDS = 2


def top(picture: Picture, clock: str, width: int) -> list[Text]:
    """The app and its train, and what time it is."""
    train = picture.train
    parts: list[str | Text] = [said(f" {picture.app} ", "bold reverse"), " train ", train.topic]
    if train.leader:
        parts.append(said(f"  led by {train.leader}", "dim"))
    return [spread(line(*parts), said(clock, "dim"), width)]


def banner(picture: Picture, now: float, width: int, height: int, *, may_act: bool) -> list[Text]:
    """Where the app stands, what is on fire, what keeps it, and the one thing to do."""
    seen, style = picture.banner, TONES[picture.banner.tone]
    title = line(said(f" {seen.symbol} {seen.word}", style), said(f"  {seen.where}", "bold"))
    lines = [spread(title, said(_timing(picture, now), "bold"), width)]
    urgent = _urgent(picture, width)
    doing = _doing(picture, width, may_act=may_act)
    most = max(1, min(3, height - len(lines) - len(urgent) - len(doing)))
    lines += folded("  ", said(seen.sentence), width, most)
    room = max(0, height - len(lines) - len(doing))
    if len(urgent) > room:
        urgent = [
            *urgent[: room - 1],
            said(f"   and {len(urgent) - room + 1} more lines", "yellow"),
        ]
    return [*lines, *(urgent if room else []), *doing][:height]


def _timing(picture: Picture, now: float) -> str:
    """How long it still takes by itself, or how long ago it began or ended."""
    until, rollout = picture.actions.until, picture.rollout
    if until is not None:
        return f"{duration(until - now)} to go"
    if rollout is None:
        return ""
    if rollout.ended_at is not None:
        return f"ended {ago(rollout.ended_at, now)}"
    return f"begun {ago(rollout.started_at, now)}"


def _urgent(picture: Picture, width: int) -> list[Text]:
    lines: list[Text] = []
    if picture.banner.because:
        lines += folded(said(" ↺", "bold red"), said(picture.banner.because, "bold"), width, 2)
    for alarm in picture.alarms[:MOST_ALARMS]:
        lines += folded(line(" ", mark(alarm.state)), said(alarm.sentence, "bold"), width, 1)
    if (more := len(picture.alarms) - MOST_ALARMS) > 0:
        lines.append(said(f"   and {more} more alarms", "yellow"))
    for blocker in picture.actions.blockers:
        lines += folded(said(" !", "yellow"), said(blocker, "yellow"), width, 2)
    for hold in picture.holds[:MOST_HOLDS]:
        told = f"{hold.on} is held by {hold.by} for that" if _is_why(hold, picture) else held(hold)
        lines += folded(said(" =", "magenta"), said(told, "magenta"), width, 2)
    if (more := len(picture.holds) - MOST_HOLDS) > 0:
        lines.append(said(f"   and {more} more holds: headway hold list", "magenta"))
    shown = {held(hold) for hold in picture.holds}
    for sentence in picture.idle:
        if sentence not in shown and not sentence.startswith("nothing is rolling out"):
            lines += folded(said(" ·", "dim"), said(sentence), width, 1)
    return lines


def _is_why(hold: Hold, picture: Picture) -> bool:
    """Whether the screen says already why there is this hold: it came with the revert."""
    return bool(hold.reason) and hold.reason in picture.banner.because


def _doing(picture: Picture, width: int, *, may_act: bool) -> list[Text]:
    """What to do next, with its key for those who may."""
    actions = picture.actions
    if actions.next is not None:
        key = next((deed.key for deed in deeds(picture) if deed.button == actions.next), "")
        label = said(f" {actions.next.label} ", "bold reverse")
        head = line(said(f" {key} ", "bold") if may_act and key else said("  "), label)
        why = actions.why if may_act else f"(takes a deployer) {actions.why}"
        return [fit(line(head, "  ", said(why, "dim")), width)]
    if actions.wait:
        return [
            fit(line(said(f" → {actions.wait}", "bold"), "  ", said(actions.why, "dim")), width)
        ]
    if actions.command:
        command = said(actions.command, "bold")
        return [fit(line(" → ", command, "  ", said(actions.why, "dim")), width)]
    return []


def pipeline(picture: Picture, width: int, height: int) -> list[Text]:
    """Tier after tier, how much of it runs which build; and which builds these are."""
    names = max((len(tier.tier) for tier in picture.tiers), default=0)
    legend = _builds(picture, width)
    tiers = picture.tiers
    room = height - 1
    shown = list(tiers)
    if len(shown) > room:
        first = next((n for n, tier in enumerate(tiers) if tier.current), 0)
        first = max(0, min(first, len(tiers) - room))
        shown = list(tiers[first : first + room])
    lines = [rule(["Pipeline"], width), *(_tier(tier, min(names, 20), width) for tier in shown)]
    if not tiers:
        lines.append(said(f"  {picture.calm}", "dim"))
    return [*lines, *legend][:height]


def pipeline_rows(picture: Picture) -> int:
    """How many lines the pipeline takes where there is room for all of it."""
    return 1 + max(1, len(picture.tiers)) + len(_named(picture))


def _named(picture: Picture) -> list[BuildLine]:
    """The builds that there is something to say of: the one that comes and the one before it."""
    rollout = picture.rollout
    if rollout is not None and rollout.running:
        return [build for build in (rollout.target, rollout.base) if build is not None]
    return [picture.live] if picture.live is not None else []


def _builds(picture: Picture, width: int) -> list[Text]:
    lines = []
    for build in _named(picture):
        glyph, style = ROLES.get(build.role, ROLES["other"])
        told: list[str | Text] = [said(f" {glyph} {build.role:<4}", style), " "]
        told.append(said(short(build.id), "bold"))
        if build.subject:
            told += [" ", build.subject]
        if build.by:
            told += [said(f"  by {build.by}", "dim")]
        lines.append(fit(line(*told), width))
    return lines


def _tier(tier: TierLine, names: int, width: int) -> Text:
    pointer = said("▸", "bold cyan") if tier.current else said(" ")
    name = fit(said(tier.tier, "bold" if tier.current else ""), names)
    bar = _bar(tier)
    troubled = [
        said(f" {count.nodes:,} {count.state}", STATES[count.state][1])
        for count in tier.states
        if count.state != "done" and count.state in STATES
    ]
    told = line(f" {tier.fraction:>6}", said(f" of {tier.nodes:,}", "dim"), *troubled)
    return fit(line(pointer, name, " ", bar, told), width)


def _bar(tier: TierLine) -> Text:
    """The tier's nodes by the build that they run; each build has at least one cell."""
    drawn, left = Text(), BAR_CELLS
    for place, share in enumerate(tier.shares):
        rest = len(tier.shares) - place - 1
        cells = max(1, min(left - rest, round(BAR_CELLS * share.nodes / max(1, tier.nodes))))
        glyph, style = ROLES.get(share.build.role, ROLES["other"])
        drawn.append(glyph * (left if not rest else cells), style)
        left -= cells
    return fit(drawn, BAR_CELLS)


def steps(picture: Picture, now: float, width: int, height: int) -> list[Text]:
    """The steps of the plan around the one that it stands at."""
    rollout = picture.rollout
    title = f"Plan {rollout.plan}" if rollout else "Plan"
    lines = [rule([title], width)]
    if rollout is None:
        return [*lines, said("  no rollout yet", "dim")][:height]
    room, found = height - 1, rollout.steps
    places = [step.place for step in found]
    at = next((n for n, place in enumerate(places) if place in ("current", "stopped")), 0)
    if places and all(place == "done" for place in places):
        at = len(places) - 1
    first = max(0, min(at - 1, len(found) - room))
    for step in found[first : first + max(0, room)]:
        sign, style = PLACES.get(step.place, PLACES["later"])
        told = step.terms if step.place == "later" else step.note
        if step.place == "current" and picture.actions.until is not None:
            told = f"{step.note}, {duration(picture.actions.until - now)} to go"
        name = said(step.title, style if step.place != "later" else "")
        lines.append(line(said(f" {sign} ", style), name, said(f"  {told}", "dim")))
    if first + room < len(found) and len(lines) > 1:
        more = len(found) - first - room
        lines[-1] = spread(lines[-1], said(f"+{more}", "dim"), width)
    return [fit(one, width) for one in lines[:height]]


def verdicts(picture: Picture, width: int, height: int) -> list[Text]:
    """What the guard and the smoke test say; what fails first."""
    lines = [rule(["Verdicts"], width)]
    found = picture.rollout.verdicts if picture.rollout else ()
    order = {"failed": 0, "unknown": 1}
    ranked = sorted(found, key=lambda verdict: order.get(verdict.state, 2))
    if not ranked:
        lines.append(said(f" {picture.calm or 'no metric is judged'}", "dim"))
    each = 2 if 2 * len(ranked) <= height - 1 else 1
    for verdict in ranked:
        told = said(verdict.sentence, "bold" if verdict.state == "failed" else "")
        lines += folded(line(" ", mark(verdict.state)), told, width, each)
    if len(lines) > height > 1:
        more = len(lines) - height
        lines[height - 1] = spread(lines[height - 1], said(f"+{more}", "dim"), width)
    return [fit(one, width) for one in lines[:height]]
