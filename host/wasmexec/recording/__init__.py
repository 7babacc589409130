"""Recordings of executions: what is kept of one, who takes it, and how it is read again for a replay."""

from .exchange import HttpExchange, Operation
from .recording import ForExecution, MemoryRecorder, Part, Recorder, Recording

__all__ = ["ForExecution", "HttpExchange", "MemoryRecorder", "Operation", "Part", "Recorder", "Recording"]
