"""Everything at once on clusters of three: two rounds here, hundreds with HEADWAY_FAULTS=full.

HEADWAY_FAULTS_SEED=N repeats a run's choices, though not what the machine makes of them.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.store_servers import ZOOKEEPER_JARS
from tests.faults.fire import FAKETIME

FULL = os.environ.get("HEADWAY_FAULTS") == "full"
KINDS = ["consul", "etcd", "zookeeper"] if FULL else ["etcd"]
ROUNDS = 100 if FULL else 2
NEEDS = {"consul": ("consul",), "etcd": ("etcd",), "zookeeper": ("java", *ZOOKEEPER_JARS)}
SECONDS_A_ROUND = 600


@pytest.mark.parametrize("kind", KINDS)
def test_no_epoch_falls_and_all_converge_once_it_is_over(
    kind: str, tmp_path: Path, program: Callable[[str], str], apart: list[str]
) -> None:
    for name in (*NEEDS[kind], "nft", "ip", FAKETIME):
        program(name)
    seed = os.environ.get("HEADWAY_FAULTS_SEED") or str(random.randrange(10**6))
    print(f"{kind}: HEADWAY_FAULTS_SEED={seed}")
    argv = [
        *apart, sys.executable, "-m", "tests.faults.fire", "--kind", kind,
        "--room", str(tmp_path), "--rounds", str(ROUNDS), "--seed", seed,
    ]  # fmt: skip
    pipe = None if FULL else subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, text=True, start_new_session=True) as burning:
        try:
            told, _ = burning.communicate(timeout=SECONDS_A_ROUND * (ROUNDS + 1))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(burning.pid, signal.SIGKILL)
    assert burning.returncode == 0, f"seed {seed}: {told}"


@pytest.fixture
def apart(program: Callable[[str], str]) -> list[str]:
    """The words before a command that give it a network of its own; needs root."""
    words = [program("unshare"), "--net"]
    tried = subprocess.run([*words, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        reason = f"a network namespace cannot be made here: {tried.stderr}"
        if os.environ.get("HEADWAY_REQUIRE_SERVERS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return words
