"""Output schemas: what the rows of a statement must look like (contract C6)."""

from .prepared import Mode, Schema, Validated

__all__ = ["Mode", "Schema", "Validated"]
