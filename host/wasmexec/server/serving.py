"""`run_server`: a server from its start to its end, in one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from .._wall import privileges
from .._wall.wall import Mode, check_mode
from ..image import find_image
from ..workers.figures import FOR_PROBES
from .config import ServerConfig
from .runs.enclosure import Enclosure
from .runs.fleet import Fleet, Recycling
from .runs.runs import Runs
from .watching.watch import Watch, check_watch, check_writable

SWITCH_SECONDS = 0.0005
"""How long the thread that writes the store keeps the interpreter's lock from the loop."""
_CHECK_SECONDS = 1.0
_CHECK_RATIO = 100
"""Looking at a hundred thousand runs takes a tenth of a second: at most a hundredth of the time goes there."""
_COLLECT_AFTER = (10_000, 20, 20)
"""New objects, and collections of younger ones, after which cycles are looked for: a run makes some 300 objects."""
_log = logging.getLogger(__name__)


class Started(NamedTuple):
    """What is to be told once it listens: `admin_key` only if there was none, and never again."""

    url: str
    admin_key: str | None
    restored: int
    metrics_url: str | None


def run_server(config: ServerConfig, on_start: Callable[[Started], None]) -> None:
    """Serve until a signal to end; `on_start` is called when requests are taken.

    Raises:
        ConfigError: the address cannot be listened at.
        ImageError: there is no image.
        StoreError: the store cannot be opened.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(config, on_start))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, on_start))


def check_server(config: ServerConfig) -> None:
    """Return if a server with these settings could start here; nothing is listened at, opened or changed.

    Raises:
        ConfigError: something that is asked for is not installed, or a file could not be written.
        ImageError: there is no image.
    """
    find_image(config.image)
    check_watch(config)
    if "://" not in config.store:
        check_writable("store", config.store)


async def _serve(config: ServerConfig, on_start: Callable[[Started], None]) -> None:
    mode = Mode(config.wall)
    _tell_wall(mode)
    image = find_image(config.image)
    watch = Watch.of(config)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runs = Runs(config, watch)
    enclosure = Enclosure(
        image=str(image.manifest), image_bytes=image.memory.size, computing=2 * config.slots + FOR_PROBES,
        most_asleep=config.most_asleep, memory_bytes=config.worker_memory_bytes, mode=mode,
        reports_calls=watch.tracing is not None,
    )  # fmt: skip
    runs.fleet = Fleet(
        enclosure, config.limits, workers=config.workers, slots=config.slots, most_asleep=config.most_asleep,
        listener=runs,
        recycling=Recycling(config.recycle_executions, config.recycle_seconds, config.recycle_memory_bytes),
    )  # fmt: skip
    try:
        # Half a second's worth of modules, imported while the first worker loads the image.
        from .front import Front

        front = await Front.open(config, runs, image, stopped.set)
        try:
            runs.start_probing()
            runs.start_charging()
            watch.start()
            _check_often(runs)
            _spare_collector()
            on_start(Started(front.url, front.admin_key, front.restored, front.metrics_url))
            await front.serve_until(stopped)
            await front.step_runs.stop()
            await runs.drain(config.drain_seconds if front.lost is None else 0.0)
            await front.stop_listening()
            if front.lost is not None:
                raise front.lost
        finally:
            await front.close()
    finally:
        await runs.fleet.close()
        await watch.close()


def _tell_wall(mode: Mode) -> None:
    """Say what of the wall there is, and hide this process behind what there is of it.

    Raises:
        ConfigError: it is required, and not all of it is there.
    """
    offer = check_mode(mode)
    if mode is Mode.OFF:
        _log.warning("workers have no wall of their own: wall = off")
        return
    _log.info("around each worker: %s", offer.text)
    if offer.missing:
        _log.warning("workers go without what this system lacks: %s", ", ".join(offer.missing))
        if not offer.files:
            # SECURITY: Landlock would keep workers from the memory of other processes of this user.
            with suppress(OSError):
                privileges.hide_memory()


def _spare_collector() -> None:
    """Have the collector of cycles look at what runs leave, not again and again at all the modules."""
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _check_often(runs: Runs) -> None:
    """Find out within a second that something is held that nobody has; later where that takes long."""
    began = time.monotonic()
    try:
        runs.check()
    except AssertionError as error:
        _log.error("an invariant does not hold: %s", error)
    pause = max(_CHECK_SECONDS, _CHECK_RATIO * (time.monotonic() - began))
    asyncio.get_running_loop().call_later(pause, _check_often, runs)
