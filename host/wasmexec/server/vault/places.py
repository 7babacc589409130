"""The places in the store that something is sealed for."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...store.errors import StoreError


class Place(NamedTuple):
    """Where in the store a value belongs; `detail` is what else must not be exchanged, such as a secret's hosts."""

    tenant: str
    kind: str
    id: str
    detail: str = ""


class SealError(StoreError):
    """A value does not open: it was changed, belongs to another place, or its key is not there."""


def order_place(tenant: str, run_id: str) -> Place:
    """Where the order of a run is kept."""
    return Place(tenant, "run order", run_id)


def input_place(tenant: str, run_id: str) -> Place:
    """Where the input of a run is kept."""
    return Place(tenant, "run input", run_id)


def kept_place(tenant: str, run_id: str, name: str) -> Place:
    """Where something is kept of a run that has ended: its rows, logs, error, warnings, recording, order, replay."""
    return Place(tenant, f"run {name}", run_id, "ended")


def answer_place(tenant: str, key: str, run_id: str) -> Place:
    """Where the answer to the first request with an Idempotency-Key is kept; of one run, or of a batch."""
    return Place(tenant, "answer", key, run_id)


def step_place(tenant: str, kind: str, run_id: int, seq: int) -> Place:
    """Where rows, a line of the log or a failed row of a run of a step are kept; `run_id` is that of the run store."""
    return Place(tenant, f"step {kind}", f"{run_id}/{seq}")


def step_request_place(tenant: str, run_id: str) -> Place:
    """Where what a run of a step was asked with is kept."""
    return Place(tenant, "step request", run_id)


def secret_place(tenant: str, name: str, hosts: str, also_in: str) -> Place:
    """Where a stored secret is kept; `hosts` and `also_in` as the database has them.

    SECURITY: they are bound to the value: who can write to the database cannot have it sent elsewhere.
    """
    return Place(tenant, "secret", name, msgspec.json.encode([hosts, also_in]).decode())


def cursor_place(tenant: str) -> Place:
    """Where a page of the audit log went on; nobody else can read how many rows there are."""
    return Place(tenant, "cursor", "audit")
