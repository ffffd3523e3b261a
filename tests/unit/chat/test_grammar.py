"""What people type is understood, or answered in one sentence, whatever it is."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from headway.chat.grammar import BY_NAME, COMMANDS, Command, explain, parse, written
from headway.errors import InvalidInput
from headway.model.train import Door


def one(line: str, private: bool = False) -> Command:
    (command,) = parse(line, private)
    return command


@pytest.mark.parametrize("talk", ["", "hello", "...", ". join", "1.join", "see .join", ".5 %"])
def test_ordinary_talk_is_no_command(talk: str) -> None:
    assert parse(talk) == ()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (".join", Command("join")),
        (".JOIN With Bob", Command("join", "Bob")),
        ('.join with bob "the cart"', Command("join", "bob", text="the cart")),
        (".join before @bob", Command("join", before="bob")),
        (".join last config", Command("join", options=frozenset({"last", "config"}))),
        ('.join askme "a; b"', Command("join", options=frozenset({"askme"}), text="a; b")),
        (".in", Command("in")),
        (".good!", Command("in")),
        (".lgtm", Command("in")),
        (".uhoh checkout is red", Command("uhoh", text="checkout is red")),
        ('.bad "red"', Command("uhoh", text="red")),
        (".at prod", Command("at", stage="prod")),
        (".at staging A1B2C3", Command("at", stage="staging", build="a1b2c3")),
        (".at staging web-r12", Command("at", stage="staging", build="web-r12")),
        (".done", Command("done")),
        (".nm", Command("nevermind")),
        (".kick bob,", Command("kick", "bob")),
        (".hold", Command("hold")),
        (".hold “disk swap” for 2h", Command("hold", text="disk swap", seconds=7200.0)),
        (".unhold", Command("unhold")),
        ('.message "be quick"', Command("message", text="be quick")),
        (".message -", Command("message")),
        (".say wait; I look", Command("say", text="wait ; I look")),
        (".config", Command("config")),
        (".config -", Command("config", options=frozenset({"off"}))),
        (".revert red graphs", Command("revert", text="red graphs")),
        (".help .join", Command("help", text="join")),
        (".ho\x00ld", Command("hold")),
    ],
)
def test_a_command_is_understood(line: str, command: Command) -> None:
    assert one(line) == command


def test_several_commands_in_a_line() -> None:
    assert parse(".join; .in") == (Command("join"), Command("in"))
    assert parse(".join;good") == (Command("join"), Command("in"))
    assert parse(".say hi; .good") == (Command("say", text="hi"), Command("in"))
    assert parse(".good;;;") == (Command("in"),)


def test_in_private_the_dot_may_be_left_out() -> None:
    assert one("join with bob", private=True) == Command("join", "bob")
    with pytest.raises(InvalidInput, match="no command"):
        parse("hello there", private=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (".joni", "did you mean `.join`"),
        (".frobnicate", "`.help` lists"),
        (".join wiht bob", "does not take 'wiht'"),
        (".join with", "needs a name"),
        (".join with bob last", "give one of them"),
        (".join askme hold", "give one"),
        ('.join "a', "opened and not closed"),
        (".at", "needs a tier"),
        (".at staging xyz", "hexadecimal"),
        (".kick", "needs a name"),
        (".kick ../etc", "needs a name"),
        (".message", "takes it away"),
        (".hold for 2 parsecs", "is not a duration"),
        (".say", "needs what is to be said"),
        (".in please", "does not take 'please'"),
        ("; ".join([".in"] * 11), "10 are allowed"),
        (".say " + "x" * 500, "too long"),
    ],
)
def test_what_is_not_understood_is_answered_in_a_sentence(line: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("`", ".").replace("(", ".")):
        parse(line)


@given(st.text(max_size=300), st.booleans())
def test_no_text_breaks_the_grammar(text: str, private: bool) -> None:
    try:
        commands = parse("." + text, private)
    except InvalidInput as error:
        assert "\n" not in error.sentence
        assert len(error.sentence) < 400
        return
    for command in commands:
        assert command.name in BY_NAME
        for word in (command.text, command.who, command.stage, command.build):
            assert word.isprintable(), "what steers a terminal got through"


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True).filter(
    lambda name: not name.endswith((".", ","))
)
texts = st.text(st.characters(categories=("L", "N", "Zs"), include_characters=";.,'"), max_size=80)
texts = texts.map(lambda text: " ".join(text.split()))


@given(
    st.one_of(
        st.builds(
            Command,
            st.just("join"),
            who=names,
            text=texts,
            options=st.sets(st.sampled_from(["config", "askme"])).map(frozenset),
        ),
        st.builds(Command, st.just("join"), before=names, text=texts),
        st.builds(Command, st.just("hold"), text=texts, seconds=st.none() | st.just(7200.0)),
        st.builds(Command, st.sampled_from(["message", "uhoh", "revert"]), text=texts),
        st.builds(Command, st.just("say"), text=texts.filter(bool)),
        st.builds(Command, st.just("kick"), who=names),
        st.builds(Command, st.just("at"), stage=st.just("staging"), build=st.just("a1b2c3")),
        st.builds(Command, st.sampled_from(["in", "done", "drive", "unhold", "nevermind"])),
    )
)
def test_what_is_written_is_read_back(command: Command) -> None:
    assert one(written(command)) == command


def test_a_command_tells_who_else_may_get_in() -> None:
    assert one(".join").door is Door.OPEN
    assert one(".join askme").door is Door.ASK
    assert one(".join hold").door is Door.ALONE


def test_every_command_is_explained_and_named_once() -> None:
    names = [name for usage in COMMANDS for name in (usage.name, *usage.synonyms)]
    assert len(names) == len(set(names))
    (everything,) = explain("")
    for usage in COMMANDS:
        assert f".{usage.name}" in everything
        assert explain(usage.name)[0] == usage.form
        assert usage.form.startswith(f".{usage.name}")
        for synonym in usage.synonyms:
            assert explain(synonym) == explain(usage.name)
    with pytest.raises(InvalidInput):
        explain("frobnicate")
