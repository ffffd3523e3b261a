"""Where an app stands, in a word, a shape and a sentence, and what a person may do about it."""

from msgspec.structs import replace

from headway.core.plan import title
from headway.model.picture import Actions, Alarm, Banner, Button, Tone
from headway.model.plan import Gate
from headway.model.rollout import LIVE, NodeState, Phase, Rollout
from headway.model.verdict import Outcome
from headway.model.views import RolloutView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.pipeline import tier_views
from headway.server.cockpit.words import count, short

SYMBOLS = {
    Tone.LIVE: "✓",
    Tone.ROLLING: "▲",
    Tone.PAUSED: "‖",
    Tone.REVERTING: "↺",
    Tone.IDLE: "○",
}

_TONES = {
    Phase.ROLLING: Tone.ROLLING,
    Phase.SOAKING: Tone.ROLLING,
    Phase.WAITING: Tone.ROLLING,
    Phase.PAUSED: Tone.PAUSED,
    Phase.REVERTING: Tone.REVERTING,
    Phase.SUCCEEDED: Tone.LIVE,
    Phase.REVERTED: Tone.REVERTING,
    Phase.ABORTED: Tone.PAUSED,
    Phase.SUPERSEDED: Tone.IDLE,
}

_WORDS = {
    Phase.ROLLING: "Rolling out",
    Phase.SOAKING: "Watching",
    Phase.WAITING: "Green, waiting",
    Phase.PAUSED: "Paused",
    Phase.REVERTING: "Reverting",
    Phase.SUCCEEDED: "Live everywhere",
    Phase.REVERTED: "Reverted",
    Phase.ABORTED: "Aborted",
    Phase.SUPERSEDED: "Superseded",
}


def banner(facts: Facts) -> Banner:
    """The state of the app."""
    view = facts.rollout
    if view is None:
        sentence = next(iter(facts.why), "")
        return Banner(Tone.IDLE, SYMBOLS[Tone.IDLE], "Never deployed", "", sentence)
    state = view.rollout
    tone = _TONES[state.phase]
    because = _because(state, facts) if state.phase is Phase.REVERTED else ""
    word, where = _WORDS[state.phase], _where(state)
    return Banner(tone, SYMBOLS[tone], word, where, state.why, because)


def tab(facts: Facts, shown: Banner) -> str:
    """The title of the page: the state first, where tabs are narrow."""
    if facts.rollout is None:
        return f"{shown.symbol} {facts.app}"
    return f"{shown.symbol} {shown.where or shown.word} · {facts.app}"


def alarms(facts: Facts) -> tuple[Alarm, ...]:
    """All that is on fire; nothing when all is well, and nothing that is over."""
    state = facts.rollout.rollout if facts.rollout else None
    verdicts = state.verdicts if state and state.phase in LIVE else ()
    failing = [Alarm("failed", v.sentence) for v in verdicts if v.outcome is Outcome.FAIL]
    silent = [
        Alarm("unknown", v.sentence)
        for v in verdicts
        if v.outcome in (Outcome.NO_DATA, Outcome.ERROR)
    ]
    nodes = [
        Alarm(state.value, f"{count(amount, 'node')} {words}")
        for state, words in (
            (NodeState.FAILED, "went back after a failed flip"),
            (NodeState.UNKNOWN, "not heard from"),
        )
        if (amount := _amount(facts, state))
    ]
    return (*failing, *nodes, *silent)


def actions(facts: Facts) -> Actions:
    """What there is to do for somebody who may deploy."""
    view = facts.rollout
    if view is None:
        return _deployable(Actions(why="Publish a build, then deploy it"), facts)
    state = view.rollout
    found = Actions(
        rollout=state.id,
        seen=view.standing,
        why=view.next_why if view.next_why != state.why else "",
        blockers=view.blockers if state.phase in LIVE else (),
        small=_small(state, facts),
        hurting=_hurting(state),
        until=_until(view),
    )
    if view.next == "advance":
        return replace(found, next=Button("advance", f"Advance{_to_next_step(view)}"))
    if view.next == "sign-off":
        return replace(found, next=Button("sign-off", "Sign off"))
    if view.next == "resume":
        return replace(found, next=Button("resume", "Resume"))
    if view.next == "retry":
        small = tuple(b for b in found.small if b.action != "retry")
        accept = Button("resume", "Resume, accept the failed nodes")
        return replace(found, next=Button("retry", "Retry failed nodes"), small=(accept, *small))
    if state.phase in LIVE:
        return replace(found, wait="Nothing to do: it goes on by itself")
    hold = next((h for h in facts.holds if h.on == facts.app), None)
    if hold is not None:
        why = f"Lift {hold.by}'s hold when its reason is gone"
        return replace(found, why=why, command=f"headway hold lift {hold.id}")
    return _deployable(replace(found, why="Ready for the next deploy"), facts)


def _deployable(found: Actions, facts: Facts) -> Actions:
    """With the newest build to deploy, unless it is live or has just been taken back."""
    build, last = facts.newest, facts.rollout.rollout if facts.rollout else None
    gone = last is not None and last.phase is not Phase.SUCCEEDED and last.target
    if build is None or build.id in (facts.live, gone):
        return replace(found, command=f"headway deploy {facts.app} BUILD")
    label = f"Deploy {short(build.id)}" + (f" · {build.subject}" if build.subject else "")
    return replace(found, next=Button("deploy", label), build=build.id)


def upcoming(view: RolloutView) -> int | None:
    """The index of the next step that has nodes to move, or None."""
    state, reached = view.rollout, {tier.tier: tier.fraction for tier in view.tiers}
    later = range(state.step + 1, len(state.plan))
    steps = ((index, state.plan[index]) for index in later)
    return next((i for i, s in steps if s.tier in reached and reached[s.tier] < s.share), None)


def _to_next_step(view: RolloutView) -> str:
    index = upcoming(view)
    return f" to {title(view.rollout.plan[index])}" if index is not None else ""


def _because(state: Rollout, facts: Facts) -> str:
    """Why a rollout went back: what its hold says, or once that is lifted, what had failed."""
    held = [hold.reason for hold in facts.holds if hold.id == f"revert-{state.id}"]
    return "; ".join(held or [v.sentence for v in state.verdicts if v.outcome is Outcome.FAIL])


def _where(state: Rollout) -> str:
    return title(state.plan[state.step]) if state.phase in LIVE else ""


def _small(state: Rollout, facts: Facts) -> tuple[Button, ...]:
    buttons = []
    if state.phase in (Phase.ROLLING, Phase.SOAKING, Phase.WAITING):
        buttons.append(Button("pause", "Pause"))
    if state.phase in LIVE and _amount(facts, NodeState.FAILED):
        buttons.append(Button("retry", "Retry failed nodes"))
    return tuple(buttons)


def _amount(facts: Facts, state: NodeState) -> int:
    return sum(tier.states.get(state, 0) for tier in tier_views(facts))


def _hurting(state: Rollout) -> tuple[Button, ...]:
    buttons = []
    forward = LIVE - {Phase.REVERTING} | {Phase.SUCCEEDED, Phase.ABORTED}
    if state.phase in forward and state.base is not None:
        buttons.append(Button("revert", f"Revert to {short(state.base)}"))
    if state.phase in LIVE:
        buttons.append(Button("abort", "Abort, leave nodes as they are"))
    return tuple(buttons)


def _until(view: RolloutView) -> float | None:
    """When the present phase ends by itself, where that is known."""
    state = view.rollout
    if state.phase is Phase.SOAKING:
        return state.since + state.plan[state.step].soak
    index = upcoming(view)
    if state.phase is Phase.WAITING and index is not None:
        step = state.plan[index]
        return state.since + step.notice if step.gate is Gate.ASSISTED else None
    return None
