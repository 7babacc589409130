"""Schemas: what the rows of a statement or of an input must look like (contract C6)."""

from .prepared import Mode, Role, RowSchema, Schema, Validated
from .values import PROMPT_BYTES

__all__ = ["PROMPT_BYTES", "Mode", "Role", "RowSchema", "Schema", "Validated"]
