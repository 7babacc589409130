"""`AsyncClient`: the same as `Client` for a program with an event loop."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import httpx

from ..server.documents import LogDocument, RunDocument, TenantRequest
from . import operations
from .calls import Call, read_answer
from .errors import ClientError
from .following import Following, RunEvent
from .operations import KeyOptions, RunOptions, TenantOptions
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
    is_stream,
    received,
    request_arguments,
)

if TYPE_CHECKING:
    from ..server.api.keys import IssuedKey, KeyDocument, KeyList
    from ..server.api.quotas import QuotasDocument
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

    async def run(
        self, statement: str, *, timeout_seconds: float | None = None, idempotency_key: str | None = None,
        **options: Unpack[RunOptions],
    ) -> RunDocument:  # fmt: skip
        """Run a statement and wait for its end: everything is in the answer, rows and log included.

        A statement that fails is an answer, too: look at `status`. Once `timeout_seconds` are over the client hangs up,
        which cancels the run. With an `idempotency_key` it does not, and who asks again with the same one, as the
        client itself does if the answer is lost, gets the answer to the first request.
        """
        return await self._ask(operations.post_run(
            statement, options, is_durable=False, idempotency_key=idempotency_key, timeout_seconds=timeout_seconds
        ))  # fmt: skip

    async def start(
        self, statement: str, *, idempotency_key: str | None = None, **options: Unpack[RunOptions]
    ) -> RunDocument:
        """Have a statement run, whatever becomes of this client and the server; returns once that is on disk.

        It runs once, however often the client has to ask: without an `idempotency_key` the client makes one.
        """
        key = idempotency_key or secrets.token_urlsafe(18)
        return await self._ask(operations.post_run(statement, options, is_durable=True, idempotency_key=key))

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

    async def usage(self, *, days: int = 31) -> UsageDocument:
        """What the tenant's runs have used, in all and by the hour."""
        return await self._ask(operations.get_usage(days))

    async def quotas(self) -> QuotasDocument:
        """What the tenant may have, and what of it is taken."""
        return await self._ask(operations.get_quotas())

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
        return await self._ask(operations.issue_key(tenant, options))

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
