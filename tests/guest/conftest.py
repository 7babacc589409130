"""What the tests of statements share."""

from collections.abc import Iterator

import pytest
from tests.servers import WebServer


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A server on loopback."""
    with WebServer() as running:
        yield running
