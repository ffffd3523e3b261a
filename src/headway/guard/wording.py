"""A finding as a verdict: an outcome, what follows, and one sentence with its number."""

import math

from headway.guard import reach
from headway.guard.judge import Finding
from headway.guard.numbers import Numbers
from headway.guard.terms import Terms
from headway.model.plan import Action, Guarding, Importance, Kind, Metric
from headway.model.verdict import Outcome, Verdict

_OUTCOMES = {
    Finding.PASSES: Outcome.PASS,
    Finding.THIN: Outcome.NO_DATA,
    Finding.DOUBTFUL: Outcome.NO_DATA,
    Finding.ALONE: Outcome.NO_DATA,
    Finding.SILENT: Outcome.NO_DATA,
    Finding.CANARY_SILENT: Outcome.FAIL,
    Finding.INCIDENT: Outcome.FAIL,
    Finding.WORSE: Outcome.FAIL,
    Finding.BEYOND: Outcome.FAIL,
    Finding.CHANGED: Outcome.FAIL,
}

_NOT_TO_BLAME = (Finding.INCIDENT, Finding.CHANGED)
"""Findings that never lead to more than a pause, and on metrics that are not critical to none."""

_STRENGTH = (Action.ALERT, Action.PAUSE, Action.REVERT)


def action(metric: Metric, guard: Guarding, finding: Finding) -> Action:
    """What follows from a failure: the weakest of what metric, app and finding allow."""
    allowed = [metric.action, guard.at_most]
    if metric.importance is Importance.WATCH:
        allowed.append(Action.ALERT)
    if finding in _NOT_TO_BLAME:
        critical = metric.importance is Importance.CRITICAL
        allowed.append(Action.PAUSE if critical else Action.ALERT)
    return min(allowed, key=_STRENGTH.index)


def verdict(
    metric: Metric,
    guard: Guarding,
    tier: str,
    terms: Terms,
    numbers: Numbers,
    finding: Finding,
    look: float,
) -> Verdict:
    """The verdict on one series. ``terms`` and ``numbers`` are its own; ``look`` is in seconds."""
    outcome = _OUTCOMES[finding]
    if finding is Finding.CANARY_SILENT and metric.importance is not Importance.CRITICAL:
        outcome = Outcome.NO_DATA
    score, limit = _score(metric, terms, numbers, finding)
    return Verdict(
        metric=metric.name,
        outcome=outcome,
        sentence=_sentence(metric, tier, terms, numbers, finding, look),
        action=action(metric, guard, finding),
        value=_finite(float(numbers.value)),
        score=_finite(score),
        limit=_finite(limit),
    )


def broken(metric: Metric, guard: Guarding, tier: str, what: str) -> Verdict:
    """The verdict where a source failed or gave what is no number: an error, never a pass."""
    sentence = f"{metric.name} on {tier} cannot be read: {what}"
    return Verdict(metric.name, Outcome.ERROR, sentence, action(metric, guard, Finding.INCIDENT))


_DOUBT = ": not enough to fail it, too much to pass it"


def _score(metric: Metric, terms: Terms, n: Numbers, finding: Finding) -> tuple[float, float]:
    if finding is Finding.DOUBTFUL:
        return _doubt(metric, terms, n)
    if finding is Finding.CHANGED or finding is Finding.INCIDENT:
        return float(n.control_score if finding is Finding.INCIDENT else n.canary_score), float(
            terms.z_limit
        )
    if metric.kind is Kind.COUNTS or n.log_e >= terms.log_limit:
        log_e, limit = float(n.log_e), float(terms.log_limit)
        if finding is Finding.BEYOND or math.isinf(limit):
            log_e, limit = float(n.line_log_e), float(terms.line_limit)
        return _exp(log_e), _exp(limit)
    if bool(terms.down) and not bool(terms.up):
        return math.exp(n.high), math.exp(-n.margin)
    return math.exp(n.low), math.exp(n.margin)


def _sentence(
    metric: Metric, tier: str, terms: Terms, n: Numbers, finding: Finding, look: float
) -> str:
    what, where = metric.name, f"{metric.name} on {tier}"
    score, limit = _score(metric, terms, n, finding)
    value, control = show(float(n.value), metric), show(float(n.control_value), metric)
    match finding:
        case Finding.SILENT:
            return f"{where}: neither build has said anything for {n.canary_silent * look:.0f} s"
        case Finding.CANARY_SILENT:
            silent = f"{n.canary_silent * look:.0f} s"
            return f"{where}: the new build is silent for {silent} while the old one speaks"
        case Finding.INCIDENT if n.control_streak > 0 and n.control_before > 0:
            times = times_of(float(n.control_value / n.control_before))
            return (
                f"{what} is {times} what it was before the deploy on the old build too "
                f"({control}, {abs(score):.1f} standard deviations): an incident, not this build"
            )
        case Finding.INCIDENT:
            return f"{where} {value}, and {control} on the old build: an incident, not this build"
        case Finding.WORSE if metric.kind is Kind.COUNTS or n.log_e >= terms.log_limit:
            return (
                f"{where} {_ratio(n)} ({value} against {control}), "
                f"e-value {_count(score)} ≥ {_count(limit)}"
            )
        case Finding.WORSE:
            side = "at least" if n.low > 0 else "at most"
            sure = n.low if n.low > 0 else n.high
            return (
                f"{where} {_ratio(n)} ({value} against {control}), "
                f"{side} {times_of(math.exp(sure))} for certain, {times_of(limit)} is the limit"
            )
        case Finding.BEYOND:
            high = bool(n.value > n.above)
            line = show(float(n.above if high else n.below), metric)
            side = f"{value}, {'above' if high else 'below'} {line}"
            if metric.kind is Kind.COUNTS:
                return f"{where} {side}, e-value {_count(score)} ≥ {_count(limit)}"
            return f"{where} {side} for {n.line_streak:.0f} looks in a row"
        case Finding.CHANGED:
            side = "above" if score > 0 else "below"
            return (
                f"{where} {value}, {abs(score):.1f} standard deviations {side} the time before "
                "the deploy, and no old build is left to compare with"
            )
        case Finding.ALONE:
            return f"{where}: there is no old build to compare with, and no fixed line"
        case Finding.THIN:
            return f"{where}: {_thin(metric, terms, n)}"
        case _:
            end = _DOUBT if finding is Finding.DOUBTFUL else ""
            return f"{where} {value}, {_in_line(metric, n, score, limit)}{end}"


def _doubt(metric: Metric, terms: Terms, n: Numbers) -> tuple[float, float]:
    """(e-value, limit) of the comparison that is closest to failing."""
    pairs = [(float(n.log_e), float(terms.log_limit))]
    if metric.kind is Kind.COUNTS:
        pairs.append((float(n.line_log_e), float(terms.line_limit)))
    log_e, limit = max(pairs, key=lambda pair: pair[0] / pair[1])
    return _exp(log_e), _exp(limit)


def _thin(metric: Metric, terms: Terms, n: Numbers) -> str:
    per = metric.per or "seconds"
    seen = f"{_count(float(n.exposure))} {per} so far"
    if n.exposure < metric.min_count:
        return f"{seen}, {_count(metric.min_count)} needed"
    if metric.kind is not Kind.COUNTS or math.isinf(terms.log_limit) or n.control_exposure <= 0:
        return f"{seen} are too few to see {times_of(float(terms.detect))} the old build's value"
    rate = (float(n.control) + 0.5) / float(n.control_exposure)
    smallest = reach.detectable(
        bool(terms.up),
        rate,
        float(n.exposure),
        float(n.control_exposure),
        float(n.margin),
        float(n.phi),
        float(terms.log_limit),
    )
    could = f"would show {show(smallest * rate, metric)}" if terms.up else "would show a fall"
    if math.isinf(smallest):
        could = "would show nothing"
    more = f", it takes about {n.needed:.2g} times as many" if n.needed < 1e4 else ""
    return f"{seen} {could}, {show(_wanted(terms, rate), metric)} must be seen{more}"


def _wanted(terms: Terms, rate: float) -> float:
    if not terms.up:
        return rate / float(terms.detect)
    return max(rate * float(terms.detect), float(terms.floor))


def _in_line(metric: Metric, n: Numbers, score: float, limit: float) -> str:
    if not math.isfinite(limit) or n.control_exposure <= 0:
        return "in line"
    if metric.kind is Kind.COUNTS:
        return f"{_ratio(n)}, e-value {_count(score)} < {_count(limit)}"
    return f"{_ratio(n)}, in line"


def show(value: float, metric: Metric) -> str:
    """A share as a percentage, everything else as a plain number."""
    if metric.per is not None and metric.kind is Kind.COUNTS and value <= 1.0:
        return f"{value * 100:.3g} %"
    return f"{value:.3g}"


def times_of(ratio: float) -> str:
    """A ratio as people write it: 4.1×."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def _ratio(n: Numbers) -> str:
    if not n.control_value > 0:
        return "where control has none"
    return f"{times_of(float(n.value / n.control_value))} control"


def _count(number: float) -> str:
    if number >= 1e9:
        return "more than 1,000,000,000"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _exp(logarithm: float) -> float:
    return math.exp(min(logarithm, 700.0))


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
