"""How well the guard tells bad builds from good ones: ``python -m benchmarks.guard --json``.

Rollouts are simulated on the shape of real server series, with and without a fault in the canary,
and judged by the guard and by the rules that others use, all on the same numbers. Figures are per
rollout, with 95 % intervals. ``--quick`` is a tenth of it; ``--tune`` uses the half of the series
that settings were chosen on, and tries the peers' thresholds; ``--plot FILE`` draws a picture.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.guard import measure
from benchmarks.guard.cases import FAULTS, HARMLESS, Case, big_errors
from benchmarks.guard.measure import FINER, GUARD, NEVER, PEERS, Faults, Judged, faults, wilson
from benchmarks.guard.peers import Thresholds
from benchmarks.guard.shapes import Half, home
from benchmarks.guard.traffic import Batch
from benchmarks.plot import Mark, scatter

RATES = (100.0, 1000.0, 10_000.0)
"""Requests per second of the site."""

AIMED_AT = 1000.0
"""The traffic that the delays are stated for."""

MULTIPLES = (1.5, 2.0, 3.0)
"""The peers' thresholds that ``--tune`` tries."""


class Sizes(Struct, frozen=True):
    """How many rollouts of each case: bad ones at each traffic, healthy ones by metrics."""

    bad: int
    good: dict[int, int]
    peers_at_100: int
    batch: int


FULL = Sizes(bad=60, good={1: 300, 10: 240, 100: 150}, peers_at_100=15, batch=30)
QUICK = Sizes(bad=10, good={1: 30, 10: 30, 100: 12}, peers_at_100=1, batch=30)


class Played(Struct, frozen=True):
    """Rollouts that were judged: their cases, their traffic, and what each judge did."""

    cases: list[Case]
    rates: list[float]
    judged: dict[str, Judged]

    def at(self, name: str, chosen: Sequence[bool]) -> Faults:
        """How a judge did on some of them."""
        return faults(self.judged[name], self.cases, np.array(chosen, dtype=bool))


def play(
    half: Half,
    seed: int,
    cases: Sequence[Case],
    rates: Sequence[float],
    each: int,
    metrics: int,
    peers: Sequence[str],
    batch: int,
    history: bool = False,
) -> Played:
    """Judge ``each`` rollouts of every case and traffic, in batches that fit into memory."""
    done: list[tuple[Batch, dict[str, Judged]]] = []
    for begin in range(0, each, batch):
        part = Batch(seed + begin, half, cases, rates, min(batch, each - begin), metrics, history)
        done.append((part, measure.judge(part, peers)))
    joined = {
        name: Judged(
            *(
                np.concatenate([getattr(judged[name], field) for _, judged in done])
                for field in Judged.__struct_fields__
            )
        )
        for name in done[0][1]
    }
    return Played(
        [cases[index] for part, _ in done for index in part.case_of()],
        [rate for part, _ in done for rate in part.rate_of()],
        joined,
    )


def stopped(played: Played, name: str) -> int:
    """How many rollouts a judge reverted."""
    return int((played.judged[name].first < NEVER).sum())


class Report:
    """Everything that is measured, and the words for it."""

    def __init__(self, half: Half, sizes: Sizes) -> None:
        self.bad = play(half, 1, FAULTS, RATES, sizes.bad, 10, (FINER, *PEERS), sizes.batch)
        self.good = {
            metrics: play(
                half,
                1000 * metrics,
                HARMLESS,
                (AIMED_AT,),
                each,
                metrics,
                (FINER, *PEERS) if metrics == 10 else (FINER,),
                sizes.batch if metrics == 100 else each,
            )
            for metrics, each in sizes.good.items()
        }
        self.crowd = play(half, 7, HARMLESS, (AIMED_AT,), sizes.peers_at_100, 100, tuple(PEERS), 15)
        self.seasoned = play(
            half, 10_000, HARMLESS, (AIMED_AT,), sizes.good[10], 10, (), sizes.good[10], True
        )
        self.seasoned_bad = play(half, 1, FAULTS, RATES, sizes.bad, 10, (), sizes.batch, True)
        self.milliseconds = measure.milliseconds()
        self.memory = measure.growth()

    def false_reverts(self, name: str) -> tuple[float, tuple[float, float]]:
        """Per healthy rollout at 100 metrics, with its interval."""
        played = self.good[100] if name == GUARD else self.crowd
        hits, trials = stopped(played, name), len(played.cases)
        return hits / trials, wilson(hits, trials)

    def precision(self, name: str) -> float:
        """Of the rollouts reverted, the share that was bad, and for the right reason.

        At 10 metrics and the traffic aimed at, with as many healthy rollouts as bad ones.
        """
        rows = [rate == AIMED_AT for rate in self.bad.rates]
        found = self.bad.at(name, rows).found / sum(rows)
        wrong = float(np.mean(self.bad.judged[name].first[np.array(rows)] < NEVER)) - found
        healthy = self.good[10]
        false = stopped(healthy, name) / len(healthy.cases)
        return found / (found + wrong + false) if found else 0.0

    def big(self, name: str, rate: float | None = None) -> Faults:
        """On at least twice the errors, where traffic suffices by the guard's own account."""
        ready = self.bad.judged[GUARD].ready
        facts = zip(self.bad.cases, self.bad.rates, ready, strict=True)
        return self.bad.at(
            name, [big_errors(c) and bool(ok) and rate in (None, r) for c, r, ok in facts]
        )

    def figures(self, name: str) -> dict[str, float | list[float] | None]:
        """The keys that are promised, for one judge; null where it is later than the rollout."""
        false, interval = self.false_reverts(name)
        all_big, aimed = self.big(name), self.big(name, AIMED_AT)
        return {
            "false_reverts_per_rollout": round(false, 4),
            "false_reverts_interval": [round(bound, 4) for bound in interval],
            "precision": round(self.precision(name), 4),
            "recall_2x": round(all_big.recall, 4),
            "recall_2x_interval": [round(bound, 4) for bound in all_big.interval],
            "delay_p50_min": _rounded(aimed.delay_p50),
            "delay_p90_min": _rounded(aimed.delay_p90),
            "share_at_detection_p90": _rounded(aimed.share_p90),
        }

    def result(self) -> dict[str, object]:
        """The last line of ``--json``."""
        return {
            **self.figures(GUARD),
            "judge_ms_5000_series": round(self.milliseconds, 2),
            "memory_growth_kb_1000_ticks": round(self.memory, 1),
            "recall_2x_with_history": round(self._big_with_history(), 4),
            "peers": {name: self.figures(name) for name in PEERS},
        }

    def _big_with_history(self) -> float:
        """Recall of at least twice the errors where the season is known."""
        ready = self.seasoned_bad.judged[GUARD].ready
        pairs = zip(self.seasoned_bad.cases, ready, strict=True)
        return self.seasoned_bad.at(GUARD, [big_errors(c) and bool(ok) for c, ok in pairs]).recall

    def plot(self, path: Path) -> None:
        """Draw recall against false reverts at 10 metrics."""
        points = {}
        healthy = self.good[10]
        for name in (GUARD, *PEERS):
            hits, trials = stopped(healthy, name), len(healthy.cases)
            big = self.big(name)
            points[name] = Mark(hits / trials, wilson(hits, trials), big.recall, big.interval)
        x = "healthy rollouts reverted (10 metrics)"
        scatter(path, x, "errors of at least twice found", points)

    def tables(self) -> str:
        """The figures by fault, size and traffic, as Markdown."""
        head = "| judge | false reverts at 1 | 10 | 100 metrics | precision | recall ≥ 2× errors |"
        lines = [head + " recall, all faults |", "|---|---|---|---|---|---|---|"]
        every = [True] * len(self.bad.cases)
        for name in (GUARD, FINER, *PEERS):
            cells = [
                "" if part is None else _share(stopped(part, name), len(part.cases))
                for part in self._healthy(name)
            ]
            big = self.big(name)
            cells += [f"{self.precision(name):.3f}", _share(big.found, big.rollouts)]
            cells.append(f"{self.bad.at(name, every).recall:.1%}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
        head = "| healthy rollouts (10 metrics) | reverted | paused | with history: reverted |"
        lines += ["", head + " paused |", "|---|---|---|---|---|"]
        healthy = self.good[10]
        for case in HARMLESS:
            rows = np.array([c is case for c in healthy.cases])
            mine, seasoned = healthy.judged[GUARD], self.seasoned.judged[GUARD]
            parts = (mine.first, mine.paused, seasoned.first, seasoned.paused)
            counts = [int((part[rows] < NEVER).sum()) for part in parts]
            shown = " | ".join(_share(hits, int(rows.sum())) for hits in counts)
            lines.append(f"| {case.name} | {shown} |")
        head = "| fault | size | requests/s | traffic suffices | found | delay p50, p90, min |"
        lines += [
            "",
            head + " exposure, min | best peer finds |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [self._row(case, rate) for case in FAULTS for rate in RATES]
        return "\n".join(lines)

    def _healthy(self, name: str) -> list[Played | None]:
        return [
            self.good[1] if name in (GUARD, FINER) else None,
            self.good[10],
            self.good[100] if name in (GUARD, FINER) else self.crowd,
        ]

    def _row(self, case: Case, rate: float) -> str:
        facts = zip(self.bad.cases, self.bad.rates, strict=True)
        rows = [c is case and r == rate for c, r in facts]
        ours = self.bad.at(GUARD, rows)
        ready = float(np.mean(self.bad.judged[GUARD].ready[np.array(rows)]))
        best = max(PEERS, key=lambda name: self.bad.at(name, rows).recall)
        delays = f"{_minutes(ours.delay_p50)}, {_minutes(ours.delay_p90)}"
        return (
            f"| {case.name} | {case.size} | {rate:,.0f} | {ready:.0%} | {ours.recall:.0%} | "
            f"{delays} | {ours.exposure_minutes:.2f} | "
            f"{best}: {self.bad.at(best, rows).recall:.0%} |"
        )


def _share(hits: int, trials: int) -> str:
    low, high = wilson(hits, trials)
    return f"{hits / trials:.1%} ({low:.1%}–{high:.1%})"


def _minutes(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 3)


def tune(sizes: Sizes) -> None:
    """Try the peers' thresholds on the first half of the data."""
    for multiple in MULTIPLES:
        name = f"{multiple:g} times"
        measure.PEERS[name] = partial(Thresholds, multiple=multiple, limit=3)
    report = Report(Half.TUNE, sizes)
    for name in (f"{multiple:g} times" for multiple in MULTIPLES):
        false = stopped(report.good[10], name) / len(report.good[10].cases)
        print(f"{name}: precision {report.precision(name):.3f}, false {false:.3f}")
        print(f"  recall {report.big(name).recall:.3f}")
    print(report.tables())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    parser.add_argument("--quick", action="store_true", help="fewer rollouts: half a minute")
    parser.add_argument("--tune", action="store_true", help="on the half that settings come from")
    parser.add_argument("--plot", type=Path, help="where to draw the picture (SVG)")
    arguments = parser.parse_args()
    if not home().is_dir():
        print(f"left out: no series in {home()}; set HEADWAY_DATA to where nab/ lies")
        return
    sizes = QUICK if arguments.quick else FULL
    if arguments.tune:
        tune(sizes)
        return
    report = Report(Half.REPORT, sizes)
    if not arguments.json:
        print(report.tables())
    if arguments.plot:
        report.plot(arguments.plot)
    print(json.dumps(report.result()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
