import pytest
from build_shelf import Shelf


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
