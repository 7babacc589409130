"""The instance kept ready: fresh, under its owner's limits, its usual pages copied; and never in anyone's way."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fake_guest import SCRATCH, FakeGuest, done, log

from wasmexec import Executor, Limits, Status
from wasmexec._engine import GuestModule, acquire_guest, release_guest
from wasmexec._hotpages import PAGE_BYTES, HotPages
from wasmexec._image import read_manifest
from wasmexec._instance import Instance
from wasmexec._nursery import NOBODY, Nursery
from wasmexec._traps import GuestTrap

MEMORY_BYTES = 2**21


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """A nursery of guests that write to three known pages."""
    write = "".join(f"(i32.store (i32.const {page * PAGE_BYTES}) (i32.const 1))" for page in (64, 65, 100))
    image = read_manifest(FakeGuest(step=write).build(tmp_path))
    nursery = Nursery(acquire_guest(image.path, image.channel_address))
    yield nursery
    nursery.close()
    release_guest(image.path)


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def use(nursery: Nursery, times: int) -> None:
    for _ in range(times):
        instance = nursery.take(NOBODY, MEMORY_BYTES)
        instance.channel.send(b"{}")
        instance.step()
        nursery.give_back(instance)


def test_the_first_execution_makes_its_own_and_nothing_else(nursery: Nursery) -> None:
    use(nursery, 1)
    assert (nursery._thread, nursery._spare) == (None, None)


def test_from_the_second_on_one_is_kept_ready(nursery: Nursery) -> None:
    use(nursery, 2)
    eventually(lambda: nursery._spare is not None)
    spare = nursery._spare
    taken = nursery.take(NOBODY, MEMORY_BYTES)
    assert taken is spare
    eventually(lambda: nursery._spare is not None)
    assert nursery._spare is not spare
    nursery.give_back(taken)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell which pages were written")
def test_pages_that_every_execution_writes_to_are_learnt_and_copied_beforehand(nursery: Nursery) -> None:
    use(nursery, 5)
    ranges = nursery._guest.hot_pages.ranges
    pages = {first + index for first, count in ranges for index in range(count)}
    assert {64, 65, 100} <= pages
    assert len(pages) < 10
    assert (64, 2) in ranges
    eventually(lambda: nursery._spare is not None)
    spare = nursery._spare
    assert spare is not None
    probe = HotPages()
    probe.learn(spare)
    eventually(lambda: _common_after_learning(spare) >= pages)


def _common_after_learning(instance: Instance) -> set[int]:
    probe = HotPages()
    probe.learn(instance)
    assert probe._common is not None
    return probe._common


def test_a_kept_instance_is_under_the_limits_of_its_execution(tmp_path: Path) -> None:
    grow = "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))"
    with Executor(FakeGuest(step=grow).build(tmp_path)) as executor:
        for _ in range(10):
            assert executor.run("", limits=Limits(memory_bytes=2**20)).status == Status.RUNTIME_FAILED
            assert executor.run("", limits=Limits(memory_bytes=2**24)).status == Status.FINISHED_NO_DATA
            time.sleep(0.005)


def test_a_kept_instance_has_the_contents_of_the_image(tmp_path: Path) -> None:
    step = log(SCRATCH, 4) + f"(memory.fill (i32.const {SCRATCH}) (i32.const 65) (i32.const 0x10000))"
    with Executor(FakeGuest(step=step, data={SCRATCH: b"none"}).build(tmp_path)) as executor:
        for _ in range(40):
            assert [record.message for record in executor.run("").logs] == ["none"]
            time.sleep(0.002)


def test_without_room_for_a_spare_executions_go_on(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    use(nursery, 2)
    eventually(lambda: nursery._spare is not None)

    def refuse(guest: GuestModule, owner: object, memory_bytes: int) -> Instance:
        raise GuestTrap("engine", "no room")

    with monkeypatch.context() as full:
        full.setattr("wasmexec._nursery.Instance", refuse)
        taken = nursery.take(NOBODY, MEMORY_BYTES)
        time.sleep(0.05)
        with pytest.raises(GuestTrap):
            nursery.take(NOBODY, MEMORY_BYTES)
        nursery.give_back(taken)
    use(nursery, 1)
    eventually(lambda: nursery._spare is not None)


def test_while_something_runs_nothing_is_made(nursery: Nursery) -> None:
    nursery._guest.ticker.enter()
    use(nursery, 3)
    time.sleep(0.1)
    assert nursery._spare is None
    nursery._guest.ticker.leave()
    eventually(lambda: nursery._spare is not None)


def test_closing_ends_the_thread_and_the_spare(nursery: Nursery) -> None:
    use(nursery, 4)
    eventually(lambda: nursery._spare is not None)
    thread = nursery._thread
    assert thread is not None
    nursery.close()
    nursery.close()
    assert (thread.is_alive(), nursery._spare) == (False, None)
    use(nursery, 2)
    assert nursery._spare is None


def test_many_threads_taking_and_giving_back_at_once_do_no_harm(tmp_path: Path) -> None:
    with Executor(FakeGuest(outbox=done(b'[{"a":1}]')).build(tmp_path)) as executor:
        wrong: list[object] = []

        def work() -> None:
            for _ in range(100):
                result = executor.run("")
                if result.rows != [{"a": 1}]:
                    wrong.append(result)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
