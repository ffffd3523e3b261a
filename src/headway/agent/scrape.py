"""Sums over an app's Prometheus metrics.

The text format is https://prometheus.io/docs/instrumenting/exposition_formats/ and a selector is
as in PromQL: ``name{label="value", label=~"regular expression"}`` with ``=``, ``!=``, ``=~``
and ``!~``; expressions are anchored at both ends, and a label that is absent counts as empty.
"""

import math
import re
from collections.abc import Mapping

from msgspec import Struct

from headway.agent import probe
from headway.agent.config import Metrics
from headway.errors import InvalidInput, Unreachable

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED = r'"((?:[^"\\\n]|\\.)*)"'
_SELECTOR = re.compile(rf"\s*({_NAME})\s*(?:\{{(.*)\}})?\s*", re.DOTALL)
_CONDITION = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*{_QUOTED}\s*(,|\Z)")
_SAMPLE = re.compile(
    rf"({_NAME})[ \t]*(?:\{{((?:[^\"}}]|{_QUOTED})*)\}})?[ \t]*(\S+)(?:[ \t]+-?\d+)?"
)
_LABEL = re.compile(rf"[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*{_QUOTED}[ \t]*(?:,|\Z)")
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class Selector(Struct, frozen=True):
    """Which samples to add up: those of ``name`` whose labels meet every condition."""

    name: str
    conditions: tuple[tuple[str, bool, re.Pattern[str]], ...]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a sample belongs to the sum."""
        return name == self.name and all(
            bool(pattern.fullmatch(labels.get(label, ""))) is wanted
            for label, wanted, pattern in self.conditions
        )


def selector(text: str) -> Selector:
    """Understand a selector. Raises InvalidInput."""
    found = _SELECTOR.fullmatch(text)
    if not found:
        raise InvalidInput(f'{text!r} is no selector; write one like name{{label="value"}}')
    conditions = []
    rest, at = found[2] or "", 0
    while rest[at:].strip():
        condition = _CONDITION.match(rest, at)
        if not condition:
            raise InvalidInput(f"{text!r} is no selector: cannot understand {rest[at:]!r}")
        label, operator, value = condition[1], condition[2], _plain(condition[3])
        try:
            pattern = re.compile(value if "~" in operator else re.escape(value))
        except re.error as error:
            raise InvalidInput(f"{value!r} in {text!r} is no regular expression: {error}") from None
        conditions.append((label, not operator.startswith("!"), pattern))
        at = condition.end()
    return Selector(found[1], tuple(conditions))


def sums(exposition: str, selectors: Mapping[str, Selector]) -> dict[str, float]:
    """The sum of each selector's samples; a selector of a name that does not occur is left out.

    Samples that are not finite, and lines that cannot be understood, count for nothing.
    """
    totals: dict[str, float] = {}
    names = {wanted.name for wanted in selectors.values()}
    for line in exposition.split("\n"):
        sample = _SAMPLE.fullmatch(line.strip(" \t\r"))
        if not sample or sample[1] not in names:
            continue
        value = _number(sample[4])
        labels = {found[1]: _plain(found[2]) for found in _LABEL.finditer(sample[2] or "")}
        for key, wanted in selectors.items():
            if wanted.name == sample[1]:
                matched = value if wanted.matches(sample[1], labels) else 0.0
                totals[key] = totals.get(key, 0.0) + matched
    return totals


def scrape(metrics: Metrics) -> dict[str, float]:
    """Fetch and add up an app's counters. Raises Unreachable."""
    selectors = {name: selector(text) for name, text in metrics.counters.items()}
    status, body = probe.get(metrics.url, timeout=2.0)
    if status != 200:
        raise Unreachable(f"{metrics.url} answers {status}")
    return sums(body.decode("utf-8", "replace"), selectors)


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), quoted)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
