"""A typed line as the words of each command in it, and the words of one as they are taken."""

import re

from headway.errors import InvalidInput

MAX_WORDS = 400
"""How long a message may be that stands in the topic or the journal, in characters."""

Word = tuple[str, bool]
"""A word, and whether it was quoted."""

_NAME = re.compile(r"@?([A-Za-z0-9][A-Za-z0-9._@-]{0,127})")
_QUOTES = '"“”„«»'
_TOKEN = re.compile(rf"[{_QUOTES}]([^{_QUOTES}]*)([{_QUOTES}])?|(;)|([^\s;{_QUOTES}]+)")


def split(text: str) -> list[list[Word]]:
    """The words of each command. Raises InvalidInput."""
    parts: list[list[Word]] = [[]]
    for match in _TOKEN.finditer(text):
        quoted, closing, semicolon, word = match.groups()
        if semicolon:
            if (
                parts[-1]
                and parts[-1][0][0].casefold() in (".say", "say")
                and not re.match(r"\s*\.[A-Za-z]", text[match.end() :])
            ):
                parts[-1].append((";", False))
            else:
                parts.append([])
        elif word is not None:
            parts[-1].append((word, False))
        elif closing is None:
            raise InvalidInput("a quotation mark is opened and not closed")
        else:
            parts[-1].append((quoted.strip()[:MAX_WORDS], True))
    return [part for part in parts if part]


class Words:
    """The words of one command, taken one after the other; a quoted text is a word of its own."""

    def __init__(self, verb: str, words: list[Word]) -> None:
        self.verb = verb
        self._words = words

    def word(self) -> str:
        """The next word that is not quoted, or an empty string."""
        if self._words and not self._words[0][1]:
            return self._words.pop(0)[0]
        return ""

    def peek(self) -> str:
        """The next word in small letters, which stays, or an empty string if it is quoted."""
        return self._words[0][0].casefold() if self._words and not self._words[0][1] else ""

    def name(self, after: str) -> str:
        """The next word as a person's name. Raises InvalidInput."""
        found = _NAME.fullmatch(self.word().removesuffix(",").removesuffix(":"))
        if found is None:
            raise InvalidInput(f"`{after}` needs a name after it, such as `{after} bob`")
        return found[1]

    def quoted(self) -> str:
        """The quoted text that comes next, or an empty string."""
        return self._words.pop(0)[0] if self._words and self._words[0][1] else ""

    def rest(self) -> str:
        """All that is left, as one text."""
        text = " ".join(word for word, _ in self._words)
        self._words = []
        return text

    def end(self) -> None:
        """Raise InvalidInput when something is left."""
        if self._words:
            word = self._words[0][0][:40]
            raise InvalidInput(
                f"`.{self.verb}` does not take {word!r}; a message goes in quotation marks, "
                f"`.help {self.verb}` shows how it is written"
            )
