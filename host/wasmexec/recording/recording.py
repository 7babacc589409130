"""Recordings of executions: what is kept of one, who takes it, and how it is read again for a replay."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigError
from ..rows.json_text import decode, encode
from .check import KEY_BYTES, check_recording, operations
from .exchange import HttpExchange, Operation

FORMAT = 1


class Recorder(Protocol):
    """Takes the recording of an execution when it has ended, on one of the executor's threads.

    Each method says whether it took the part; after a False nothing more is given, and the result has a warning.
    What it raises becomes a warning of the result too. The recorder of `wasmexec.store` is one.
    """

    def add(self, kind: str, payload: bytes, *, execution: int = 0, meta: Mapping[str, Any] | None = None) -> bool: ...

    def add_exchange(self, exchange: Any) -> bool: ...


class Part(Protocol):
    """One part as a store gives it back."""

    @property
    def kind(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...


class ForExecution:
    """A recorder for one execution of a run that has many: it puts the execution's number on every part."""

    def __init__(self, recorder: Recorder, execution: int) -> None:
        self._recorder = recorder
        self._execution = execution

    def add(self, kind: str, payload: bytes, *, execution: int = 0, meta: Mapping[str, Any] | None = None) -> bool:
        """Pass a part on."""
        return self._recorder.add(kind, payload, execution=self._execution, meta=meta)

    def add_exchange(self, exchange: HttpExchange) -> bool:
        """Pass an exchange on."""
        return self._recorder.add_exchange(dataclasses.replace(exchange, execution=self._execution))


class _KeptPart(NamedTuple):
    kind: str
    payload: bytes
    execution: int
    meta: Mapping[str, Any]


class MemoryRecorder:
    """Keeps recordings in memory."""

    def __init__(self) -> None:
        self.parts: list[_KeptPart] = []
        self.exchanges: list[HttpExchange] = []

    def add(self, kind: str, payload: bytes, *, execution: int = 0, meta: Mapping[str, Any] | None = None) -> bool:
        """Keep a part."""
        self.parts.append(_KeptPart(kind, payload, execution, dict(meta or {})))
        return True

    def add_exchange(self, exchange: HttpExchange) -> bool:
        """Keep an exchange."""
        self.exchanges.append(exchange)
        return True

    def recording(self, execution: int = 0) -> Recording:
        """The recording of one execution.

        Raises:
            ConfigError: there is none.
        """
        return Recording.from_parts(
            [part for part in self.parts if part.execution == execution],
            [exchange for exchange in self.exchanges if exchange.execution == execution],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All that decided an execution, and what came of it. Made by a run with `recorder=`, or by hand for tests.

    `key` (32 bytes) decides the randomness; `clock_start` (nanoseconds since the epoch) and `clock_step` the clock.
    `ending` is "done", "wall", "cpu" or "cancelled"; `ended` in nanoseconds since the start. `strays` are host calls
    that belong to no request. `statement`, `inputs`, `checkpoint` and `local_variables` (JSON; without the secrets) are
    what to give to `Executor.run` again; `rows` (JSON), `status`, `error` and `log_sha256` what it ended with: empty or
    None when there is nothing to compare with. `incomplete` says why not everything is there.
    """

    key: bytes = bytes(KEY_BYTES)
    clock_start: int = 1_704_067_200_000_000_000
    clock_step: int = 1000
    exchanges: tuple[HttpExchange, ...] = ()
    strays: tuple[Operation, ...] = ()
    ending: str = "done"
    ended: int = 0
    statement: str = ""
    inputs: tuple[bytes | None, ...] = ()
    checkpoint: bytes = b"null"
    local_variables: bytes = b"{}"
    rows: bytes | None = None
    status: int | None = None
    error: Mapping[str, Any] | None = None
    log_sha256: str = ""
    image: str = ""
    incomplete: str = ""

    def give_to(self, recorder: Recorder) -> bool:
        """Hand every part over; False when the recorder took one of them no more."""
        for number, blob in enumerate(self.inputs, 1):
            if not recorder.add("input", blob or b"", meta={"number": number, "is_wired": blob is not None}):
                return False
        clock = {
            "format": FORMAT, "start": self.clock_start, "step": self.clock_step, "ending": self.ending,
            "ended": self.ended, "strays": list(map(list, self.strays)),
        }  # fmt: skip
        result = {
            "status": self.status, "error": self.error, "log_sha256": self.log_sha256, "image": self.image,
            "incomplete": self.incomplete,
        }  # fmt: skip
        parts = {
            "statement": self.statement.encode("utf-8", "replace"),
            "checkpoint": self.checkpoint,
            "local_variables": self.local_variables,
            "randomness": self.key,
            "clock": encode(clock),
        }
        for kind, payload in parts.items():
            if not recorder.add(kind, payload):
                return False
        # A loop: in a map, a StopIteration of the recorder's would pass for the end.
        for exchange in self.exchanges:
            if not recorder.add_exchange(exchange):
                return False
        return (self.rows is None or recorder.add("rows", self.rows)) and recorder.add("result", encode(result))

    @classmethod
    def from_parts(cls, parts: Iterable[Part], exchanges: Iterable[Any]) -> Recording:
        """The recording of one execution from what `give_to` handed over.

        Raises:
            ConfigError: a part is missing or damaged, or the recording is of a newer format.
        """
        try:
            recording = _assembled(parts, exchanges)
        except KeyError as error:
            raise ConfigError(f"the recording is incomplete: it has no {error.args[0]}") from None
        except (AttributeError, TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"the recording is damaged: {error}") from None
        check_recording(recording)
        return recording


def _assembled(parts: Iterable[Part], exchanges: Iterable[Any]) -> Recording:
    by_kind: dict[str, bytes] = {}
    inputs: dict[int, bytes | None] = {}
    for part in parts:
        if not isinstance(part.payload, bytes):
            raise TypeError(f"the payload of a part must be bytes, not {type(part.payload).__name__}")
        if part.kind == "input":
            inputs[part.meta["number"]] = part.payload if part.meta["is_wired"] else None
        else:
            by_kind[part.kind] = part.payload
    clock = _object(by_kind, "clock")
    result: dict[str, Any] = {"incomplete": "it has no end"}
    if "result" in by_kind:
        result = _object(by_kind, "result")
    if clock["format"] != FORMAT:
        raise ConfigError(f"the recording has format {clock['format']!r}, known is {FORMAT}")
    return Recording(
        key=by_kind["randomness"],
        clock_start=clock["start"],
        clock_step=clock["step"],
        exchanges=tuple(sorted(map(_exchange, exchanges), key=lambda exchange: exchange.index)),
        strays=tuple(operations(clock["strays"], "strays")),
        ending=clock["ending"],
        ended=clock["ended"],
        statement=by_kind.get("statement", b"").decode(),
        inputs=tuple(inputs[number] for number in sorted(inputs)),
        checkpoint=by_kind.get("checkpoint", b"null"),
        local_variables=by_kind.get("local_variables", b"{}"),
        rows=by_kind.get("rows"),
        status=result.get("status"),
        error=result.get("error"),
        log_sha256=result.get("log_sha256", ""),
        image=result.get("image", ""),
        incomplete=result.get("incomplete", ""),
    )


def _object(by_kind: Mapping[str, bytes], kind: str) -> dict[str, Any]:
    try:
        value = decode(by_kind[kind])
    except ValueError as error:
        raise ValueError(f"the {kind} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise TypeError(f"the {kind} is not an object")
    return value


def _exchange(value: Any) -> HttpExchange:
    """An exchange of ours from one of the store's, which has the same fields."""
    if isinstance(value, HttpExchange):
        return value
    return HttpExchange(**{item.name: getattr(value, item.name) for item in dataclasses.fields(HttpExchange)})
