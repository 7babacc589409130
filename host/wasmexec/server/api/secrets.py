"""Stored secrets over HTTP: put and deleted, told of, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ..documents import SecretDocument, time_text
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..http.request import decode_body
from ..tenants.keys import Scope
from ..tenants.secrets import StoredSecret

if TYPE_CHECKING:
    from ..http.request import Request
    from ..tenants.directory import Directory
    from .access import Access


class StoredSecretDocument(Struct):
    """A stored secret without its value, which no answer has."""

    name: str
    version: int
    hosts: list[str]
    also_in: list[str]
    created_at: str
    updated_at: str


class SecretList(Struct):
    """Stored secrets by their names."""

    secrets: list[StoredSecretDocument]


_decoder = msgspec.json.Decoder(SecretDocument)

_EXAMPLES = {"for one host": {"value": "sk-4f9a17", "hosts": ["api.example.com"]}}


class SecretsApi:
    """The handlers."""

    def __init__(self, access: Access, directory: Directory) -> None:
        self._access = access
        self._directory = directory

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/secrets", GET=Operation(
                handler=self.get_secrets, scope=Scope.SECRETS, answers={200: SecretList},
            )),
            route("/v1/secrets/{name}", PUT=Operation(
                handler=self.put_secret, scope=Scope.SECRETS, body=SecretDocument, examples=_EXAMPLES,
                answers={200: StoredSecretDocument, 201: StoredSecretDocument}, problems=(408, 409, 413, 415),
            ), DELETE=Operation(
                handler=self.delete_secret, scope=Scope.SECRETS, answers={204: None},
            )),
        )  # fmt: skip

    async def get_secrets(self, request: Request) -> Answered:
        """What is stored: names, hosts and versions, never values."""
        tenant, _ = self._access.tenant(request, Scope.SECRETS)
        found = sorted(tenant.secrets.values(), key=lambda secret: secret.name)
        return json_answer(200, SecretList([_document(secret) for secret in found]))

    async def put_secret(self, request: Request) -> Answered:
        """Store a secret for runs to name, or another value in its place; runs that wait keep the one they had."""
        tenant, key = self._access.tenant(request, Scope.SECRETS)
        document = decode_body(await self._access.small_body(request), _decoder)
        stored = await self._directory.put_secret(tenant, request.parts["name"], document, key.actor)
        return json_answer(201 if stored.version == 1 else 200, _document(stored))

    async def delete_secret(self, request: Request) -> Answered:
        """Forget a secret; runs that wait keep it."""
        tenant, key = self._access.tenant(request, Scope.SECRETS)
        await self._directory.delete_secret(tenant, request.parts["name"], key.actor)
        return Answered(204, b"")


def _document(secret: StoredSecret) -> StoredSecretDocument:
    return StoredSecretDocument(
        name=secret.name, version=secret.version, hosts=msgspec.json.decode(secret.hosts),
        also_in=msgspec.json.decode(secret.also_in), created_at=time_text(secret.created_at),
        updated_at=time_text(secret.updated_at),
    )  # fmt: skip
