"""The slots of one app: complete trees, of which one is hot and one the last good one.

A slot is chosen, marked dirty, changed, synced and only then marked as holding a build. Whatever
interrupts this leaves a dirty slot, which is never switched to and always rebuilt.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import structs

from headway.agent import drifting, durable, processes, switch, tree
from headway.agent.content import Content
from headway.agent.listings import Listings
from headway.agent.state import Memory, Slot, State
from headway.builds import manifest as manifests
from headway.builds.manifest import Difference, Manifest
from headway.errors import Unreachable, Untrusted
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.report import Drift

_LEAST = 3
_KEPT_EVERY = 256 * 1024 * 1024
"""After so many bytes what has arrived is made durable, and is not fetched again."""

_FEW = 1000
"""So many contents may wait for their names until the deploy is over."""
_MANY = 10_000
"""So many get them while others are still being fetched."""

Save = Callable[[str, int, Iterator[bytes]], None]
Fetch = Callable[[Mapping[str, int], Save], None]
"""Called with the missing digests and their sizes, and with what saves each."""


class Slots:
    """The directory ``<root>/<app>``."""

    def __init__(self, app: Path, memory: Memory) -> None:
        self.app = app
        self._memory = memory
        self._sound: BuildId | None = None
        self._compared: tuple[tuple[BuildId, BuildId], list[Difference]] | None = None
        with durable.storing(f"setting up {app}"):
            durable.make_directory(app / "slots")
            self._listings = Listings(app / "listings")
            self.content = Content(app / "store")

    def close(self) -> None:
        """Release the store."""
        self.content.close()

    def path(self, slot: str) -> Path:
        """Where the tree of a slot lies, without any link in the way."""
        return (self.app / "slots").resolve() / slot

    def hot(self) -> str | None:
        """The slot that ``current`` leads to."""
        return switch.hot(self.app)

    def holding(self, build: BuildId) -> str | None:
        """A slot in which ``build`` is ready; the hot one if it is that."""
        hot = self.hot()
        with durable.storing(f"looking for {build[:12]} below {self.app}"):
            ready = [
                name
                for name, slot in self._memory.state.slots.items()
                if slot.build == build
                and (name == hot or not (slot.drifted or slot.spare))
                and self.path(name).is_dir()
            ]
        return hot if hot in ready else next(iter(ready), None)

    def cold(self) -> BuildId | None:
        """The build that was made ready last and does not run."""
        state = self._memory.state
        ready = [
            slot
            for name, slot in state.slots.items()
            if slot.build and name != state.running and not (slot.drifted or slot.spare)
        ]
        return max(ready, key=lambda slot: slot.age).build if ready else None

    def builds(self) -> list[BuildId]:
        """The builds whose trees are here as they were published, what runs first."""
        state = self._memory.state
        slots = sorted(
            state.slots.items(), key=lambda item: (item[0] != state.running, -item[1].age)
        )
        return list(dict.fromkeys(slot.build for _, slot in slots if slot.build))

    def listing(self, digest: str) -> bytes | None:
        """A listing of a build that was prepared, and checked, here; None if it is damaged."""
        return self._listings.get(digest)

    def blob(self, digest: str) -> Path | None:
        """The file that holds this content."""
        return self.content.file(digest)

    def gather(self, manifest: Manifest, fetch: Fetch, proceed: Callable[[], None]) -> None:
        """Bring what the manifest names to this disk, for ``prepare`` to link.

        Once this agent has seen all content of a build in the store, that is not looked for
        again, until a preparation fails. ``proceed`` is called before each file and may raise.
        Raises StorageFailed, and what ``fetch`` raises. What had arrived whole when the way was
        cut off stays, and so it does every so often; of anything else nothing stays.
        """
        arrived = 0

        def save(digest: str, size: int, chunks: Iterator[bytes]) -> None:
            nonlocal arrived
            proceed()
            self.content.add(digest, chunks)
            arrived += size
            if arrived >= _KEPT_EVERY or self.content.waiting >= _MANY:
                self.content.commit()
                arrived = 0

        with durable.storing(f"fetching into {self.content.path}"):
            try:
                changes: Iterable[Difference] | None = self._changes(self._sound, manifest)
                if changes is None:
                    changes = manifests.differences(None, manifest)
                if missing := self.content.missing(changes):
                    fetch(missing, save)
                if self.content.waiting > _FEW:
                    self.content.commit()
            except Unreachable:
                self.content.commit()
                raise
            except BaseException:
                with contextlib.suppress(OSError):
                    self.content.discard()
                raise

    def prepare(
        self,
        build: Build,
        manifest: Manifest,
        keep: set[BuildId],
        hook: Callable[[Path], None] | None,
        proceed: Callable[[], None],
    ) -> str:
        """Make ``build`` ready in a cold slot, from the store; returns the slot.

        ``keep`` are builds whose slots are spared while there is another. ``hook`` runs in the
        finished tree; ``proceed`` is called between files and may raise.
        """
        self._sound = None
        with durable.storing(f"preparing {build.id[:12]} below {self.app}"):
            name = self._choose(keep)
            slot, path = self._memory.state.slots.get(name, Slot()), self.path(name)
            self._memory.keep_slot(name, Slot())
            durable.make_directory(path)
            changes = self._changes(slot.build, manifest) if slot.exact else None
            if changes is not None:
                tree.apply(path, changes, self.content, proceed)
            else:
                tree.align(path, manifest, self.content, proceed)
            self._listings.add(manifest)
            if hook is not None:
                hook(path)
            self.content.sync()
        age = 1 + max((slot.age for slot in self._memory.state.slots.values()), default=0)
        made = Slot(build.id, build.commit, exact=hook is None, age=age, hooked=hook is not None)
        self._memory.keep_slot(name, made)
        self._change(drifting.rebuilt(self._memory.state, name))
        self._sound = build.id
        return name

    def tidy(self, keep: set[BuildId], proceed: Callable[[], None]) -> None:
        """While idle: check cold slots, drop those beyond three, make one of them a spare, remove
        content without use.

        ``proceed`` is called between these and may raise; what is left is done another time.
        """
        with durable.storing(f"tidying {self.app}"):
            for name in self._free(keep):
                proceed()
                if int(name) > _LEAST:
                    self._memory.keep_slot(name, Slot())
                    shutil.rmtree(self.path(name), ignore_errors=True)
                    known = self._memory.state.slots.items()
                    self._memory.keep(slots={key: slot for key, slot in known if key != name})
            for name, slot in self._memory.state.slots.items():
                proceed()
                if slot.build is None or slot.exact or name == self.hot():
                    continue
                if slot.drifted:
                    self._change(drifting.let_go(self._memory.state, name))
                elif self._is_exact(name, slot.build):
                    self._memory.keep_slot(name, structs.replace(slot, exact=True))
            needed = {build for build in keep if self.holding(build) is None}
            self._change(drifting.written_off(self._memory.state, needed))
            self._make_spare(keep)
            self._listings.settle()
            self.content.collect(proceed)
            held = {slot.build for slot in self._memory.state.slots.values() if slot.build}
            self._listings.collect(held, proceed)
            self._compared = None

    def distrust(self) -> None:
        """No tree is what it is known to be: something that any of them may hold is damaged."""
        self._sound = None
        slots = self._memory.state.slots
        if any(slot.exact for slot in slots.values()):
            doubted = {name: structs.replace(slot, exact=False) for name, slot in slots.items()}
            self._memory.keep(slots=doubted)

    def judge(self, name: str, drift: Drift | None) -> None:
        """Note whether the tree in a slot is what was published.

        One that is not, and does not serve, is never switched to.
        """
        self._change(drifting.judged(self._memory.state, name, drift, name == self.hot()))

    def lost(self) -> BuildId | None:
        """A build that was ready for a switch, and must be prepared again."""
        return drifting.lost(self._memory.state)

    def _change(self, changed: State) -> None:
        """Keep a state that was derived from the present one, if it differs."""
        if changed != self._memory.state:
            self._memory.keep(slots=changed.slots, good=changed.good, inspection=changed.inspection)

    def manifest(self, build: BuildId) -> Manifest:
        """The listings of a build that is here; a damaged one is Untrusted when it is read."""
        return Manifest(build, {}, self._listings.get)

    def _changes(self, base: BuildId | None, new: Manifest) -> Sequence[Difference] | None:
        """How ``new`` differs from a build that is here; None when that cannot be told."""
        if base is None:
            return None
        pair = base, new.build
        if self._compared is None or self._compared[0] != pair:
            is_at_hand = new.base is not None and new.base.build == base
            old = new.base if is_at_hand else self.manifest(base)
            try:
                found = list(manifests.differences(old, new))
            except Untrusted:
                return None
            self._compared = pair, found
        return self._compared[1]

    def _make_spare(self, keep: set[BuildId]) -> None:
        """Make the slot that comes next a second copy of what runs.

        The next preparation then has only its own change to apply, and not those between, and
        need not look whether the slot is used: nothing has been started in it since.
        """
        hot = self.hot()
        model = self._memory.state.slots.get(hot or "", Slot())
        name = next(iter(self._free(keep)), "")
        slot = self._memory.state.slots.get(name, Slot())
        if model.build in {None, slot.build} or model.hooked or not (model.exact and slot.exact):
            return
        changes = self._changes(slot.build, self.manifest(model.build))
        if changes is None or self.content.missing(changes):
            return
        # Not put off for news: what comes would have to make a half-done slot anew.
        self._memory.keep_slot(name, Slot())
        tree.apply(self.path(name), changes, self.content, lambda: None)
        self.content.sync()
        self._memory.keep_slot(name, structs.replace(model, age=slot.age, spare=True))

    def _is_exact(self, slot: str, build: BuildId) -> bool:
        try:
            return tree.is_exact(self.path(slot), self.manifest(build), self.content)
        except Untrusted:
            return False

    def _choose(self, keep: set[BuildId]) -> str:
        known = self._memory.state.slots
        spares = [name for name in known if known[name].spare and name != self.hot()]
        free = spares or self._free(keep)
        if free:
            return free[0]
        names = self._names()
        return str(max(int(name) for name in names) + 1)

    def _free(self, keep: set[BuildId]) -> list[str]:
        """Slots that may be changed, the oldest first."""
        state = self._memory.state
        protected = {self.hot(), state.running, state.good}
        if state.activation is not None:
            protected |= {state.activation.slot, state.activation.back}
        slots = {name: state.slots.get(name, Slot()) for name in self._names()}
        cold = [
            name
            for name, slot in slots.items()
            if name not in protected and (slot.spare or slot.build not in keep)
        ]
        busy = processes.in_use(self.path(name) for name in cold)
        free = [name for name in cold if self.path(name) not in busy]
        return sorted(free, key=lambda name: (slots[name].age, int(name)))

    def _names(self) -> set[str]:
        first = {str(number) for number in range(1, _LEAST + 1)}
        there = {path.name for path in (self.app / "slots").iterdir() if path.name.isdigit()}
        return first | there | set(self._memory.state.slots)
