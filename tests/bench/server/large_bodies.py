"""Number 4: a large input and many rows, and what they take of the front's memory."""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Iterator

from tests.bench.server.context import Check, Context
from tests.server.resident import Resident

import wasmexec

_MIB = 1024 * 1024
_INPUT_BYTES = 100_000_000
_ROW_BYTES = 1000
_STATEMENT = "return INPUT_DATA[::2]"
_LIMITS = {"memory_bytes": 2048 * _MIB, "input_bytes": 110 * _MIB, "output_bytes": 110 * _MIB, "wall_seconds": 60}


def a_large_body(context: Context) -> Iterator[Check]:
    """Number 4; library and server take turns."""
    count = _INPUT_BYTES // _ROW_BYTES
    rows = json.dumps([{"id": number, "text": "x" * (_ROW_BYTES - 30)} for number in range(count)]).encode()
    body = b'{"statement":%b,"limits":%b,"input_data":%b}' % (
        json.dumps(_STATEMENT).encode(), json.dumps(_LIMITS).encode(), rows,
    )  # fmt: skip
    settings = 'max_body_bytes = "128 MiB"\nmax_queued_bytes = "512 MiB"\n[limits]\n' + "\n".join(
        f"{name} = {value}" for name, value in _LIMITS.items()
    )
    library, over_http, grown = [], [], []
    with context.server(settings) as server:
        tenant = server.tenant("large")
        for number in range(3 if context.quick else 7):
            began = time.perf_counter()
            result = context.executor.run(_STATEMENT, input_data=rows, limits=wasmexec.Limits(**_LIMITS))
            seconds = time.perf_counter() - began
            assert len(result.block) == count // 2, result.error
            del result
            with Resident(server.process.pid) as resident:
                taken = _ask(server.port, tenant.key, body)
            if number:
                # The first of each loads what the others have.
                library.append(seconds)
                over_http.append(taken)
            grown.append(resident.grown / 1e6)
    ratio = statistics.median(over_http) / statistics.median(library)
    yield Check(
        number="4", what=f"{_INPUT_BYTES / 1e6:.0f} MB of input, half as many rows: HTTP over library "
        f"({statistics.median(over_http):.2f} s, {statistics.median(library):.2f} s)", measured=f"{ratio:.2f}x",
        target="<= 1.15x", met=ratio <= 1.15,
    )  # fmt: skip
    yield Check(
        number="4", what="  memory of the front meanwhile, at most", measured=f"+{max(grown):.0f} MB",
        target="< 20 MB", met=max(grown) < 20,
    )  # fmt: skip


def _ask(port: int, key: str, body: bytes) -> float:
    """With a client that takes as little time of the machine as one can."""
    head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    kept = bytearray(4 * _MIB)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        connection.sendall(head.encode())
        connection.sendall(body)
        first = b""
        while len(first) < 1000:
            first += connection.recv(100_000)
        assert b'"status":200' in first, first
        told, _, begun = first.partition(b"\r\n\r\n")
        left = int(told.lower().partition(b"content-length: ")[2].split()[0]) - len(begun)
        while left:
            left -= connection.recv_into(kept)
        return time.perf_counter() - began
