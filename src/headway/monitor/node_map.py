"""The map of all nodes, in as many cells as there are: one for each node, or one for several.

Where a cell stands for several nodes it shows the worst of them: a single failed node among ten
thousand is seen.
"""

from functools import lru_cache

from msgspec import Struct
from rich.text import Text

from headway.cli.screen import said
from headway.model.picture import NodeMap, Picture, meaning
from headway.monitor.look import ROLES, SEVERITY, STATES, fit, rule

SMALL_TIER = 40
"""Up to so many nodes each of a tier has a cell of its own, whatever the others need."""

MOST_LABEL = 12

Tiers = tuple[tuple[str, int], ...]

_RANKS: dict[str, int] = {}
_SHOWN: dict[str, tuple[str, str]] = {}
for _letter, (_state, _role) in meaning().items():
    # Among nodes that are done, an odd build is worth more of a look than the one that is meant.
    _part = ("none", "other", "old", "new", "live").index(_role) if _state == "done" else 0
    _RANKS[_letter] = 10 * SEVERITY.index(_state.value) + _part
    _SHOWN[_letter] = ROLES[_role] if _state == "done" else STATES[_state.value]
_BY_RANK = sorted(_RANKS, key=lambda letter: _RANKS[letter])


class Cell(Struct, frozen=True):
    """A cell of the map: the letter that it shows, and the nodes from ``first`` it stands for."""

    letter: str
    first: int
    nodes: int


class Run(Struct, frozen=True):
    """Cells beside each other, behind the name of their tier where it begins."""

    label: str
    cells: tuple[Cell, ...]


Row = tuple[Run, ...]


def draw(picture: Picture, width: int, height: int) -> list[Text]:
    """The map with its title, which tells what the shapes mean."""
    each, rows = _rows(picture.map.letters, _tiers(picture), width, max(1, height - 1))
    scale = f", up to {each:,} in a cell, the worst shown" if each > 1 else ""
    title = f"Nodes {len(picture.map.letters):,}{scale} "
    lines = [rule([title, *_legend(picture.map)], width)]
    for row in rows[: max(0, height - 1)]:
        text = Text()
        for run in row:
            text.append(run.label, "dim")
            for cell in run.cells:
                text.append(*shape(cell.letter))
        lines.append(fit(text, width))
    return lines[:height]


def cell_at(picture: Picture, width: int, height: int, x: int, y: int) -> Cell | None:
    """The cell at a place of what was drawn, its title being line 0."""
    _, rows = _rows(picture.map.letters, _tiers(picture), width, max(1, height - 1))
    if not 1 <= y <= len(rows):
        return None
    for run in rows[y - 1]:
        x -= len(run.label)
        if x < 0:
            return None
        if x < len(run.cells):
            return run.cells[x]
        x -= len(run.cells)
    return None


def rows_wanted(picture: Picture, width: int) -> int:
    """How many lines the map takes with a cell for each node, its title among them."""
    return 1 + _height(_tiers(picture), width, 1, SMALL_TIER)


def shape(letter: str) -> tuple[str, str]:
    """What stands for a node: the sign and its style."""
    return _SHOWN.get(letter, ("?", "yellow"))


def worst(letters: str) -> str:
    """The letter that is shown of several."""
    if len(letters) == 1:
        return letters
    return next((letter for letter in _BY_RANK if letter in letters), letters[0])


def _tiers(picture: Picture) -> Tiers:
    return tuple((tier.tier, tier.nodes) for tier in picture.tiers)


@lru_cache(maxsize=8)
def _rows(letters: str, tiers: Tiers, width: int, height: int) -> tuple[int, tuple[Row, ...]]:
    """(nodes in a cell, lines); kept while nothing moves."""
    each, small = _grain(tiers, width, height)
    rows: list[Row] = []
    row: list[Run] = []
    left, start = width, 0
    for tier, size in tiers:
        label, cells = (
            _label(tier),
            _cells(letters[start : start + size], start, 1 if size <= small else each),
        )
        start += size
        if left < len(label) + min(len(cells), 2):
            rows.append(tuple(row))
            row, left = [], width
        while cells:
            fits = max(1, left - len(label))
            row.append(Run(label, tuple(cells[:fits])))
            left -= len(label) + len(cells[:fits])
            cells, label = cells[fits:], " "
            if cells:
                rows.append(tuple(row))
                row, left = [], width
    return each if any(size > small for _, size in tiers) else 1, (*rows, tuple(row))


def _cells(letters: str, start: int, step: int) -> list[Cell]:
    return [
        Cell(worst(letters[n : n + step]), start + n, min(step, len(letters) - n))
        for n in range(0, len(letters), step)
    ]


def _label(tier: str) -> str:
    name = said(tier).plain
    return f" {name if len(name) <= MOST_LABEL else name[: MOST_LABEL - 1] + '…'} "


def _grain(tiers: Tiers, width: int, height: int) -> tuple[int, int]:
    """How many nodes a cell stands for so that all fit, in tiers of more nodes than the second."""
    most = max((size for _, size in tiers), default=1)
    for small in (SMALL_TIER, 1):
        each = 1
        while each < most and _height(tiers, width, each, small) > height:
            each += 1 + each // 20
        if _height(tiers, width, each, small) <= height:
            break
    return each, small


def _height(tiers: Tiers, width: int, each: int, small: int) -> int:
    """How many lines the map takes."""
    lines, left = 1, width
    for tier, size in tiers:
        label = len(_label(tier))
        cells = size if size <= small else -(-size // each)
        if left < label + min(cells, 2):
            lines, left = lines + 1, width
        while cells:
            taken = min(cells, max(1, left - label))
            cells -= taken
            left -= label + taken
            label = 1
            if cells:
                lines, left = lines + 1, width
    return lines


def _legend(seen: NodeMap) -> list[Text]:
    """Which shapes there are on the map, with their words; the worst first."""
    meant = meaning()
    words: dict[str, tuple[str, str]] = {}
    for letter in _BY_RANK:
        if letter in seen.letters:
            state, role = meant[letter]
            words.setdefault(role if state == "done" else state.value, _SHOWN[letter])
    return [said(f" {sign} {word}", style) for word, (sign, style) in words.items()]
