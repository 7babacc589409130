"""`Client`: a server from a program that waits for each answer."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


class Client:
    """A server at an address, asked with a key; threads may share one. Close it, or use it in a `with`.

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
        transport = httpx.HTTPTransport(verify=verify, uds=address.socket)
        self._http = httpx.Client(transport=transport, **client_arguments(address, key))
        self._timeout_seconds = timeout_seconds
        self._retries = retries or Retries()
        self._max_answer_bytes = max_answer_bytes

    def run(
        self, statement: str, *, timeout_seconds: float | None = None, idempotency_key: str | None = None,
        **options: Unpack[RunOptions],
    ) -> RunDocument:  # fmt: skip
        """Run a statement and wait for its end: everything is in the answer, rows and log included.

        A statement that fails is an answer, too: look at `status`. Once `timeout_seconds` are over the client hangs up,
        which cancels the run. With an `idempotency_key` it does not, and who asks again with the same one, as the
        client itself does if the answer is lost, gets the answer to the first request.
        """
        return self._ask(operations.post_run(
            statement, options, is_durable=False, idempotency_key=idempotency_key, timeout_seconds=timeout_seconds
        ))  # fmt: skip

    def start(
        self, statement: str, *, idempotency_key: str | None = None, **options: Unpack[RunOptions]
    ) -> RunDocument:
        """Have a statement run, whatever becomes of this client and the server; returns once that is on disk.

        It runs once, however often the client has to ask: without an `idempotency_key` the client makes one.
        """
        key = idempotency_key or secrets.token_urlsafe(18)
        return self._ask(operations.post_run(statement, options, is_durable=True, idempotency_key=key))

    def get(self, run_id: str) -> RunDocument:
        """How a run is, without its rows and log; `waiting` says why it waits."""
        return self._ask(operations.get_run(run_id))

    def wait(self, run_id: str, *, timeout_seconds: float) -> RunDocument:
        """A run once it has ended, without its rows and log.

        Raises:
            AnswerOverdue: it has not within this time; it goes on.
        """
        pauses = Pauses(timeout_seconds)
        while (run := self.get(run_id)).state != "ended":
            time.sleep(pauses.next(run_id))
        return run

    def follow(self, run_id: str, *, after: str | None = None) -> Iterator[RunEvent]:
        """The states of a run and the lines of its log as they come, to its end; nothing twice, nothing left out.

        A connection that is lost is made again. `after` is the `id` of the last event that is known already. A run that
        is begun again, for its worker process has died, tells its log anew.
        """
        following = Following(run_id, after, self._retries)
        while True:
            try:
                yield from self._follow_once(following)
                if following.has_ended:
                    return
                raise following.cut()
            except ClientError as failure:
                pause = following.pause_after(failure)
            time.sleep(pause)

    def rows(self, run_id: str) -> list[Any]:
        """The rows of a run of `start` that has ended."""
        return self._ask(operations.get_rows(run_id))

    def logs(self, run_id: str) -> list[LogDocument]:
        """The log of a run of `start` that has ended."""
        return self._ask(operations.get_logs(run_id))

    def cancel(self, run_id: str) -> RunDocument:
        """End a run with status 303; one that has ended stays as it is."""
        return self._ask(operations.cancel_run(run_id))

    def usage(self, *, days: int = 31) -> UsageDocument:
        """What the tenant's runs have used, in all and by the hour."""
        return self._ask(operations.get_usage(days))

    def quotas(self) -> QuotasDocument:
        """What the tenant may have, and what of it is taken."""
        return self._ask(operations.get_quotas())

    def keys(self) -> KeyList:
        """The tenant's keys, newest first; nobody can see their texts."""
        return self._ask(operations.get_keys())

    def new_key(self, **options: Unpack[KeyOptions]) -> IssuedKey:
        """A key of the tenant itself, which nobody can be shown again."""
        return self._ask(operations.post_key(options))

    def rotate_key(self, key_id: str, *, overlap_seconds: float | None = None) -> IssuedKey:
        """A key in the place of another one, which stays valid for a day, or so long."""
        return self._ask(operations.rotate_key(key_id, overlap_seconds))

    def revoke_key(self, key_id: str) -> KeyDocument:
        """Have a key accepted no more."""
        return self._ask(operations.delete_key(key_id))

    def secrets(self) -> SecretList:
        """What secrets are stored: names, hosts and versions, never values."""
        return self._ask(operations.get_secrets())

    def put_secret(
        self, name: str, value: str, *, hosts: Sequence[str], also_in: Sequence[str] = ()
    ) -> StoredSecretDocument:
        """Store a secret for runs to name; `hosts` is where it may be sent."""
        return self._ask(operations.put_secret(name, value, hosts, also_in))

    def delete_secret(self, name: str) -> None:
        """Delete a stored secret."""
        return self._ask(operations.delete_secret(name))

    def put_tenant(self, name: str, **options: Unpack[TenantOptions]) -> TenantRequest:
        """Make a tenant, or give it other rules; for the operator's key."""
        return self._ask(operations.put_tenant(name, options))

    def issue_key(self, tenant: str, **options: Unpack[KeyOptions]) -> IssuedKey:
        """A key of a tenant, which nobody can be shown again; for the operator's key."""
        return self._ask(operations.issue_key(tenant, options))

    def close(self) -> None:
        """Close its connections; runs that it waits for are cancelled."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow_once(self, following: Following) -> Iterator[RunEvent]:
        with self._answer(following.call()) as response:
            if response.status_code == NO_MORE:
                following.has_ended = True
            elif not is_stream(response):
                following.refuse(received(response, self._body(response)))
            else:
                for piece in response.iter_raw():
                    yield from following.events(piece)

    def _ask(self, call: Call[T]) -> T:
        attempts = Attempts(self._retries, is_repeatable=call.is_repeatable)
        while True:
            try:
                return self._ask_once(call)
            except ClientError as failure:
                pause = attempts.pause_after(failure)
            time.sleep(pause)

    def _ask_once(self, call: Call[T]) -> T:
        with self._answer(call) as response:
            return read_answer(call, received(response, self._body(response)))

    @contextmanager
    def _answer(self, call: Call[Any]) -> Iterator[httpx.Response]:
        """An answer whose body has not been read.

        Raises:
            ClientError: it has not come, or does not come whole.
        """
        try:
            request = self._http.build_request(**request_arguments(call, self._timeout_seconds))
            response = self._http.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
        except httpx.TransportError as error:
            raise failure_of(error, call) from error

    def _body(self, response: httpx.Response) -> bytes:
        """Raises: BadAnswer: it is too long."""
        body = Body(response.status_code, self._max_answer_bytes)
        for piece in response.iter_raw():
            body.add(piece)
        return body.whole
