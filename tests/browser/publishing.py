"""Builds whose words are as hostile as words can be."""

from tests.acceptance.fleet import RealFleet

HOSTILE = "<script>document.title='owned'</script> \"'&\u202egpj.exe"


def publish(fleet: RealFleet, text: str) -> str:
    """Publish a tree of one page; the build's id."""
    tree = fleet.home / "tree"
    tree.mkdir(exist_ok=True)
    (tree / "page").write_text(text)
    done = fleet.headway(
        *("build", "publish", str(tree), "--app", "web", "--commit", "abc"),
        *("--subject", HOSTILE, "--json"),
    )
    return str(done.stdout.split('"id": "')[1][:64])
