"""What is kept of keys that have ended is bounded, on disk and in memory, and a key that was forgotten is unknown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from wasmexec.limits import Limits
from wasmexec.server.documents import TenantRequest
from wasmexec.server.problems import ProblemError
from wasmexec.server.storage.storage import Storage
from wasmexec.server.storage.tables import keys
from wasmexec.server.tenants.directory import Directory
from wasmexec.server.tenants.keys import OPERATOR, Scope

TURNS = 105


def test_of_keys_that_have_ended_the_last_hundred_are_told_of(tmp_path: Path) -> None:
    async def use() -> None:
        storage = Storage(str(tmp_path / "store.sqlite3"), tmp_path / "store.key", asyncio.get_running_loop())
        directory = Directory(storage, Limits(), 10)
        _, admin = await directory.keys.issue(
            None, tenant=OPERATOR, name=None, scopes=[Scope.ADMIN], lifetime_seconds=None
        )  # fmt: skip
        await directory.put_tenant(TenantRequest(name="acme"), admin.actor)
        texts = []
        for number in range(TURNS):
            key, record = await directory.keys.issue(
                admin, tenant="acme", name=f"k{number}", scopes=["read"], lifetime_seconds=None
            )  # fmt: skip
            texts.append(f"Bearer {key.reveal()}")
            assert directory.authorize(texts[-1], Scope.READ) == record
            await directory.keys.revoke(admin, "acme", record.id)
        last, _ = await directory.keys.issue(
            admin, tenant="acme", name="last", scopes=["read"], lifetime_seconds=None
        )  # fmt: skip
        for known in (directory, Directory(storage, Limits(), 10)):
            assert len(known.keys.of("acme")) == len(known.keys.records) - 1 == 101
            for text, rule in ((texts[0], "key.unknown"), (texts[-1], "key.revoked")):
                with pytest.raises(ProblemError) as caught:
                    known.authorize(text, Scope.READ)
                assert (caught.value.status, caught.value.rule) == (401, rule)
            assert known.authorize(f"Bearer {last.reveal()}", Scope.READ).name == "last"
        with storage.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(keys)).scalar() == 102
        await storage.close()

    asyncio.run(use())
