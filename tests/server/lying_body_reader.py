"""In place of the process that reads long bodies: it answers each body as its argument says."""

from __future__ import annotations

import os
import socket
import sys
import time

from wasmexec.workers.files import receive
from wasmexec.workers.messages import Kind, pack

ANSWERS = {
    "good": b'[1,2,null,""]',
    "refused": b'[0,0,"body","why"]',
    "outside": b'[1,10,null,""]',
    "before": b'[-1,2,null,""]',
    "no JSON": b"[1,",
    "another form": b'{"start":1}',
    "too long": b'[1,2,"' + b"a" * 100_000 + b'",""]',
}


def main(channel: str, what: str) -> None:
    """Serve until the socket is closed."""
    bodies = socket.socket(fileno=int(channel))
    os.write(1, b"".join(pack(Kind.READY)))
    while (came := receive(bodies, 1000)) is not None:
        if what == "dies":
            os._exit(1)
        if what == "silence":
            time.sleep(600)
        kind = Kind.ANSWER if what == "another kind" else Kind.FOUND
        os.write(1, b"".join(pack(kind, came[0] // 2, ANSWERS.get(what, ANSWERS["good"]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
