"""The places in the store that something is sealed for."""

from __future__ import annotations

import msgspec

from .vault import Place


def order_place(tenant: str, run_id: str) -> Place:
    """Where the order of a run is kept."""
    return Place(tenant, "run order", run_id)


def input_place(tenant: str, run_id: str) -> Place:
    """Where the input of a run is kept."""
    return Place(tenant, "run input", run_id)


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
