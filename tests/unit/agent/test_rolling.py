"""Several instances: one at a time, the right ones back, and nothing twice after a crash."""

import sys
from pathlib import Path

import pytest

from headway.agent.activation import Activator
from headway.agent.config import AppSettings, Hook
from headway.agent.lifecycle import Hooks
from headway.agent.slots import Slots
from headway.agent.state import Activation, Memory, Slot
from headway.agent.strategies import CommandRestart, FileTraffic, Instance
from headway.agent.switch import hot, switch

OLD, NEW = "a" * 64, "b" * 64

RESTART = """
import json, os, pathlib, sys
place = pathlib.Path(sys.argv[1])
name, slot = os.environ["HEADWAY_INSTANCE"], os.environ["HEADWAY_TREE"][-1]
drained = " ".join(sorted(path.name[0] for path in place.glob("*.drain")))
with open(place / "journal", "a") as journal:
    journal.write(f"{name} on {slot} while {drained} is out\\n")
state = json.loads((place / "web" / "state").read_text())
with open(place / "begun", "a") as begun:
    begun.write(" ".join(state["activation"]["begun"]) + "\\n")
sys.exit((place / f"{name}-fails-on-{slot}").exists())
"""

HOOK = """
import os, pathlib, sys
place = pathlib.Path(sys.argv[1])
name, port = os.environ["HEADWAY_INSTANCE"], os.environ["HEADWAY_PORT"]
door = (place / f"{name}.drain").exists()
with open(place / "journal", "a") as journal:
    slot = os.environ["HEADWAY_TREE"][-1]
    journal.write(f"{sys.argv[2]} {name} {port} on {slot}, {'shut' if door else 'open'}\\n")
sys.exit((place / f"{sys.argv[2]}-{name}-fails").exists())
"""
"""What drains and undrains an instance, and sees whether traffic is let in."""


class Stage:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.app = place / "web"
        (self.app / "slots" / "1").mkdir(parents=True)
        (self.app / "slots" / "2").mkdir()
        self.memory = Memory(self.app)
        self.memory.keep(slots={"1": Slot(OLD), "2": Slot(NEW)}, running="1")
        switch(self.app, "1")
        (place / "restart.py").write_text(RESTART)
        (place / "hook.py").write_text(HOOK)

    def hooks(self) -> dict[str, Hook]:
        script = (sys.executable, "-S", str(self.place / "hook.py"), str(self.place))
        return {name: Hook((*script, name)) for name in ("drain", "undrain")}

    def activator(self, instances: str = "xyz", **hooks: Hook) -> Activator:
        app = AppSettings(
            name="web",
            tier="production",
            instances=tuple(Instance(name, 8000 + ord(name)) for name in instances),
            **hooks,
            traffic=FileTraffic(self.place / "{instance}.drain", wait=0),
            restart=CommandRestart(
                (sys.executable, str(self.place / "restart.py"), str(self.place))
            ),
        )
        self.memory = Memory(self.app)
        slots = Slots(self.app, self.memory)
        return Activator(
            app=app,
            node="n1",
            memory=self.memory,
            slots=slots,
            hooks=Hooks(self.memory, self.app),
            show=lambda _: None,
        )

    def journal(self) -> list[str]:
        path = self.place / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def drained(self) -> list[str]:
        return [path.name for path in self.place.glob("*.drain")]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_one_after_another_each_out_of_traffic(stage: Stage) -> None:
    stage.activator().activate(NEW, 1)
    assert stage.journal() == [f"{name} on 2 while {name} is out" for name in "xyz"]
    assert stage.drained() == []
    assert (hot(stage.app), stage.memory.state.running) == ("2", "2")


def test_those_that_had_moved_go_back_the_failed_one_first(stage: Stage) -> None:
    (stage.place / "y-fails-on-2").touch()
    stage.activator().activate(NEW, 1)
    assert stage.journal() == [
        "x on 2 while x is out",
        "y on 2 while y is out",
        "y on 1 while y is out",
        "x on 1 while x is out",
    ]
    state = stage.memory.state
    assert (hot(stage.app), state.running, state.activation) == ("1", "1", None)
    assert state.failed is not None and state.failed.build == NEW
    assert stage.drained() == []


def test_what_cannot_be_drained_is_not_restarted(stage: Stage) -> None:
    (stage.place / "y.drain").symlink_to("/no/such/directory/file")
    stage.activator().activate(NEW, 1)
    assert [line[:6] for line in stage.journal()] == ["x on 2", "x on 1"]
    assert "y.drain cannot be made" in stage.memory.state.error


def test_a_way_back_that_fails_goes_on_with_the_others(stage: Stage) -> None:
    (stage.place / "y-fails-on-2").touch()
    (stage.place / "y-fails-on-1").touch()
    stage.activator().activate(NEW, 1)
    assert [line[:6] for line in stage.journal()] == ["x on 2", "y on 2", "y on 1", "x on 1"]
    assert "and after flipping back: the restart hook failed" in stage.memory.state.error
    assert stage.drained() == []


@pytest.mark.parametrize(
    ("begun", "moved"),
    [((), "xyz"), (("x",), "xyz"), (("x", "y"), "yz"), (("x", "y", "z"), "z")],
)
def test_after_a_crash_the_verified_ones_are_left_alone(
    stage: Stage, begun: tuple[str, ...], moved: str
) -> None:
    stage.memory.keep(activation=Activation(NEW, "2", "1", 1, begun=begun))
    switch(stage.app, "2")
    (stage.place / "x.drain").touch()
    stage.activator().recover()
    assert [line[0] for line in stage.journal()] == list(moved)
    assert stage.drained() == []
    assert stage.memory.state.running == "2"


def test_after_a_crash_on_the_way_back_only_those_that_moved_go(stage: Stage) -> None:
    activation = Activation(NEW, "2", "1", 1, returning=True, begun=("x", "y"))
    stage.memory.keep(activation=activation)
    switch(stage.app, "2")
    stage.activator().recover()
    assert [line[:6] for line in stage.journal()] == ["y on 1", "x on 1"]
    assert (hot(stage.app), stage.memory.state.running) == ("1", "1")


def test_nobody_else_is_out_of_traffic_when_a_killed_agent_comes_back(stage: Stage) -> None:
    """Killed when ``y`` had been drained, and before its restart was begun."""
    stage.memory.keep(activation=Activation(NEW, "2", "1", 1, begun=("x",)))
    switch(stage.app, "2")
    (stage.place / "y.drain").touch()
    stage.activator().recover()
    assert stage.journal() == [f"{name} on 2 while {name} is out" for name in "xyz"]


def test_the_one_at_work_is_the_last_that_is_written_down(stage: Stage) -> None:
    (stage.place / "z-fails-on-2").touch()
    stage.activator().activate(NEW, 1)
    begun = (stage.place / "begun").read_text().splitlines()
    assert begun == ["x", "x y", "x y z", "x y z", "x y", "x"]


def test_an_instance_that_the_configuration_has_lost_is_no_obstacle(stage: Stage) -> None:
    activation = Activation(NEW, "2", "1", 1, returning=True, begun=("x", "gone"))
    stage.memory.keep(activation=activation, error="it failed")
    switch(stage.app, "2")
    stage.activator().recover()
    assert [line[:6] for line in stage.journal()] == ["x on 1"]
    assert stage.memory.state.error == "it failed"


def test_hooks_drain_each_instance_around_its_own_restart(stage: Stage) -> None:
    stage.activator(**stage.hooks()).activate(NEW, 1)
    assert stage.journal() == [
        line
        for name, port in (("x", 8120), ("y", 8121), ("z", 8122))
        for line in (
            f"drain {name} {port} on 2, open",
            f"{name} on 2 while {name} is out",
            f"undrain {name} {port} on 2, open",
        )
    ]


def test_hooks_may_name_the_instance_in_their_arguments(stage: Stage) -> None:
    argv = ("/bin/sh", "-c", f"echo $0 $1 >>{stage.place}/journal", "{instance}", "{port}")
    stage.activator("x", drain=Hook(argv)).activate(NEW, 1)
    assert stage.journal()[0] == "x 8120"


def test_a_hook_that_cannot_drain_an_instance_leaves_it_alone(stage: Stage) -> None:
    (stage.place / "drain-y-fails").touch()
    activator = stage.activator(**stage.hooks())
    activator.recover()
    activator.activate(NEW, 1)
    assert [line[:10] for line in stage.journal()] == [
        *(f"undrain {name} " for name in "xyz"),
        "drain x 81",
        "x on 2 whi",
        "undrain x ",
        "drain y 81",
        "undrain y ",
        "drain x 81",
        "x on 1 whi",
        "undrain x ",
    ]
    state = stage.memory.state
    assert state.error == "the drain hook failed: it exited with 1"
    assert (hot(stage.app), state.running, stage.drained()) == ("1", "1", [])


def test_an_instance_that_cannot_come_back_stops_the_others(stage: Stage) -> None:
    """Otherwise a drain that nobody can undo would go through the node instance by instance."""
    (stage.place / "undrain-x-fails").touch()
    stage.activator(**stage.hooks()).activate(NEW, 1)
    assert not [line for line in stage.journal() if "y on 2" in line]
    assert "the undrain hook failed" in stage.memory.state.error
    (stage.place / "undrain-x-fails").unlink()
    (stage.place / "journal").unlink()
    stage.activator(**stage.hooks()).recover()
    assert [line[:9] for line in stage.journal()] == ["undrain x", "undrain y", "undrain z"]


def test_hooks_put_everybody_back_when_a_killed_agent_comes_back(stage: Stage) -> None:
    """Killed when ``y`` had been drained, and before its restart was begun."""
    stage.memory.keep(activation=Activation(NEW, "2", "1", 1, begun=("x",)))
    switch(stage.app, "2")
    stage.activator(**stage.hooks()).recover()
    assert [line.partition(" 8")[0][:9] for line in stage.journal()] == [
        "undrain y",
        "undrain z",
        "drain x",
        "x on 2 wh",
        "undrain x",
        "drain y",
        "y on 2 wh",
        "undrain y",
        "drain z",
        "z on 2 wh",
        "undrain z",
    ]
