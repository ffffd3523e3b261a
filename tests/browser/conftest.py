import pytest

from tests.acceptance.fleet import real_fleet
from tests.browser.chromium import chromium


@pytest.fixture
def fleet(tmp_path):
    with real_fleet(tmp_path) as running:
        yield running


@pytest.fixture
def page(program):
    program("chromium")
    with chromium() as opened:
        opened.look(1280, 900)
        yield opened
