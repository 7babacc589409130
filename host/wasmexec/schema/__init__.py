"""Schemas: what the rows of a statement or of an input must look like (contract C6)."""

from .prepared import Mode, Role, RowSchema, Schema, Validated

__all__ = ["Mode", "Role", "RowSchema", "Schema", "Validated"]
