"""What every test shares: one executor on the real image. A missing image is a failure, never a skip."""

from collections.abc import Iterator

import pytest

import wasmexec


@pytest.fixture(scope="session")
def executor() -> Iterator[wasmexec.Executor]:
    """An executor on the default image, loaded once; every run is a fresh instance all the same."""
    with wasmexec.Executor() as shared:
        yield shared
