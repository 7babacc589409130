"""Waits that a signal ends even if it does not interrupt the system call that the main thread is in."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from wasmexec._execution.interruptible import acquire, wait


@pytest.fixture
def unnoticed() -> Iterator[threading.Event]:
    """Half a second from now a signal arrives that another thread takes; a second and a half later the event is set."""
    # A shell's job in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    released = threading.Event()

    def send() -> None:
        time.sleep(0.5)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        time.sleep(1.5)
        released.set()

    thread = threading.Thread(target=send)
    thread.start()
    yield released
    thread.join(10)
    assert not thread.is_alive()
    signal.signal(signal.SIGINT, before)


def seconds_until_interrupted(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    return time.monotonic() - begun


def test_a_plain_wait_notices_the_signal_only_when_it_is_over(unnoticed: threading.Event) -> None:
    assert seconds_until_interrupted(unnoticed.wait) > 1.5


@pytest.mark.timing
def test_a_wait_for_an_event_is_interrupted(unnoticed: threading.Event) -> None:
    assert seconds_until_interrupted(lambda: wait(unnoticed)) < 1.5


@pytest.mark.timing
def test_a_wait_for_a_lock_is_interrupted(unnoticed: threading.Event) -> None:
    lock = threading.Lock()
    lock.acquire()
    assert seconds_until_interrupted(lambda: acquire(lock)) < 1.5
