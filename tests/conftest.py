"""What every test shares: one executor on the real image. A missing image is a failure, never a skip."""

import signal
from collections.abc import Iterator

import pytest

import wasmexec

# A shell that starts a job in the background has it ignore interrupts, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def executor() -> Iterator[wasmexec.Executor]:
    """An executor on the default image, loaded once; every run is a fresh instance all the same."""
    with wasmexec.Executor() as shared:
        yield shared
