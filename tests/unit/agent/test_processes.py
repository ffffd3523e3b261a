"""Which processes count as users of a directory."""

import subprocess
import sys
import time
from pathlib import Path

from headway.agent.processes import in_use

HEADLESS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
print("up", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_has_ended_still_uses_what_it_uses(tmp_path: Path) -> None:
    used, unused = tmp_path / "used", tmp_path / "unused"
    used.mkdir()
    unused.mkdir()
    argv = [sys.executable, "-c", HEADLESS]
    with subprocess.Popen(argv, cwd=used, stdin=-1, stdout=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            while _has_first_thread(process):
                time.sleep(0.01)
            assert in_use([used, unused]) == {used}
        finally:
            process.kill()
    assert in_use([used, unused]) == set()


def _has_first_thread(process: "subprocess.Popen[str]") -> bool:
    try:
        (Path("/proc") / str(process.pid) / "exe").readlink()
    except FileNotFoundError:
        return False
    return True
