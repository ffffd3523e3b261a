"""A metric in words: what it is, how it is judged, and where it stands."""

from headway.guard.budget import Allowance, split
from headway.guard.evidence import Bench
from headway.guard.record import Record
from headway.guard.wording import show, times_of
from headway.model.plan import Action, AppConfig, Direction, Guarding, Importance, Kind, Metric
from headway.model.verdict import Verdict

_WORSE = {Direction.UP: "more", Direction.DOWN: "less", Direction.BOTH: "more or less"}


def explain(
    app: AppConfig,
    metric: Metric,
    query: str,
    steps: int,
    record: Record | None = None,
    bench: Bench | None = None,
    said: Verdict | None = None,
) -> tuple[str, ...]:
    """Sentences about a metric of an app; with a rollout's record, about that rollout."""
    metrics = record.settings.metrics if record else app.metrics
    guard = record.settings.guard if record else app.guard
    places = [one.name for one in metrics]
    allowances = record.settings.allowances if record else split(metrics, guard.false_alarms, steps)
    index = places.index(metric.name)
    sentences = [
        _what(metric, query),
        _budget(metric, guard, allowances[index]),
        *_fails(metric, allowances[index]),
        _passes(metric),
        _follows(metric, guard),
    ]
    if said is not None:
        sentences.append(f"The last verdict: {said.sentence}.")
    if bench is not None:
        numbers = bench.numbers().of(index)
        if float(numbers.phi) > 1.05:
            sentences.append(
                f"It varies {float(numbers.phi):.1f} times as much as chance from look to look, and"
                " is judged that much more slowly."
            )
    return tuple(sentences)


def _what(metric: Metric, query: str) -> str:
    per = f"per {metric.per}" if metric.per else "per second and node"
    kind = "events" if metric.kind is Kind.COUNTS else "a quantity"
    return f"{metric.name} is {metric.counter} {per}, {kind}; from {query}."


def _budget(metric: Metric, guard: Guarding, allowance: Allowance) -> str:
    if metric.importance is Importance.WATCH:
        return "It is only watched: it alerts, and no step waits for it."
    return (
        f"It is {metric.importance}. {guard.false_alarms:.3g} of healthy rollouts may be blamed by"
        f" chance, over all metrics; {allowance.control:.2g} of them by its comparison."
    )


def _fails(metric: Metric, allowance: Allowance) -> list[str]:
    found = []
    if metric.compare:
        what = (
            f"The new build fails it with {_WORSE[metric.direction]} than the old one beside it, by"
            f" more than {metric.min_effect:.0%}, once the e-value is {1 / allowance.control:,.0f}"
        )
        if metric.kind is Kind.CONTINUOUS:
            what += ", or once the whole confidence interval is beyond that"
        found.append(what + ".")
    for name, line in (("above", metric.above), ("below", metric.below)):
        if line is not None:
            how = (
                f"with an e-value of {1 / allowance.line:,.0f}"
                if metric.kind is Kind.COUNTS
                else "for three looks in a row"
            )
            found.append(f"It also fails {name} {show(line, metric)}, {how}.")
    found.append(
        "When both builds move to twice or half of what was before the deploy, it is an incident,"
        " not this build."
    )
    return found


def _passes(metric: Metric) -> str:
    return (
        f"It passes once {times_of(metric.detect)} the old build's value would have shown, and at"
        f" least {metric.min_count:g} {metric.per or 'seconds'} were seen."
    )


def _follows(metric: Metric, guard: Guarding) -> str:
    if metric.importance is Importance.WATCH:
        return "A failure alerts."
    order = (Action.ALERT, Action.PAUSE, Action.REVERT)
    most = min(metric.action, guard.at_most, key=order.index)
    by_gate = {gate: getattr(guard.at_most_in, gate) for gate in ("manual", "assisted", "auto")}
    less = {g: a for g, a in by_gate.items() if order.index(a) < order.index(most)}
    told = "".join(f"; in {gate} steps it is only {action}" for gate, action in less.items())
    return f"What follows from a failure: {most}{told}."
