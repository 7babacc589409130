"""Fuzzing of steps: inputs that break a statement, confirmed, made small and kept as plain files."""

from .finding import Finding, Verdict
from .inputs import FuzzInput
from .target import Target, TargetOptions

__all__ = ["Finding", "FuzzInput", "Target", "TargetOptions", "Verdict"]
