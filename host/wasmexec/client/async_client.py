"""`AsyncClient`: the same as `Client` for a program with an event loop."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import httpx

from ..server.documents import LogDocument, RunDocument, TenantRequest
from . import operations
from .async_operator import AsyncOperator
from .async_steps import AsyncSteps
from .batches import BatchItem, Group, groups
from .calls import Call, read_answer
from .errors import ClientError
from .following import Following, RunEvent
from .operations import KeyOptions, PartOptions, ReplayOptions, RunFilter, RunOptions, TenantOptions
from .retries import Attempts, Retries
from .wire import (
    MAX_ANSWER_BYTES,
    NO_MORE,
    USUAL_SECONDS,
    Address,
    Body,
    Pauses,
    client_arguments,
    failure_of,
    is_lines,
    is_stream,
    received,
    request_arguments,
)

if TYPE_CHECKING:
    from ..server.api.audit import AuditPage
    from ..server.api.batches import BatchAnswer
    from ..server.api.health import LiveDocument, ReadyDocument
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import PartDocument, QuotasDocument
    from ..server.api.run_list import RunPage
    from ..server.api.secrets import SecretList, StoredSecretDocument
    from ..server.api.usage import UsageDocument

T = TypeVar("T")


class AsyncClient:
    """A server at an address, asked with a key. Close it, or use it in an `async with`.

    Arguments and methods are those of `Client`.

    `url` is `http://HOST:PORT`, `https://HOST` or `unix:/PATH`. `timeout_seconds` is how long an answer may take where
    a method has no time of its own, `verify` httpx's: an `ssl.SSLContext` for authorities of your own. An answer of
    more than `max_answer_bytes` is refused.

    Every method raises `ClientError`, most often a `RequestRefused` with the rule and when to try again.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(
        self, url: str, key: str, *, timeout_seconds: float = USUAL_SECONDS, retries: Retries | None = None,
        verify: ssl.SSLContext | bool = True, max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:  # fmt: skip
        address = Address(url=url, verify=verify)
        transport = httpx.AsyncHTTPTransport(verify=verify, uds=address.socket)
        self._http = httpx.AsyncClient(transport=transport, **client_arguments(address, key))
        self._timeout_seconds = timeout_seconds
        self._retries = retries or Retries()
        self._max_answer_bytes = max_answer_bytes
        self.steps = AsyncSteps(self._ask)
        self.operator = AsyncOperator(self._ask)

    async def run(
        self, statement: str, *, timeout_seconds: float | None = None, idempotency_key: str | None = None,
        detach: bool = False, **options: Unpack[RunOptions],
    ) -> RunDocument:  # fmt: skip
        """Run a statement and wait for its end: everything is in the answer, rows and log included.

        A statement that fails is an answer, too: look at `status`. Once `timeout_seconds` are over the client hangs up,
        which cancels the run unless it is told to `detach`. With an `idempotency_key` it does not, either, and who asks
        again with the same one, as the client itself does if the answer is lost, gets the answer to the first request.
        """
        return await self._ask(operations.post_run(
            statement, options, prefer="detach" if detach else None, idempotency_key=idempotency_key,
            timeout_seconds=timeout_seconds,
        ))  # fmt: skip

    async def start(
        self, statement: str, *, idempotency_key: str | None = None, wait_seconds: int | None = None,
        **options: Unpack[RunOptions],
    ) -> RunDocument:  # fmt: skip
        """Have a statement run, whatever becomes of this client and the server; returns once that is on disk.

        It runs once, however often the client has to ask: without an `idempotency_key` the client makes one. With
        `wait_seconds`, at most 600, and without a key it waits so long for the end of the run, whose rows and log are
        in the answer then; this is not asked again if the answer is lost.
        """
        key = idempotency_key if wait_seconds is not None else idempotency_key or secrets.token_urlsafe(18)
        return await self._ask(operations.post_durable(statement, options, wait_seconds, idempotency_key=key))

    async def runs(self, **which: Unpack[RunFilter]) -> RunPage:
        """A page of the tenant's runs, newest first, those included that have not ended."""
        return await self._ask(operations.get_runs(which))

    async def get(self, run_id: str) -> RunDocument:
        """How a run is, without its rows and log; `waiting` says why it waits."""
        return await self._ask(operations.get_run(run_id))

    async def wait(self, run_id: str, *, timeout_seconds: float) -> RunDocument:
        """A run once it has ended, without its rows and log.

        Raises:
            AnswerOverdue: it has not within this time; it goes on.
        """
        pauses = Pauses(timeout_seconds)
        while (run := await self.get(run_id)).state != "ended":
            await asyncio.sleep(pauses.next(run_id))
        return run

    async def follow(self, run_id: str, *, after: str | None = None) -> AsyncIterator[RunEvent]:
        """The states of a run and the lines of its log as they come, to its end; nothing twice, nothing left out.

        A connection that is lost is made again. `after` is the `id` of the last event that is known already. A run that
        is begun again, for its worker process has died, tells its log anew.
        """
        following = Following(run_id, after, self._retries)
        while True:
            try:
                async for event in self._follow_once(following):
                    yield event
                if following.has_ended:
                    return
                raise following.cut()
            except ClientError as failure:
                pause = following.pause_after(failure)
            await asyncio.sleep(pause)

    async def rows(self, run_id: str) -> list[Any]:
        """The rows of a run of `start` that has ended."""
        return await self._ask(operations.get_rows(run_id))

    async def logs(self, run_id: str) -> list[LogDocument]:
        """The log of a run of `start` that has ended."""
        return await self._ask(operations.get_logs(run_id))

    async def cancel(self, run_id: str) -> RunDocument:
        """End a run with status 303; one that has ended stays as it is."""
        return await self._ask(operations.cancel_run(run_id))

    async def delete(self, run_id: str) -> None:
        """Delete a run that has ended, with its rows and its log."""
        return await self._ask(operations.delete_run(run_id))

    async def recording(self, run_id: str) -> dict[str, Any]:
        """What decided a run that was asked for with `record=True`."""
        return await self._ask(operations.get_recording(run_id))

    async def replay(
        self, run_id: str, *, timeout_seconds: float | None = None, idempotency_key: str | None = None,
        **options: Unpack[ReplayOptions],
    ) -> RunDocument:  # fmt: skip
        """Run again from a recording, without network, and wait for its end: `replay` says what is different."""
        return await self._ask(operations.post_replay(
            run_id, options, idempotency_key=idempotency_key, timeout_seconds=timeout_seconds
        ))  # fmt: skip

    async def batch(
        self, items: Iterable[BatchItem], *, idempotency_key: str | None = None, quiet_seconds: float = 600.0
    ) -> AsyncIterator[BatchAnswer]:
        """Run many statements, each like `run`, and have their answers as they end: `index` counts the items from 0.

        Without an `idempotency_key` some 64 kB of items are sent at once, and the next ones when all of those have
        ended: who stops reading cancels them. With one it is a single request, whose answer comes when all have ended,
        and which is asked again if that is lost. For `quiet_seconds` nothing may come.
        """
        for group in groups(items, idempotency_key, quiet_seconds):
            attempts = Attempts(self._retries, is_repeatable=group.call.is_repeatable)
            is_first = True
            while True:
                try:
                    async for answer in self._batch_once(group):
                        is_first = False
                        yield answer
                    break
                except ClientError as failure:
                    if not is_first:
                        # Some are told already.
                        raise
                    pause = attempts.pause_after(failure)
                await asyncio.sleep(pause)

    async def usage(
        self, *, days: int = 31, since: datetime | None = None, until: datetime | None = None
    ) -> UsageDocument:  # fmt: skip
        """What the tenant's runs have used, in all and by the hour."""
        return await self._ask(operations.get_usage(days, since, until))

    async def audit(self, *, limit: int = 50, cursor: str | None = None) -> AuditPage:
        """A page of what was changed of the tenant's, newest first: by which key, what, when."""
        return await self._ask(operations.get_audit(limit, cursor))

    async def quotas(self) -> QuotasDocument:
        """What the tenant may have, and what of it is taken."""
        return await self._ask(operations.get_quotas())

    async def project_rules(self, project: str) -> PartDocument:
        """The rules of a project of the tenant, and what of them is used."""
        return await self._ask(operations.get_part("projects", project))

    async def set_project_rules(self, project: str, **options: Unpack[PartOptions]) -> PartDocument:
        """Give a project rules below the tenant's."""
        return await self._ask(operations.put_part("projects", project, options))

    async def delete_project_rules(self, project: str) -> None:
        """Have a project without rules of its own."""
        return await self._ask(operations.delete_part("projects", project))

    async def key_rules(self, key_id: str) -> PartDocument:
        """The rules of a key of the tenant, and what of them is used."""
        return await self._ask(operations.get_part("keys", key_id))

    async def set_key_rules(self, key_id: str, **options: Unpack[PartOptions]) -> PartDocument:
        """Give a key rules below the tenant's."""
        return await self._ask(operations.put_part("keys", key_id, options))

    async def delete_key_rules(self, key_id: str) -> None:
        """Have a key without rules of its own."""
        return await self._ask(operations.delete_part("keys", key_id))

    async def keys(self) -> KeyList:
        """The tenant's keys, newest first; nobody can see their texts."""
        return await self._ask(operations.get_keys())

    async def new_key(self, **options: Unpack[KeyOptions]) -> IssuedKey:
        """A key of the tenant itself, which nobody can be shown again."""
        return await self._ask(operations.post_key(options))

    async def rotate_key(self, key_id: str, *, overlap_seconds: float | None = None) -> IssuedKey:
        """A key in the place of another one, which stays valid for a day, or so long."""
        return await self._ask(operations.rotate_key(key_id, overlap_seconds))

    async def revoke_key(self, key_id: str) -> KeyDocument:
        """Have a key accepted no more."""
        return await self._ask(operations.delete_key(key_id))

    async def secrets(self) -> SecretList:
        """What secrets are stored: names, hosts and versions, never values."""
        return await self._ask(operations.get_secrets())

    async def put_secret(
        self, name: str, value: str, *, hosts: Sequence[str], also_in: Sequence[str] = ()
    ) -> StoredSecretDocument:
        """Store a secret for runs to name; `hosts` is where it may be sent."""
        return await self._ask(operations.put_secret(name, value, hosts, also_in))

    async def delete_secret(self, name: str) -> None:
        """Delete a stored secret."""
        return await self._ask(operations.delete_secret(name))

    async def put_tenant(self, name: str, **options: Unpack[TenantOptions]) -> TenantRequest:
        """Make a tenant, or give it other rules; for the operator's key."""
        return await self._ask(operations.put_tenant(name, options))

    async def issue_key(self, tenant: str, **options: Unpack[KeyOptions]) -> IssuedKey:
        """A key of a tenant, which nobody can be shown again; for the operator's key."""
        return await self.operator.issue_key(tenant, **options)

    async def live(self) -> LiveDocument:
        """Whether the server lives."""
        return await self._ask(operations.get_live())

    async def ready(self) -> ReadyDocument:
        """Whether statements get through."""
        return await self._ask(operations.get_ready())

    async def openapi(self) -> dict[str, Any]:
        """The document of the API, by the server itself."""
        return await self._ask(operations.get_openapi())

    async def close(self) -> None:
        """Close its connections; runs that it waits for are cancelled."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follow_once(self, following: Following) -> AsyncIterator[RunEvent]:
        async with self._answer(following.call()) as response:
            if response.status_code == NO_MORE:
                following.has_ended = True
            elif not is_stream(response):
                following.refuse(received(response, await self._body(response)))
            else:
                async for piece in response.aiter_raw():
                    for event in following.events(piece):
                        yield event

    async def _batch_once(self, group: Group) -> AsyncIterator[BatchAnswer]:
        group.begin()
        async with self._answer(group.call) as response:
            if not is_lines(response):
                group.refuse(received(response, await self._body(response)))
            async for piece in response.aiter_raw():
                for answer in group.answers(piece, self._max_answer_bytes):
                    yield answer
            group.end()

    async def _ask(self, call: Call[T]) -> T:
        attempts = Attempts(self._retries, is_repeatable=call.is_repeatable)
        while True:
            try:
                return await self._ask_once(call)
            except ClientError as failure:
                pause = attempts.pause_after(failure)
            await asyncio.sleep(pause)

    async def _ask_once(self, call: Call[T]) -> T:
        async with self._answer(call) as response:
            return read_answer(call, received(response, await self._body(response)))

    @asynccontextmanager
    async def _answer(self, call: Call[Any]) -> AsyncIterator[httpx.Response]:
        """An answer whose body has not been read.

        Raises:
            ClientError: it has not come, or does not come whole.
        """
        try:
            request = self._http.build_request(**request_arguments(call, self._timeout_seconds))
            response = await self._http.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise failure_of(error, call) from error

    async def _body(self, response: httpx.Response) -> bytes:
        """Raises: BadAnswer: it is too long."""
        body = Body(response.status_code, self._max_answer_bytes)
        async for piece in response.aiter_raw():
            body.add(piece)
        return body.whole
