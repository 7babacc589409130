"""Alembic environment of the run store; `wasmexec.store.migrate` runs it."""
