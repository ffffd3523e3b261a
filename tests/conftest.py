"""What all tests share: how a missing real server is treated, and Hypothesis' settings."""

import os
import shutil

import pytest
from hypothesis import settings

# Set by what runs several tests at once; programs that tests start would fold what they say.
os.environ.pop("COLUMNS", None)

settings.register_profile("headway", deadline=None)
settings.load_profile("headway")


@pytest.fixture(scope="session")
def program():
    """Find a real program that a test drives: ``program("chromium")`` gives its path.
    A path, for what is no program, is found as it is.

    Where it is missing the test is skipped with the reason; with HEADWAY_REQUIRE_SERVERS set,
    as in CI, that is a failure.
    """

    def find(name: str) -> str:
        path = name if os.path.isfile(name) else shutil.which(name)
        if path is not None:
            return path
        sentence = f"{name} is not installed; `make servers` installs it"
        if os.environ.get("HEADWAY_REQUIRE_SERVERS"):
            pytest.fail(sentence)
        pytest.skip(sentence)

    return find
