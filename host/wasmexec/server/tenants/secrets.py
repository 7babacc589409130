"""`StoredSecret`: a secret that a tenant has left with the server, for its runs to name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ...secret import Secret
from ..vault.places import secret_place

if TYPE_CHECKING:
    from ..vault.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """What is known of one; `hosts` and `also_in` are JSON texts, times seconds of the epoch.

    SECURITY: the value is bound to its hosts, so that no statement holds it: what a statement holds can be in its rows,
    and who may run statements may not read secrets.
    """

    tenant: str
    name: str
    vault: Vault = field(repr=False, compare=False)
    sealed: bytes = field(repr=False)
    hosts: str
    also_in: str
    version: int
    created_at: float
    updated_at: float

    def open(self) -> Secret:
        """The secret itself, for an order.

        Raises:
            SealError: it was changed, or its key is not there.
        """
        place = secret_place(self.tenant, self.name, self.hosts, self.also_in)
        hosts, also_in = msgspec.json.decode(self.hosts), msgspec.json.decode(self.also_in)
        return Secret(self.vault.open(self.sealed, place).decode(), hosts=hosts, also_in=also_in)


def seal_secret(vault: Vault, tenant: str, name: str, secret: Secret, now: float) -> StoredSecret:
    """A secret as it is stored, in its first version."""
    hosts, also_in = (msgspec.json.encode(part).decode() for part in (secret.hosts, secret.also_in))
    sealed = vault.seal(secret.value.encode(), secret_place(tenant, name, hosts, also_in))
    return StoredSecret(
        vault=vault, tenant=tenant, name=name, sealed=sealed, hosts=hosts, also_in=also_in, version=1, created_at=now,
        updated_at=now,
    )  # fmt: skip
