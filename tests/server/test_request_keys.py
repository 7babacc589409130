"""Keys of requests by rule, on a store without a server: which are keys, how many are kept and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import insert, update

from wasmexec.result import Usage
from wasmexec.server.problems import ProblemError
from wasmexec.server.runs.records import EndedRun, KeptAnswer
from wasmexec.server.runs.repeats import MOST_BYTES, MOST_KEYS, First, Key, Repeats, key_of
from wasmexec.server.storage.idempotency import KEPT_SECONDS
from wasmexec.server.storage.retention import Retention
from wasmexec.server.storage.storage import Storage
from wasmexec.server.storage.tables import request_keys
from wasmexec.status import Status
from wasmexec.workers.answers import Answer

DAY = 86_400.0


class Store(NamedTuple):
    """Where a store is, and the keys that open it."""

    place: str
    key_file: Path


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], str]) -> Store:
    place = new_store(tmp_path)
    return Store(place if "://" in place else str(tmp_path / place), tmp_path / "store.key")


def ended(number: int, ended_at: float, kept: KeptAnswer | None = None) -> EndedRun:
    return EndedRun(
        id=f"run_{number}", tenant="acme", key_id="key", created_at=ended_at, started_at=None, ended_at=ended_at,
        attempts=1, wall_seconds=60.0, has_grants=False, kind="kind", lost_cpu_seconds=0.0,
        answer=Answer(Status.FINISHED, Usage(), 1, 0, 0), is_new=True, keep_rows=False, project=None, accounts=(),
        kept=kept,
    )  # fmt: skip


def answer(key: Key, number: int, created_at: float) -> KeptAnswer:
    return KeptAnswer(*key, f"run_{number}", created_at, 200, b"%d" % number)


async def use(store: Store, work: Callable[[Storage], Awaitable[None]]) -> None:
    storage = Storage(store.place, store.key_file, asyncio.get_running_loop())
    try:
        await work(storage)
    finally:
        await storage.close()


async def record(storage: Storage, *runs: EndedRun) -> None:
    """Have runs on record."""
    told: list[Exception | None] = []
    for run in runs:
        storage.runs.end(run, lambda result, error: told.append(error))
    while len(told) < len(runs):
        await asyncio.sleep(0.005)
    assert not any(told)


class Runner:
    """Answers first requests, and has the answers stored; `count` is how many there were."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.repeats = Repeats(storage.request_keys)
        self.count = 0
        self.stored: list[asyncio.Future[None]] = []

    async def until_stored(self) -> None:
        """Return once no request is under way: what is looks at no clock."""
        await asyncio.gather(*self.stored)
        await asyncio.sleep(0.01)

    async def ask(self, key: Key) -> bytes | None:
        async def first() -> First:
            self.count += 1
            number = self.count
            kept = answer(key, number, time.time())
            await asyncio.sleep(0.02)
            stored = asyncio.ensure_future(record(self.storage, ended(number, time.time(), kept)))
            self.stored.append(stored)
            return First(kept, stored)

        return (await self.repeats.answer(key, first)).body


def test_a_key_is_a_text_with_quotes_or_without_and_its_request_is_the_body_and_the_preference() -> None:
    async def digest(header: str, body: bytes = b"{}", *, is_durable: bool = False) -> Key:
        return await key_of(header, "acme", body, is_durable=is_durable)

    plain = asyncio.run(digest("8e03978e-40d5"))
    assert asyncio.run(digest('"8e03978e-40d5"')) == plain
    assert asyncio.run(digest("8e03978e-40d5", b"{ }")).digest != plain.digest
    assert asyncio.run(digest("8e03978e-40d5", is_durable=True)).digest != plain.digest
    large = b"x" * 1_000_000
    assert asyncio.run(digest("k", large)) == asyncio.run(digest("k", large))
    assert asyncio.run(digest("k" * 255)).text == "k" * 255
    for wrong in ("", '""', "k" * 256, "a b", "é", 'a"b', '"a', "\x7f"):
        with pytest.raises(ProblemError) as refused:
            asyncio.run(digest(wrong))
        assert (refused.value.status, refused.value.rule) == (400, "idempotency-key")


def test_a_key_is_kept_for_a_day_and_is_a_first_one_again_then(store: Store) -> None:
    key = Key("acme", "mine", b"d" * 32)

    async def work(storage: Storage) -> None:
        runner = Runner(storage)
        assert await asyncio.gather(*(runner.ask(key) for _ in range(50))) == [b"1"] * 50
        assert await runner.ask(key) == b"1"
        with pytest.raises(ProblemError) as reused:
            await runner.ask(key._replace(digest=b"e" * 32))
        assert reused.value.status == 422
        await runner.until_stored()
        await age(storage, KEPT_SECONDS - 60)
        assert await runner.ask(key) == b"1"
        await age(storage, KEPT_SECONDS + 60)
        assert await runner.ask(key) == b"2"
        assert await runner.ask(key) == b"2"

    async def later(storage: Storage) -> None:
        assert await Runner(storage).ask(key) == b"2"

    asyncio.run(use(store, work))
    asyncio.run(use(store, later))


async def age(storage: Storage, seconds: float) -> None:
    await storage.write(
        lambda connection: connection.execute(update(request_keys).values(created_at=time.time() - seconds))
    )


@pytest.mark.parametrize("rule", ["idempotency_keys", "idempotency_bytes"])
def test_a_tenant_has_so_many_keys_and_so_large_answers_in_a_day(store: Store, rule: str) -> None:
    number, size = (MOST_KEYS - 1, 1) if rule == "idempotency_keys" else (1, MOST_BYTES - 1)

    async def work(storage: Storage) -> None:
        rows = [
            {"tenant": "acme", "key": f"k{n}", "digest": b"d", "run_id": f"old_{n}", "status": 200, "size": size,
             "created_at": time.time() - KEPT_SECONDS + 600, "answer": b"x"}
            for n in range(number)
        ]  # fmt: skip
        await storage.write(lambda connection: connection.execute(insert(request_keys), rows))
        runner = Runner(storage)
        assert await runner.ask(Key("acme", "last", b"d" * 32)) == b"1"
        while (await storage.request_keys.find("acme", "last"))[0] is None:
            await asyncio.sleep(0.005)
        with pytest.raises(ProblemError) as refused:
            await runner.ask(Key("acme", "more", b"d" * 32))
        problem = refused.value
        assert (problem.status, problem.rule) == (429, f"count.{rule}")
        assert 500 < problem.members["retry_after_seconds"] <= 600
        assert await runner.ask(Key("other", "more", b"d" * 32)) == b"2"
        assert await runner.ask(Key("acme", "last", b"d" * 32)) == b"1"

    asyncio.run(use(store, work))


def test_runs_and_keys_that_are_old_are_deleted_some_at_a_time_and_counted(store: Store) -> None:
    now = time.time()

    async def work(storage: Storage) -> None:
        old = [ended(number, now - 3 * DAY) for number in range(450)]
        key = Key("acme", "old", b"d" * 32)
        kept = answer(key, 1000, now - KEPT_SECONDS - 60)
        young = [ended(1000 + number, now - DAY, kept if number == 0 else None) for number in range(3)]
        await record(storage, *old, *young)
        counts: list[dict[str, int]] = []
        sweeping = asyncio.create_task(Retention(storage, 2, 365, counts.append).sweep_often())
        while sum(count.get("acme", 0) for count in counts) < 450:
            await asyncio.sleep(0.01)
        left = await storage.write(lambda connection: storage.runs.count_ended(connection, "acme"))
        assert [count.get("acme", 0) for count in counts] == [200, 200, 50]
        assert left == 3
        while await storage.write(lambda connection: connection.execute(request_keys.select()).first()) is not None:
            await asyncio.sleep(0.01)
        sweeping.cancel()

    asyncio.run(use(store, work))
