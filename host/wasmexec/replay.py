"""What a replay found different from its recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["added", "missing", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDifference:
    """A request that was not made as recorded.

    "added" was not recorded and failed; "missing" was recorded and not made; "changed" differs from its counterpart in
    `parts`: "url" or "body" (it failed) or only "headers" (it was answered all the same). `replayed` and `recorded` are
    the numbers of the request, from 0, in its execution; the bodies are cut to 10,000 bytes.
    """

    kind: Kind
    method: str
    url: str
    recorded_url: str = ""
    replayed: int | None = None
    recorded: int | None = None
    parts: tuple[str, ...] = ()
    body: bytes = b""
    recorded_body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    recorded_headers: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The difference as JSON-able values, bodies as text."""
        fields: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        for name in ("body", "recorded_body"):
            fields[name] = getattr(self, name).decode("utf-8", "replace")
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """A row that is not as recorded: `replayed` and `recorded` are its indexes, from 0; None where there is none.

    Of a row of more than 10,000 bytes, and when all rows of a report have more than 512 KiB together, the beginning of
    its JSON is shown, a str.
    """

    kind: Kind
    replayed: int | None = None
    recorded: int | None = None
    row: Any = None
    recorded_row: Any = None

    def as_dict(self) -> dict[str, object]:
        """The difference as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """How a replay went. What the recording does not say (one written by hand) is not compared and None.

    `are_rows_identical` compares the rows as JSON byte for byte, `is_log_identical` levels, texts and times. At most
    1,000 rows and 1,000 requests are listed; `row_difference_count` and `request_difference_count` count them all.
    `from_recording` names what the statement was given from the recording: those of "input_data", "extra_inputs",
    "checkpoint" and "local_variables" that the caller left out.
    """

    requests: tuple[RequestDifference, ...] = ()
    request_difference_count: int = 0
    rows: tuple[RowDifference, ...] = ()
    row_difference_count: int = 0
    are_rows_identical: bool | None = None
    is_log_identical: bool | None = None
    status: int = 0
    recorded_status: int | None = None
    recorded_error: Mapping[str, Any] | None = None
    is_statement_changed: bool = False
    is_image_changed: bool = False
    incomplete: str = ""
    from_recording: tuple[str, ...] = ()

    @property
    def is_identical(self) -> bool:
        """The same requests, status, rows and log, as far as they were recorded."""
        return (
            not self.requests
            and self.are_rows_identical is not False
            and self.is_log_identical is not False
            and self.recorded_status in (None, self.status)
        )

    def as_dict(self) -> dict[str, object]:
        """The report as JSON-able values."""
        fields: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        fields["is_identical"] = self.is_identical
        fields["requests"] = [item.as_dict() for item in self.requests]
        fields["rows"] = [item.as_dict() for item in self.rows]
        return fields
