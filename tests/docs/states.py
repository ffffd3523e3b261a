"""The rollout's state diagram and its tables, made from ``headway.core.transitions.TABLE``."""

import ast
import inspect
import itertools
import textwrap

from headway.chat.grammar import COMMANDS
from headway.core import train
from headway.core.transitions import TABLE
from headway.model.rollout import LIVE, Behind, Observed, Overtaken, Phase, SmokeTested
from headway.model.train import Carries, Good, Heard, Leave, Seen, State, Stop, Undo

UNSAID = (Carries, Heard, Seen)
"""The events of a train that no person asks for."""

WORDS = {Good: "in", Leave: "nevermind", Stop: "hold", Undo: "revert", Carries: "(changes)"}
"""How people say what an event is named otherwise."""

NOBODY = (Behind, Observed, Overtaken, SmokeTested)
"""The events that no person asks for."""

_LABELS = {Observed: "(headway)", Overtaken: "(outside)"}


def diagram() -> str:
    """A mermaid state diagram: what the machine does, and what people do."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.ROLLING}"]
    for phase, events in TABLE.items():
        targets: dict[Phase, list[str]] = {}
        for event, reached in events.items():
            if event is SmokeTested:
                continue
            label = _LABELS.get(event, _asked(event))
            for target in reached - {phase}:
                targets.setdefault(target, []).append(label)
        for target, labels in sorted(targets.items()):
            lines.append(f"    {phase} --> {target} : {', '.join(sorted(labels))}")
        if phase not in LIVE and phase is not Phase.SUCCEEDED:
            lines.append(f"    {phase} --> [*]")
    return "\n".join([*lines, "```"])


def phases() -> str:
    """Every phase with its meaning, and what a person can do in it."""
    rows = ["| phase | meaning | a person can |", "|---|---|---|"]
    meanings = _member_docs(Phase)
    for phase in Phase:
        can = sorted(_asked(e) for e in TABLE[phase] if e not in NOBODY)
        rows.append(f"| `{phase}` | {meanings[phase.name]} | {', '.join(can) or '–'} |")
    return "\n".join(rows)


def events() -> str:
    """Every event with its meaning and where it is accepted."""
    rows = ["| event | meaning | accepted while |", "|---|---|---|"]
    kinds = dict.fromkeys(event for events in TABLE.values() for event in events)
    for event in sorted(kinds, key=lambda kind: kind.__name__):
        where = ", ".join(f"`{phase}`" for phase in Phase if event in TABLE[phase])
        rows.append(f"| {event.__name__} | {inspect.getdoc(event)} | {where} |")
    return "\n".join(rows)


def _asked(event: type) -> str:
    return str(event.__struct_config__.tag)


def train_diagram() -> str:
    """A mermaid state diagram of the train: who rides, and what the rollout does."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.CLEAR}"]
    for state, events in train.TABLE.items():
        targets: dict[State, list[str]] = {}
        for event, reached in events.items():
            label = "(rollout)" if event is Seen else _word(event)
            for target in reached - {state}:
                targets.setdefault(target, []).append(label)
        for target, labels in sorted(targets.items()):
            lines.append(f"    {state} --> {target} : {', '.join(sorted(labels))}")
    return "\n".join([*lines, "```"])


def train_states() -> str:
    """Every state of the train with its meaning, and what people can do in it."""
    rows = ["| state | meaning | people can |", "|---|---|---|"]
    meanings = _member_docs(State)
    for state in State:
        can = sorted(_word(e) for e in train.TABLE[state] if e not in UNSAID)
        rows.append(f"| `{state}` | {meanings[state.name]} | {', '.join(can)} |")
    return "\n".join(rows)


def chat_commands() -> str:
    """Every command of the chat: how it is written, its other names, and what it does."""
    rows = ["| command | also | what it does |", "|---|---|---|"]
    for usage in COMMANDS:
        also = ", ".join(f"`.{name}`" for name in usage.synonyms)
        rows.append(f"| `{usage.form.replace('|', chr(92) + '|')}` | {also} | {usage.meaning} |")
    return "\n".join(rows)


def _word(event: type) -> str:
    return WORDS.get(event, event.__name__.lower())


def _member_docs(enum: type) -> dict[str, str]:
    """The string under each member of an enum, from the module's source."""
    source = textwrap.dedent(inspect.getsource(enum))
    body = ast.parse(source).body[0].body
    return {
        node.targets[0].id: " ".join(following.value.value.split())
        for node, following in itertools.pairwise(body)
        if isinstance(node, ast.Assign) and isinstance(following, ast.Expr)
    }
