"""Alembic environment of the run store; `wasmexec.store._migrate` runs it."""
