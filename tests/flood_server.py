"""A server, in a process of its own, that answers every connection with a head and then one piece again and again.

It is the dearest answer for who parses it, and costs whoever measures that nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
PACKET_BYTES = 65_536
LONGEST_WAIT_SECONDS = 10.0


class FloodServer:
    """It runs from construction to `close`. With `tls`, a file of key and certificate, each piece is a record."""

    def __init__(self, head: bytes, piece: bytes, tls: Path | None = None) -> None:
        arguments = (head.hex(), piece.hex(), *([] if tls is None else [str(tls)]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flood_server", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        self.authority = self._process.stdout.readline().strip()
        self.url = f"{'http' if tls is None else 'https'}://{self.authority}/"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _answer(connection: socket.socket, head: bytes, packet: bytes, tls: ssl.SSLContext | None) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(LONGEST_WAIT_SECONDS)
    # Clients of these tests go away in the middle.
    with contextlib.suppress(OSError):
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(PACKET_BYTES)
                if not more:
                    return
                received += more
            connection.sendall(head)
            while True:
                connection.sendall(packet)


def _main(head: bytes, piece: bytes, tls_file: str | None = None) -> None:
    tls = None
    if tls_file is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tls_file)
    packet = piece if tls is not None else piece * (PACKET_BYTES // len(piece))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection, head, packet, tls), daemon=True).start()


if __name__ == "__main__":
    _main(bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), *sys.argv[3:])
