"""One false-alarm budget for a rollout, split over its metrics, tests and steps.

By Bonferroni's inequality the chance that any of several tests cries wolf is at most the sum of
their chances, whatever they have to do with each other. Half of the budget is for the critical
metrics and half for the ordinary ones, evenly within; a class that is empty leaves its half to the
other. The products of likelihood ratios run through the whole rollout and need no split over
steps. A confidence sequence begins anew with each step, so its share is divided by their number.
Watch-only metrics only alert; they have as much again among themselves.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from headway.model.plan import Importance, Kind, Metric


class Allowance(Struct, frozen=True):
    """A metric's share of the budget, by test: a probability of blaming a healthy build."""

    control: float
    """For the products of likelihood ratios, new build against old."""
    sequence: float
    """For each step's confidence sequence, of continuous quantities."""
    line: float
    """For the fixed line, ``above`` or ``below``, of counts."""


def split(metrics: Sequence[Metric], budget: float, steps: int) -> tuple[Allowance, ...]:
    """Each metric's allowance, in their order. ``steps`` is the number of judged steps."""
    classes = Counter(metric.importance for metric in metrics)
    rivals = len({c for c in classes if c is not Importance.WATCH})
    allowances = []
    for metric in metrics:
        alone = metric.importance is Importance.WATCH or rivals < 2
        share = budget / (1 if alone else 2) / classes[metric.importance]
        counts = metric.kind is Kind.COUNTS
        line = counts and (metric.above is not None or metric.below is not None)
        each = share / max(metric.compare * (1 if counts else 2) + line, 1)
        allowances.append(Allowance(each, each / max(steps, 1), each))
    return tuple(allowances)
