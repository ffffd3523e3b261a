"""Runs every benchmark, one after another."""

import subprocess
import sys

BENCHMARKS = (
    "benchmarks.decide",
    "benchmarks.switch",
    "benchmarks.growth",
    "benchmarks.fanout",
    "benchmarks.fleet",
    "benchmarks.guard",
    "benchmarks.train",
    "benchmarks.cockpit",
    "benchmarks.monitor",
    "benchmarks.scrape",
)

for name in BENCHMARKS:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", name], check=True)
