import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headway.builds.make import make
from headway.errors import HookFailed, InvalidInput, NotFound
from headway.git import resolve

HOSTILE_NAME = "a b\n$(touch x)\t'\"ü"


def git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=repo,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    repo = tmp_path / "a repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / HOSTILE_NAME).write_bytes(b"\x00content")
    (repo / "dir with space").mkdir()
    (repo / "dir with space" / "file").write_bytes(b"first")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "The first\n\nwith a body")
    git(repo, "tag", "-a", "v1", "-m", "a tag's message")
    (repo / "dir with space" / "file").write_bytes(b"second")
    git(repo, "commit", "-q", "-am", "Zweiter größer\t\x1b[31m")
    return repo


@pytest.fixture(autouse=True)
def nothing_stays_behind(repo: Path, tmp_path: Path):
    yield
    assert list((tmp_path / "tmp").iterdir()) == []
    assert git(repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert not (repo / ".git" / "worktrees").exists()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        *(("main", b"second"), ("HEAD", b"second"), ("HEAD@{0}", b"second"), ("@", b"second")),
        *(("v1", b"first"), ("main~1", b"first"), ("refs/heads/main^", b"first")),
    ],
)
def test_checks_out_what_was_asked_for(repo: Path, ref: str, content: bytes) -> None:
    with make(ref, repo=repo, command=()) as made:
        assert (made.directory / "dir with space" / "file").read_bytes() == content
        assert (made.directory / HOSTILE_NAME).read_bytes() == b"\x00content"
        assert made.commit == git(repo, "rev-parse", f"{ref}^{{commit}}")
        assert made.subject == ("The first" if content == b"first" else "Zweiter größer  [31m")
    assert not made.directory.exists()


def test_a_dirty_worktree_neither_matters_nor_changes(repo: Path) -> None:
    (repo / "dir with space" / "file").write_bytes(b"dirty")
    (repo / "untracked").write_bytes(b"")
    (repo / "staged").write_bytes(b"")
    git(repo, "add", "staged")
    before = git(repo, "status", "--porcelain=v2", "--branch", "-z")
    with make("main", repo=repo, command=()) as made:
        assert (made.directory / "dir with space" / "file").read_bytes() == b"second"
        assert not (made.directory / "untracked").exists()
        assert not (made.directory / "staged").exists()
    assert git(repo, "status", "--porcelain=v2", "--branch", "-z") == before


def test_runs_the_command_and_yields_its_output(repo: Path) -> None:
    code = (
        "import os; os.makedirs('out/x'); open('out/x/c', 'w').write(os.environ['HEADWAY_COMMIT'])"
    )
    with make("v1", repo=repo, command=python(code), output="out") as made:
        assert [path.name for path in made.directory.iterdir()] == ["x"]
        assert (made.directory / "x" / "c").read_text() == made.commit


def test_works_from_a_bare_repository_and_a_subdirectory(repo: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    for place in (tmp_path / "bare.git", repo / "dir with space"):
        with make("v1", repo=place, command=()) as made:
            assert (made.directory / "dir with space" / "file").read_bytes() == b"first"


def test_two_at_the_same_time(repo: Path) -> None:
    with (
        make("main", repo=repo, command=()) as one,
        make("main", repo=repo, command=()) as other,
    ):
        assert one.directory != other.directory
        assert (one.directory / "dir with space" / "file").exists()


@pytest.mark.parametrize(
    "ref",
    [
        *("", "-h", "--help", "--output=/tmp/x", "a b", "a\nb", "a\x00b", "main..v1", "^main\n"),
        *(":/first", "HEAD:dir", "a*", "x" * 300, "a\\b", "a?", "[a]"),
    ],
)
def test_hostile_refs_are_refused(repo: Path, ref: str) -> None:
    with pytest.raises(InvalidInput):
        resolve(ref, repo)


@pytest.mark.parametrize("ref", ["nope", "f" * 40, "HEAD~100", "$(touch${IFS}x)", "main^{tree}"])
def test_refs_that_are_not_there(repo: Path, ref: str) -> None:
    with pytest.raises(NotFound, match="no commit"), make(ref, repo=repo, command=()):
        pass


def test_what_is_no_repository(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no directory"):
        resolve("main", tmp_path / "nope")
    with pytest.raises(HookFailed) as caught:
        resolve("main", tmp_path)
    assert "not a git repository" in caught.value.output


def test_an_ambiguous_name_still_gives_a_clean_id(repo: Path) -> None:
    git(repo, "tag", "main", "v1")
    assert resolve("main", repo) == git(repo, "rev-parse", "v1^{commit}")


def test_git_s_variables_do_not_lead_astray(
    repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    code = "import os; assert not [n for n in os.environ if n.startswith('GIT_')]"
    with make("main", repo=repo, command=python(code)) as made:
        assert (made.directory / "dir with space" / "file").read_bytes() == b"second"


def test_no_hook_of_the_repository_runs(repo: Path, tmp_path: Path) -> None:
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    with make("main", repo=repo, command=()):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_failing_command_shows_its_last_output(repo: Path) -> None:
    code = (
        "import sys; print('x' * 20000); print('out'); print('err', file=sys.stderr); sys.exit(3)"
    )
    with (
        pytest.raises(HookFailed, match="status 3") as caught,
        make("main", repo=repo, command=python(code)),
    ):
        pass
    assert len(caught.value.output) <= 8000
    assert "out\n" in caught.value.output
    assert "err\n" in caught.value.output


def test_a_command_that_kills_itself_or_is_not_there(repo: Path) -> None:
    with (
        pytest.raises(HookFailed, match="signal 9"),
        make("main", repo=repo, command=python("import os; os.kill(os.getpid(), 9)")),
    ):
        pass
    with (
        pytest.raises(HookFailed, match="cannot be run"),
        make("main", repo=repo, command=("/no/such/program",)),
    ):
        pass


SLEEPER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
open({path!r}, 'w').write(str(child.pid))
{then}
"""


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


@pytest.mark.parametrize("then", ["import time; time.sleep(600)", "pass"])
def test_its_whole_process_group_ends_with_it(repo: Path, tmp_path: Path, then: str) -> None:
    code = SLEEPER.format(path=str(tmp_path / "pid"), then=then)
    if then == "pass":
        with make("main", repo=repo, command=python(code)):
            pass
    else:
        with (
            pytest.raises(HookFailed, match="longer than 1 s"),
            make("main", repo=repo, command=python(code), timeout=1),
        ):
            pass
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone(pid)


@pytest.mark.parametrize("output", ["..", "/etc", "a/../..", "out\x00", "escape"])
def test_an_output_elsewhere_is_refused(repo: Path, output: str) -> None:
    code = "import os; os.symlink('/', 'escape')"
    with (
        pytest.raises(InvalidInput, match="not beneath"),
        make("main", repo=repo, command=python(code), output=output),
    ):
        pass


def test_an_output_that_was_not_made(repo: Path) -> None:
    with (
        pytest.raises(NotFound, match="'dist'"),
        make("main", repo=repo, command=(), output="dist"),
    ):
        pass


def test_an_error_inside_cleans_up_and_passes(repo: Path) -> None:
    with pytest.raises(KeyboardInterrupt), make("main", repo=repo, command=()):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.makedirs('d/e/f'); os.chmod('d/e', 0); os.chmod('d', 0o500)",
        "import os; os.unlink('.git')",
        "import shutil; shutil.rmtree('dir with space')",
    ],
)
def test_whatever_the_command_leaves_is_removed(repo: Path, code: str) -> None:
    with make("main", repo=repo, command=python(code)):
        pass


def test_other_people_s_worktrees_stay(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "-q", "--detach", str(tmp_path / "mine"))
    (tmp_path / "mine").rename(tmp_path / "unmounted")
    with make("main", repo=repo, command=()):
        pass
    (tmp_path / "unmounted").rename(tmp_path / "mine")
    assert git(tmp_path / "mine", "status", "--porcelain") == ""
    git(repo, "worktree", "remove", str(tmp_path / "mine"))
