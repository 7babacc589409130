"""What every test shares: one executor on the real image, and the order. A missing image is a failure, never a skip."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest

import wasmexec

pytest_plugins = ["tests.stalls"]

# Hypothesis' deadline of 200 ms for an example would make every property a timing test.
hypothesis.settings.register_profile("unhurried", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("unhurried")

# A shell that starts a job in the background has it ignore interrupts, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what bounds a time last: what other tests leave behind (processes that end, say) is gone by then."""
    items.sort(key=lambda item: item.get_closest_marker("timing") is not None)


@pytest.fixture(scope="session")
def executor() -> Iterator[wasmexec.Executor]:
    """An executor on the default image, loaded once; every run is a fresh instance all the same."""
    with wasmexec.Executor() as shared:
        yield shared
