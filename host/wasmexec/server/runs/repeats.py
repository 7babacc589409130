"""`Repeats`: requests with an Idempotency-Key, of which each is done once, however often it is sent.

Those that come while the first is under way wait for it and get its answer. A request that was refused leaves nothing:
the next one with its key is a first one again.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ..problems import ProblemError
from ..storage.idempotency import KEPT_SECONDS
from .records import KeptAnswer

if TYPE_CHECKING:
    from ..storage.idempotency import KeysTaken, RequestKeyStorage

MOST_KEYS: Final = 10_000
"""Of one tenant in a day."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of the answers that are kept for one tenant; it is found out afterwards that one was too many."""
_KEY = re.compile(r'[!#-\[\]-~]{1,255}|"(?:[ !#-\[\]-~]){1,255}"')
_LARGE_BYTES = 256 * 1024


class Key(NamedTuple):
    """A key of a tenant, and a digest of the request that it came with."""

    tenant: str
    text: str
    digest: bytes


class First(NamedTuple):
    """What became of the first request: its answer, and when that is on disk if it is not."""

    answer: KeptAnswer
    stored: asyncio.Future[None] | None


@dataclass(slots=True)
class _UnderWay:
    digest: bytes
    answer: asyncio.Future[KeptAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Repeats:
    """Every key whose request is under way; all others are in the store."""

    def __init__(self, keys: RequestKeyStorage) -> None:
        self._keys = keys
        self._under_way: dict[tuple[str, str], _UnderWay] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, key: Key, first: Callable[[], Awaitable[First]]) -> KeptAnswer:
        """The answer to the first request with this key; `first` answers it if this is the first.

        Raises:
            ProblemError: 410, 422, 429, or what `first` raises.
            StoreError: nobody can tell whether it is the first.
        """
        found = self._under_way.get((key.tenant, key.text))
        if found is None:
            found = self._under_way[key.tenant, key.text] = _UnderWay(key.digest)
            # Nobody may be there any more who waits for it.
            found.answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            task = asyncio.create_task(self._answer(key, found, first))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        _refuse_other(key, found.digest)
        return await asyncio.shield(found.answer)

    async def _answer(self, key: Key, under_way: _UnderWay, first: Callable[[], Awaitable[First]]) -> None:
        try:
            # Counted before the store is asked: one that is stored meanwhile may count twice, none is left out.
            others = sum(tenant == key.tenant for tenant, _ in self._under_way) - 1
            kept, taken = await self._keys.find(key.tenant, key.text)
            if kept is not None:
                _refuse_other(key, kept.digest)
                if kept.body is None:
                    text = "the run of this key has been deleted, and its answer with it"
                    raise ProblemError(410, "run.deleted", text, changed_by="nobody")
                under_way.answer.set_result(kept)
                return
            _refuse_too_many(taken, others)
            done = await first()
            under_way.answer.set_result(done.answer)
            if done.stored is not None:
                # Until then it is found here.
                await asyncio.shield(done.stored)
        except BaseException as error:
            if not under_way.answer.done():
                under_way.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            del self._under_way[key.tenant, key.text]


async def key_of(header: str, tenant: str, body: bytes, *, is_durable: bool, of: str = "") -> Key:
    """The key that a header gives, with the digest of its request.

    `of` is empty for a run, else what tells the request from all others with such a body: "replay run_...".

    Raises:
        ProblemError: 400.
    """
    if _KEY.fullmatch(header) is None:
        raise ProblemError(
            400, "idempotency-key", "Idempotency-Key must be a text of 1 to 255 visible ASCII characters, in quotes or "
            "without", changed_by="nobody",
        )  # fmt: skip
    if len(body) > _LARGE_BYTES:
        digest = await asyncio.get_running_loop().run_in_executor(None, _digest, body, is_durable, of)
    else:
        digest = _digest(body, is_durable, of)
    return Key(tenant, header.strip('"'), digest)


def _digest(body: bytes, is_durable: bool, of: str) -> bytes:
    digest = hashlib.sha256(b"async" if is_durable else b"wait.")
    if of:
        # No body that is JSON begins like this.
        digest.update(f"|{of}|".encode())
    digest.update(body)
    return digest.digest()


def _refuse_too_many(taken: KeysTaken, others: int) -> None:
    """Raises: ProblemError: 429: as many are kept as may be, those included that are under way."""
    counts = (("idempotency_keys", taken.number + others, MOST_KEYS), ("idempotency_bytes", taken.size, MOST_BYTES))
    for what, used, most in counts:
        if used >= most:
            wait = max(1, round(taken.oldest + KEPT_SECONDS - time.time())) if taken.number else 1
            raise ProblemError(
                429, f"count.{what}", f"the tenant may have {most:,} {what.replace('_', ' ')} kept for a day, and has "
                f"{used:,}", value=most, used=used, owner="tenant", changed_by="nobody", retry_after_seconds=wait,
                headers={"Retry-After": str(wait)},
            )  # fmt: skip


def _refuse_other(key: Key, digest: bytes) -> None:
    """Raises: ProblemError: 422: the key came with another request."""
    if key.digest != digest:
        raise ProblemError(
            422, "idempotency-key.reused", "this Idempotency-Key came with another request before; use another key",
            changed_by="nobody",
        )  # fmt: skip
