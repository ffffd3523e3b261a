"""Whether what an app is to be watched by makes sense."""

import difflib
from collections import Counter
from collections.abc import Iterable

from headway.errors import InvalidInput
from headway.model.plan import Action, AppConfig, Kind


def check(app: AppConfig) -> None:
    """Raise InvalidInput where metrics, sources, steps and the watch do not fit together."""
    names = [metric.name for metric in app.metrics]
    _once("metric", names)
    for plan, steps in app.plans.items():
        for number, step in enumerate(steps, 1):
            _known(step.metrics or (), names, f'plan "{plan}", step {number}')
    _known(app.watch.metrics, names, "watch")
    if app.watch.then is Action.REVERT:
        raise InvalidInput("without a rollout there is nothing to revert; set watch.then = pause")
    _once("source", [source.name for source in app.sources])
    _once("counter", [name for source in app.sources for name in source.queries])
    for source in app.sources:
        listed = [*source.totals, *source.counts, *source.levels]
        _once(f"counter of {source.name}", listed)
        if not listed:
            raise InvalidInput(f"the source {source.name} has no query; add one to its totals")
        if ".." in source.url:
            raise InvalidInput(f"the address of {source.name} must not contain ..")
    levels = {*app.levels, *(name for source in app.sources for name in source.levels)}
    for metric in app.metrics:
        if metric.counter in levels and metric.kind is not Kind.CONTINUOUS:
            raise InvalidInput(f'{metric.name} is on a level; give it kind = "continuous"')


def _once(what: str, names: Iterable[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InvalidInput(f"the {what} {twice[0]} is there twice")


def _known(wanted: Iterable[str], names: list[str], where: str) -> None:
    for name in wanted:
        if name not in names:
            nearest = difflib.get_close_matches(name, names, 1, 0.5)
            hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
            raise InvalidInput(f'{where}: there is no metric "{name}"{hint}')
