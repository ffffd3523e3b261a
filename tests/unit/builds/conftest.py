import pytest

from tests.unit.builds.build_shelf import Shelf


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
