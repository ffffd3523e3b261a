"""Durations, moments and sizes in words, and text from elsewhere made safe."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.cli.wording import ago, clock, duration, short, size
from headway.core.words import clean, count, parse_duration
from headway.errors import InvalidInput


@given(st.text())
def test_clean_text_is_one_line_that_steers_nothing(text: str) -> None:
    cleaned = clean(text)
    assert not [char for char in cleaned if unicodedata.category(char).startswith("C")]
    assert len(cleaned.splitlines()) <= 1
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_can_be_seen_is_kept(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x1b[31mb", "a[31mb"),
        ("a\x9b2Jb", "a2Jb"),
        ("line\r\nline\tend", "line  line end"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("\ud800", ""),
    ],
)
def test_what_steers_goes_and_white_space_is_a_blank(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("2h", 7200), ("3d", 259200), ("1h30m", 5400), ("1.5h", 5400)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 h", "-2h", "h", "2w", "1e3s", "2h\n", "2hx", "٣h."])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="45s, 30m, 2h or 3d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (1830, "30 min"),
        (12000, "3 h 20 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("past", "words"),
    [(-5, "just now"), (0.5, "just now"), (59, "59 s ago"), (7300, "2 h ago"), (1e6, "11 d ago")],
)
def test_how_long_ago_in_one_unit(past: float, words: str) -> None:
    assert ago(1000 - past, 1000) == words
    assert ago(None, 1000) == "never"


@given(st.floats())
def test_any_number_is_a_moment_that_can_be_shown(moment: float) -> None:
    assert clock(moment)
    if math.isfinite(moment):
        assert ago(moment, 0.0)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (48_112, "48.1 kB"),
        (183_402_211, "183 MB"),
        (10**15, "1,000 TB"),
    ],
)
def test_a_size_in_words(amount: int, words: str) -> None:
    assert size(amount) == words


def test_builds_are_shown_by_twelve_digits_and_things_are_counted() -> None:
    assert (short("a" * 64), short(None), short("")) == ("a" * 12, "-", "-")
    assert (count(1, "node"), count(1200, "node")) == ("1 node", "1,200 nodes")
