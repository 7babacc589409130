"""A target with planted faults, for the tests of the drivers."""

from __future__ import annotations

import logging
import os
import signal
import time


def self_test(data: bytes) -> None:
    """Raises, logs, hangs or dies as the data says."""
    if b"raise" in data:
        raise AssertionError("planted")
    if b"log" in data:
        logging.getLogger("wasmexec").error("planted")
    if b"hang" in data:
        time.sleep(1000)
    if b"die" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
