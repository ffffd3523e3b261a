"""Where releases are prepared: Headway's own copies of repositories, and the forges behind them.

Everything here blocks, and is called in a thread, one call at a time for each repository.
"""

import base64
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from headway.core import release as core
from headway.core.lanes import Home
from headway.errors import InvalidInput, NotFound, Refused
from headway.forge.github import API as GITHUB_API
from headway.forge.github import GitHub
from headway.forge.gitlab import API as GITLAB_API
from headway.forge.gitlab import GitLab
from headway.forge.mirror import Mirror
from headway.forge.plain import Plain
from headway.forge.port import Commit, Forge, Opened, Pull
from headway.model.plan import AppConfig
from headway.model.release import (
    Change,
    CheckState,
    CommitId,
    Lane,
    OpenRevert,
    Pick,
    PickKind,
    Release,
    Review,
)
from headway.model.releasing import Releasing
from headway.server.config import ForgeKind, ForgeSettings


class Survey(Struct, frozen=True):
    """What was merged: ``main`` is the commit to cut from, ``changes`` are oldest first.

    ``base`` is what is live, None where the repository does not have that.
    ``returning`` are sentences on what was taken back on an earlier release and is in main still.
    """

    main: CommitId
    base: CommitId | None
    changes: tuple[Change, ...]
    returning: tuple[str, ...] = ()


class Workshop:
    """The copies in ``directory``, and the forges that the server's configuration names."""

    def __init__(self, directory: Path | None, forges: Mapping[str, ForgeSettings]) -> None:
        self._directory = directory
        self._settings = dict(forges)

    def check(self, config: AppConfig) -> None:
        """Raise InvalidInput unless an app's releases can be made here."""
        ours = config.releases
        if ours is None:
            return
        if ours.forge is not None and ours.forge not in self._settings:
            known = ", ".join(sorted(self._settings)) or "none"
            raise InvalidInput(
                f'the server knows no forge "{ours.forge}"; its configuration has {known}'
            )
        if ours.config is not None and ours.config.app == config.name:
            raise InvalidInput("the config lane deploys an app of its own; give it another name")

    def webhook_secret(self, forge: str) -> tuple[ForgeKind, str]:
        """How a forge signs, and with what. Raises NotFound where it may not call."""
        settings = self._settings.get(forge)
        if settings is None or settings.webhook_secret_file is None:
            raise NotFound(f"no forge {forge[:63]} may call here; see webhook_secret_file")
        return settings.kind, _secret(settings.webhook_secret_file)

    def survey(
        self, home: Home, base: CommitId | None, until: str, earlier: Iterable[Release]
    ) -> Survey:
        """What is in main up to ``until`` and not in ``base``. Raises Refused, NotFound."""
        ours, mirror = self._open(home)
        mirror.fetch()
        head = mirror.resolve(ours.main)
        main = mirror.resolve(until) if until else head
        if not mirror.is_in(main, head):
            raise Refused(f"{until[:80]} is not in {ours.main}: releases are cut from there")
        if base is not None and not mirror.has(base):
            base = None
        if base is None:
            return Survey(main, None, ())
        commits = mirror.since(base, main)
        changes = self._changes(home, commits)
        if home.lane is Lane.CONFIG and ours.config is not None:
            config = ours.config
            theirs = {c.id for c in commits if core.touches_config(c.paths, config)}
            changes = tuple(change for change in changes if change.commit in theirs)
        back = {
            pick.change.commit
            for release in earlier
            for pick in release.picks
            if pick.kind is PickKind.REVERT
        }
        still = frozenset(
            commit
            for commit in back
            if mirror.has(commit)
            and mirror.is_in(commit, main)
            and commit not in mirror.taken_back(commit, main)
        )
        return Survey(main, base, changes, core.returning(earlier, still, changes))

    def pick(
        self, home: Home, release: Release, wanted: Sequence[str], by: str, reason: str, now: float
    ) -> tuple[Pick, ...]:
        """Commits that bring changes onto a release. Raises NotFound, Refused (conflicts too)."""
        ours, mirror = self._open(home)
        mirror.fetch()
        self._check_branch(mirror, release)
        merged = mirror.since(release.main, mirror.resolve(ours.main))
        queue = self._changes(home, merged)
        changes: list[Change] = []
        for one in wanted:
            found = core.find(queue, one)
            if not found:
                if one.startswith("#"):
                    raise NotFound(f"{one[:20]} was not merged since {release.id} was cut")
                found = self._changes(home, mirror.commits([mirror.resolve(one)]))
            changes += found
        head, picks = release.head, []
        commits = {commit.id: commit for commit in mirror.commits([c.commit for c in changes])}
        for change in changes:
            head = mirror.pick(commits[change.commit], head, f"Asked-for-by: {by}")
            picks.append(Pick(PickKind.HOTFIX, change, head, by, now, reason))
        return tuple(picks)

    def take_back(
        self,
        home: Home,
        release: Release,
        changes: Sequence[Change],
        by: str,
        reason: str,
        now: float,
    ) -> tuple[tuple[Pick, ...], tuple[OpenRevert, ...]]:
        """Commits that take changes back on the release, and on main where it has them still.

        The last change goes first. Raises Refused, also for conflicts.
        """
        ours, mirror = self._open(home)
        mirror.fetch()
        self._check_branch(mirror, release)
        main, head = mirror.resolve(ours.main), release.head
        picks: list[Pick] = []
        asks: list[OpenRevert] = []
        onto_main = main
        for change in reversed(changes):
            (commit,) = mirror.commits([self._on_branch(mirror, release, change)])
            head = mirror.take_back(commit, head, f"Asked-for-by: {by}")
            picks.append(Pick(PickKind.REVERT, change, head, by, now, reason))
            (original,) = mirror.commits([change.commit])
            in_main = mirror.is_in(original.id, main)
            if in_main and original.id not in mirror.taken_back(original.id, main):
                onto_main = mirror.take_back(original, onto_main, f"Asked-for-by: {by}")
        if onto_main != main:
            names = ", ".join(core.name(change) for change in changes)
            asks.append(
                OpenRevert(
                    release=release.id,
                    branch=f"headway/revert-{release.id}-{onto_main[:12]}",
                    commit=onto_main,
                    title=f"Revert {names}"[:250],
                    body=f"{by} takes {names} back on {release.id}: {reason or 'no reason given'}",
                )
            )
        return tuple(picks), tuple(asks)

    def missing(
        self, home: Home, live: CommitId | None, commits: Sequence[CommitId]
    ) -> frozenset[CommitId]:
        """Which of these commits are not in what is live."""
        _, mirror = self._open(home)
        mirror.fetch()
        if live is None or not mirror.has(live):
            return frozenset(commits)
        return frozenset(commit for commit in commits if not mirror.is_in(commit, live))

    def push(self, home: Home, release: Release, index: int, expect: CommitId | None) -> None:
        """Bring a release's branch and tag into the repository. Raises Unreachable, Refused."""
        _, mirror = self._open(home)
        mirror.push(release.branch, release.tags[index], expect)

    def ask(self, home: Home, effect: OpenRevert) -> Opened:
        """Push a revert's branch, and ask for its merge. Raises Unreachable, Busy, Denied."""
        ours, mirror = self._open(home)
        mirror.push_branch(effect.branch, effect.commit)
        forge = self._forge(ours)
        try:
            return forge.open(effect.branch, ours.main, effect.title, effect.body)
        finally:
            forge.close()

    def _changes(self, home: Home, commits: Sequence[Commit]) -> tuple[Change, ...]:
        ours = home.owner.releases
        assert ours is not None  # noqa: S101 - a home has a repository
        forge = self._forge(ours)
        try:
            pulls = forge.pulls(commits)
        finally:
            forge.close()
        return tuple(_change(commit, pulls.get(commit.id), ours) for commit in commits)

    def _check_branch(self, mirror: Mirror, release: Release) -> None:
        """Raise Refused when somebody else has moved the release's branch."""
        stands = mirror.branch(release.branch)
        ours = {tag.commit for tag in release.tags}
        if stands is not None and stands not in ours:
            raise Refused(
                f"{release.branch} has commits that Headway did not make, up to {stands[:12]}; "
                "merge them into main, and take them as hotfixes of another release"
            )

    def _on_branch(self, mirror: Mirror, release: Release, change: Change) -> CommitId:
        """The commit that has brought a change onto the branch: its own, or its pick."""
        for pick in release.picks:
            if pick.kind is PickKind.HOTFIX and pick.change.commit == change.commit:
                return pick.commit
        return change.commit

    def _open(self, home: Home) -> tuple[Releasing, Mirror]:
        ours = home.owner.releases
        if self._directory is None or ours is None:
            raise Refused("this control plane keeps no repositories, so it makes no releases")
        path = self._directory / f"{home.owner.name}.git"
        return ours, Mirror(path, ours.repository, self._credentials(ours))

    def _credentials(self, ours: Releasing) -> dict[str, str]:
        """The token for git, which git itself sends to addresses below ``git`` only."""
        settings = self._settings.get(ours.forge or "")
        if settings is None or settings.git is None or settings.token_file is None:
            return {}
        user = "x-access-token" if settings.kind is ForgeKind.GITHUB else "oauth2"
        pair = f"{user}:{_secret(settings.token_file)}".encode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{settings.git}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {base64.b64encode(pair).decode()}",
        }

    def _forge(self, ours: Releasing) -> Forge:
        if ours.forge is None:
            return Plain()
        settings = self._settings.get(ours.forge)
        if settings is None:
            raise NotFound(f'the server knows no forge "{ours.forge}" any more')
        token = _secret(settings.token_file) if settings.token_file else ""
        if settings.kind is ForgeKind.GITHUB:
            return GitHub(ours.project, token, settings.api or GITHUB_API)
        return GitLab(ours.project, token, settings.api or GITLAB_API)


def _change(commit: Commit, known: Pull | None, ours: Releasing) -> Change:
    """A commit with what the forge knows of it; what it does not know stays unknown."""
    pull = known or Pull(commit.author, commit.subject, Review.UNKNOWN, CheckState.UNKNOWN)
    return Change(
        commit=commit.id,
        author=pull.author[:200],
        subject=pull.title[:500],
        dark=core.is_dark(pull.title),
        number=pull.number,
        url=pull.url[:500],
        review=pull.review,
        tests=pull.tests,
        merged_at=pull.merged_at or commit.at,
        lane=core.lane_of(commit.paths, ours.config),
        paths=commit.paths[: core.MAX_PATHS],
        more=max(0, len(commit.paths) - core.MAX_PATHS),
    )


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidInput(f"others can read the secret in {path}: run `chmod 600 {path}`")
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the secret {path} cannot be read: {error}") from None
