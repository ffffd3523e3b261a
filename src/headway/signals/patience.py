"""How long to wait before the next try, so that a fleet does not come back all at once."""

import random

FIRST_SECONDS = 0.5
LAST_SECONDS = 30.0


def pause(failures: int, first: float = FIRST_SECONDS, last: float = LAST_SECONDS) -> float:
    """Seconds to wait after so many failures in a row: full jitter below a doubling bound."""
    return random.uniform(0, min(last, first * 2 ** min(failures, 16)))  # noqa: S311
