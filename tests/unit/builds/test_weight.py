import subprocess
import sys

HEAVY = {
    "asyncio",
    "sqlalchemy",
    "numpy",
    "rich",
    "httpx2",
    "litestar",
    "uvicorn",
    "jinja2",
    "boto3",
}


def test_what_an_agent_imports_stays_small() -> None:
    code = (
        "import sys, headway.builds.fetch, headway.builds.storage, headway.builds.publish, "
        "headway.builds.make; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert "headway.builds.fetch" in loaded
    assert HEAVY.isdisjoint(loaded)
