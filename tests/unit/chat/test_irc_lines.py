"""Lines of IRC, from bytes and back."""

import hypothesis.strategies as st
from hypothesis import given

from headway.chat.irc_lines import MAX_TEXT_BYTES, Line, read, split, write


def test_a_line_is_taken_apart() -> None:
    raw = rb"@account=al\sice;x :alice!a@h PRIVMSG #push :.join with bob" + b"\r\n"
    line = read(raw)
    assert line == Line(
        "PRIVMSG", ("#push", ".join with bob"), "alice!a@h", {"account": "al ice", "x": ""}
    )
    assert line.nick == "alice"
    assert line.word(5) == ""


def test_nothing_is_nothing() -> None:
    assert read(b"\r\n") is None
    assert read(b":only.a.prefix\r\n") is None
    assert read(b"@tags \r\n") is None


@given(st.binary(max_size=600))
def test_no_bytes_break_it(raw: bytes) -> None:
    read(raw)


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_line_that_is_written_is_one_line(word: str, text: str) -> None:
    raw = write("PRIVMSG", word, text=text)
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r") == 1
    assert b"\x00" not in raw


@given(st.text(max_size=2000))
def test_a_text_in_pieces_is_whole_and_each_piece_fits(text: str) -> None:
    pieces = list(split(text))
    assert all(0 < len(piece.encode()) <= MAX_TEXT_BYTES for piece in pieces)
    kept = "".join("".join(pieces).split())
    assert kept == "".join(c for c in text if c.isprintable() and not c.isspace())
