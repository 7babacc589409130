"""A server that listens at a path."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from wasmexec.server.http.listener import listening_socket


def test_a_server_at_a_path_is_its_owners_and_leaves_nothing_there(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    # What a killed one leaves is in nobody's way.
    listening_socket(str(path)).close()
    options = ["--listen", f"unix:{path}", "--store", f"{path}.sqlite3", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "wasmexec", "serve", *options], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        assert server.stderr.readline() == f"listening at unix:{path}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://server") as client:
            assert client.get("/livez").json() == {"live": True}
        with pytest.raises(OSError, match="another process listens there"):
            listening_socket(str(path))
        server.terminate()
        assert server.wait(30) == 0
    assert not path.exists()
    path.write_text("something of somebody")
    with pytest.raises(OSError, match="there is something else than a socket"):
        listening_socket(str(path))
    assert path.read_text() == "something of somebody"
