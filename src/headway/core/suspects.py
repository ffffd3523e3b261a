"""Which of a release's changes is to blame for a failing metric.

A metric may name the files that it points at (``paths``). A change that touches such files comes
first, and of those the one with the largest share of its files among them; then one whose
subject names the metric. Dark changes come last: they should not be seen anywhere. Where nothing
tells changes apart, none is named as sure.
"""

from collections.abc import Sequence

from msgspec import Struct

from headway.core import paths, words
from headway.core.release import name
from headway.model.plan import Metric
from headway.model.release import Change, PickKind, Release


class Suspect(Struct, frozen=True):
    """A change, why it is suspected, and how strongly: more is more, 0 is no evidence."""

    change: Change
    why: str
    weight: float


def suspects(release: Release, failing: Sequence[Metric]) -> tuple[Suspect, ...]:
    """The changes that are in the release now, the most suspected first."""
    back = {pick.change.commit for pick in release.picks if pick.kind is PickKind.REVERT}
    fixes = [pick.change for pick in release.picks if pick.kind is PickKind.HOTFIX]
    brought = [c for c in (*release.changes, *fixes) if c.commit not in back]
    found = [_judged(change, failing, len(brought)) for change in brought]
    return tuple(sorted(found, key=lambda one: (-one.weight, one.change.dark)))


def named(ranking: Sequence[Suspect]) -> Suspect | None:
    """The one suspect that stands out, or None where a person has to say."""
    if not ranking or ranking[0].weight <= 0:
        return None
    alone = len(ranking) == 1 or ranking[0].weight > ranking[1].weight
    return ranking[0] if alone else None


def sentence(ranking: Sequence[Suspect], failing: Sequence[Metric]) -> str:
    """What is known of who is to blame."""
    what = ", ".join(metric.name for metric in failing) or "no metric"
    if (one := named(ranking)) is not None:
        return f"{name(one.change)} is suspected: {one.why}"
    if not ranking:
        return "the release has no changes that could be to blame"
    if not failing:
        return "no metric fails, so nothing points at a change; name one"
    equal = [one for one in ranking if one.weight == ranking[0].weight]
    return (
        f"nothing tells {words.count(len(equal), 'change')} apart for {what}; name one, or let "
        "`headway release bisect` find it"
    )


def _judged(change: Change, failing: Sequence[Metric], of: int) -> Suspect:
    if of == 1:
        return Suspect(change, "it is the only change", 1.0)
    weight, reasons = 0.0, []
    for metric in failing:
        touched = [path for path in change.paths if paths.matches(path, metric.paths)]
        if touched:
            weight += 2.0 + len(touched) / (len(change.paths) + change.more)
            reasons.append(f"it touches {touched[0]}, which {metric.name} points at")
        if metric.name.lower() in change.subject.lower():
            weight += 1.0
            reasons.append(f"its subject speaks of {metric.name}")
    return Suspect(change, "; ".join(reasons) or "nothing points at it", weight)
