"""How the time of a deploy grows with the tree, and with the change: a table and a plot.

``python -m benchmarks.growth --plot docs/images/switch-growth.svg --json``: trees of 1,000 to
300,000 files of which 50 change, and a tree of 100,000 of which 1 to 10,000 change.
"""

import argparse
import json
from pathlib import Path

from benchmarks.plot import Line, draw
from benchmarks.switch import measure

SIZES = (1_000, 10_000, 100_000, 300_000)
CHANGES = (1, 10, 100, 1_000, 10_000)
CHANGED, FILES = 50, 100_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--place", type=Path, help="a directory on the disk to measure on")
    parser.add_argument("--plot", type=Path, help="where to draw it, as SVG")
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    by_size, by_change = [], []
    for files in SIZES:
        by_size.append(measure(arguments.place, files, CHANGED, arguments.runs, peers=False))
        _tell(by_size[-1], arguments.json)
    for changed in CHANGES:
        by_change.append(measure(arguments.place, FILES, changed, arguments.runs, peers=False))
        _tell(by_change[-1], arguments.json)
    if arguments.plot:
        lines = [
            Line(f"{CHANGED} files change", [(r["files"], r["seconds"]) for r in by_size]),
            Line(f"of {FILES:,} files", [(r["changed"], r["seconds"]) for r in by_change]),
            Line("floor of these", [(r["changed"], r["floor_seconds"]) for r in by_change]),
        ]
        draw(arguments.plot, "files in the tree, or changed", "seconds", lines, log_y=True)
    print(json.dumps({"by_size": by_size, "by_change": by_change}))


def _tell(result: dict[str, float], quiet: bool) -> None:
    if not quiet:
        print(
            f"{result['files']:>9,} files {result['changed']:>7,} changed"
            f" {result['seconds']:8.3f} s {result['bytes']:>11,.0f} bytes"
            f" {result['peak_mb']:6.1f} MB  floor {result['floor_seconds']:8.3f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
