"""Running the programs that change the kernel's firewall."""

import subprocess

from headway.agent.lifecycle import PATH
from headway.errors import HookFailed

_PATIENCE = 10.0


def change(argv: tuple[str, ...], commands: str = "") -> None:
    """Have the rules changed, as ``argv`` or ``commands`` on its input say. Raises HookFailed."""
    done = _run(argv, commands)
    if done.returncode:
        said = " ".join(done.stderr.split())[:300]
        raise HookFailed(f"{argv[0]} refuses the firewall's rule: {said}")


def holds(argv: tuple[str, ...]) -> bool:
    """Whether what ``argv`` asks about is there. Raises HookFailed when nobody can tell."""
    return _run(argv, "").returncode == 0


def _run(argv: tuple[str, ...], commands: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            input=commands,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HookFailed(f"{argv[0]} cannot be run: {error}; run the agent as root") from None
