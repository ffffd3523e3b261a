"""What people type: commands that begin with a dot, several of them joined by ``;``.

Pure. ``COMMANDS`` is the whole grammar; help, the reference and the tests are made from it. Text
from a network is hostile until it is parsed: control characters go, quotation marks of any kind
count as quotation marks, and what cannot be understood is answered in one sentence.
"""

import difflib
import re
from collections.abc import Callable

from msgspec import Struct

from headway.chat.lexer import MAX_WORDS, Word, Words, split
from headway.core.words import clean, parse_duration
from headway.errors import InvalidInput
from headway.model.train import Door

MAX_LINE = 2000
"""Characters of a line that are read; networks cut lines much earlier."""

MAX_COMMANDS = 10
"""How many commands one line may join."""


class Command(Struct, frozen=True):
    """One command as it was typed, with its words in place.

    ``who`` is the person that it names, ``stage`` the tier, ``text`` what was said, ``options``
    what was asked for besides.
    """

    name: str
    who: str = ""
    stage: str = ""
    build: str = ""
    text: str = ""
    seconds: float | None = None
    before: str = ""
    options: frozenset[str] = frozenset()

    @property
    def door(self) -> Door:
        """Who else may get into the car."""
        if "hold" in self.options:
            return Door.ALONE
        return Door.ASK if "askme" in self.options else Door.OPEN


class Usage(Struct, frozen=True):
    """One command of the grammar: its names, how it is written, and what it does."""

    name: str
    form: str
    meaning: str
    read: Callable[[Words], Command]
    synonyms: tuple[str, ...] = ()
    looks: bool = False
    """Whether it changes nothing, and so is for everybody."""


def _join(words: Words) -> Command:
    beside = before = text = ""
    options: set[str] = set()
    while True:
        text = words.quoted() or text
        match words.peek():
            case "with":
                words.word()
                beside = words.name(".join with")
            case "before":
                words.word()
                before = words.name(".join before")
            case "last" | "config" | "askme" | "hold" as option:
                options.add(option)
                words.word()
            case _:
                break
    if len([1 for one in (beside, before, "last" in options) if one]) > 1:
        raise InvalidInput("`with`, `before` and `last` say where to sit; give one of them")
    if {"askme", "hold"} <= options:
        raise InvalidInput("`askme` lets in whoever has asked, `hold` lets in nobody; give one")
    words.end()
    return Command("join", beside, text=text, before=before, options=frozenset(options))


def _plain(words: Words) -> Command:
    words.end()
    return Command(words.verb)


def _reasoned(words: Words) -> Command:
    return Command(words.verb, text=words.rest())


def _at(words: Words) -> Command:
    stage = words.word()
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,62}", stage):
        raise InvalidInput("`.at` needs a tier after it, such as `.at staging`")
    build = words.word().casefold()
    if build and not re.fullmatch("[0-9a-f]{6,64}|[a-z0-9][a-z0-9._-]{0,80}-r[0-9]+", build):
        raise InvalidInput(
            "name a build by 6 to 64 hexadecimal digits of its id, or by its release"
        )
    words.end()
    return Command("at", stage=stage.casefold(), build=build)


def _kick(words: Words) -> Command:
    who = words.name(".kick")
    words.end()
    return Command("kick", who)


def _hold(words: Words) -> Command:
    text, length = words.quoted(), None
    if words.peek() == "for":
        words.word()
        length = parse_duration(words.word())
        text = text or words.quoted()
    words.end()
    return Command("hold", text=text, seconds=length)


def _message(words: Words) -> Command:
    if words.peek() == "-":
        words.word()
        words.end()
        return Command("message")
    text = words.rest()
    if not text:
        raise InvalidInput('`.message "text"` sets the message, `.message -` takes it away')
    return Command("message", text=text)


def _say(words: Words) -> Command:
    text = words.rest()
    if not text:
        raise InvalidInput("`.say` needs what is to be said after it")
    return Command("say", text=text)


def _config(words: Words) -> Command:
    off = words.peek() == "-"
    if off:
        words.word()
    words.end()
    return Command("config", options=frozenset({"off"} if off else ()))


def _help(words: Words) -> Command:
    return Command("help", text=words.rest().removeprefix(".").casefold())


def _link(words: Words) -> Command:
    code = words.word()
    words.end()
    if not re.fullmatch("[A-Za-z0-9_-]{8,64}", code):
        raise InvalidInput("`.link` needs the code that `headway train link` has given you")
    return Command("link", text=code)


COMMANDS: tuple[Usage, ...] = (
    Usage(
        "join",
        '.join [with U | before U | last] [config | askme | hold] ["message"]',
        "Get into the train: into the first car that has room, into U's car, into one before it,"
        " or at the end. `config` brings configuration only, `askme` lets in only who has asked"
        " you and says `with`, `hold` rides alone. Who is aboard moves.",
        _join,
    ),
    Usage(
        "in",
        ".in",
        "Before departure: your change is in the build. At a tier: you have looked at the build"
        " there and it is good. It counts for that build on that tier.",
        _plain,
        ("good", "ready", "ok", "lgtm", "verified"),
    ),
    Usage(
        "uhoh",
        '.uhoh ["reason"]',
        "Something is wrong: the train stops and the rollout is paused. `.good` takes it back.",
        _reasoned,
        ("bad", "notgood", "stop"),
    ),
    Usage(
        "at",
        ".at TIER [BUILD]",
        "For the leader: go on to a tier. The first one starts the rollout, of the newest build"
        " or of the one that is named, by its digits or its release; later ones begin the step"
        " that waits; after a stop it goes on. The beginning of a tier's name will do: `.at prod`.",
        _at,
    ),
    Usage(
        "done", ".done", "For the leader: the build is live and good; the next car is up.", _plain
    ),
    Usage("nevermind", ".nevermind", "Get out of the train.", _plain, ("leave", "nm")),
    Usage(
        "kick",
        ".kick U",
        "For the leader: put U out, with U's `.uhoh` if there is one. The head of a car may put"
        " out its riders.",
        _kick,
    ),
    Usage(
        "drive",
        ".drive",
        "Take the lead: from the first car, as the commander on shift, or when nobody leads.",
        _plain,
        ("lead",),
    ),
    Usage(
        "hold",
        '.hold ["reason"] [for 2h]',
        "Nothing new is deployed, by whatever way, until `.unhold` or for that long.",
        _hold,
    ),
    Usage(
        "unhold",
        ".unhold",
        "Lift what holds the app or its train. A freeze stays.",
        _plain,
    ),
    Usage(
        "revert",
        '.revert ["reason"]',
        "Bring the build before it back, everywhere. The car waits for a new build.",
        _reasoned,
        ("rollback",),
    ),
    Usage(
        "message",
        '.message "text" | -',
        "Set the message that stands at the end of the topic, or take it away.",
        _message,
        ("msg",),
    ),
    Usage("say", ".say TEXT", "Tell everybody in the channel, in the journal too.", _say),
    Usage(
        "config",
        ".config [-]",
        "You bring configuration only; with `-`, more than that.",
        _config,
    ),
    Usage("status", ".status", "Show the train and why it stands.", _plain, ("topic", "why"), True),
    Usage("help", ".help [COMMAND]", "List the commands, or explain one.", _help, (), True),
    Usage(
        "link",
        ".link CODE",
        "In a private message: say which user of Headway you are, with the code that `headway"
        " train link` shows.",
        _link,
        (),
        True,
    ),
)
"""Every command, in the order in which help lists them."""

BY_NAME = {name: usage for usage in COMMANDS for name in (usage.name, *usage.synonyms)}


def written(command: Command) -> str:
    """A command as somebody would type it; ``parse`` reads it back."""
    text = command.text.replace('"', "'")
    match command.name:
        case "join":
            words = [f"with {command.who}"] if command.who else []
            words += [f"before {command.before}"] if command.before else []
            words += [*sorted(command.options), *([f'"{text}"'] if text else [])]
        case "hold":
            words = [f'"{text}"'] if text else []
            words += [f"for {command.seconds:.0f}s"] if command.seconds is not None else []
        case "message":
            words = [f'"{text}"' if text else "-"]
        case "config":
            words = ["-"] if command.options else []
        case "say" | "uhoh" | "revert":
            words = [f'"{text}"'] if text else []
        case _:
            words = [word for word in (command.who, command.stage, command.build, text) if word]
    return " ".join([f".{command.name}", *words])


def parse(line: str, private: bool = False) -> tuple[Command, ...]:
    """The commands of a line; empty for ordinary talk. Raises InvalidInput.

    In a private message, and after the first command, the dot may be left out.
    """
    text = clean(line[:MAX_LINE]).strip()
    if not text or not (private or re.match(r"\.[A-Za-z]", text)):
        return ()
    parts = split(text)
    if len(parts) > MAX_COMMANDS:
        raise InvalidInput(f"{len(parts)} commands in one line, {MAX_COMMANDS} are allowed")
    return tuple(_command(part) for part in parts)


def _command(part: list[Word]) -> Command:
    (first, quoted), *words = part
    verb = first.removeprefix(".").rstrip(".,:!").casefold()
    usage = None if quoted else BY_NAME.get(verb)
    if usage is None:
        nearest = difflib.get_close_matches(verb, BY_NAME, 1, 0.6)
        hint = f"did you mean `.{nearest[0]}`?" if nearest else "`.help` lists what there is"
        raise InvalidInput(f"there is no command .{verb[:40]}; {hint}")
    command = usage.read(Words(usage.name, words))
    if len(command.text) > MAX_WORDS:
        raise InvalidInput(f"that is too long; up to {MAX_WORDS} characters are kept")
    return command


def explain(word: str) -> tuple[str, ...]:
    """The lines of ``.help``, or of ``.help WORD``. Raises InvalidInput."""
    if not word:
        names = ", ".join(f".{usage.name}" for usage in COMMANDS)
        return (f"{names}; `.help join` explains one, and `;` joins several",)
    usage = BY_NAME.get(word)
    if usage is None:
        raise InvalidInput(f"there is no command .{word[:40]}; `.help` lists what there is")
    also = f" Also {', '.join(f'.{name}' for name in usage.synonyms)}." if usage.synonyms else ""
    return (usage.form, usage.meaning + also)
