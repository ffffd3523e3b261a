"""Two hundred random chat sessions of ten thousand commands replay identically from the journal.

A share of it by default; all of it with ``make faults``.
"""

import os

import pytest

from headway.core import patch
from tests.faults.train_sessions import Session

FULL = os.environ.get("HEADWAY_FAULTS") == "full"
SESSIONS, COMMANDS = (200, 10_000) if FULL else (20, 1_000)
SEED = int(os.environ.get("HEADWAY_FAULTS_SEED", "1"))


@pytest.mark.parametrize("number", range(SESSIONS))
def test_a_session_replays_identically_from_the_journal(number: int) -> None:
    session = Session(SEED * 1_000 + number)
    session.play(COMMANDS)
    session.replays()
    again = Session(SEED * 1_000 + number)
    again.play(COMMANDS)
    assert again.rows == session.rows, "the same commands decide otherwise the second time"
    assert session.accepted > COMMANDS // 10
    assert session.refused > COMMANDS // 100
    assert session.rides, "nobody has arrived"


def test_a_journal_that_lacks_something_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = patch.difference

    def forgetful(before, after):
        row = genuine(before, after)
        row.pop("message", None)
        return row

    monkeypatch.setattr(patch, "difference", forgetful)
    session = Session(SEED)
    session.play(COMMANDS)
    with pytest.raises(AssertionError):
        session.replays()
