"""The process that looks names up when the threads for that are taken; run as a script, `resolver.py` talks to it.

A line of JSON for each name, `[number, host, port]`; the answer is `[number, addresses]` or `[number, errno, text]`. It
ends when nobody writes to it any more.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, each once.

    Raises:
        OSError: the name does not resolve.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _answer(number: int, host: str, port: int, lock: threading.Lock) -> None:
    try:
        answer: list[object] = [number, look_up(host, port)]
    except OSError as error:
        answer = [number, error.errno, error.strerror or str(error)]
    except UnicodeError:
        answer = [number, None, "not a valid name"]
    with lock:
        print(json.dumps(answer), flush=True)


def _main() -> None:
    lock = threading.Lock()
    for line in sys.stdin:
        threading.Thread(target=_answer, args=(*json.loads(line), lock), daemon=True).start()
    # Those that hang are not waited for.
    os._exit(0)


if __name__ == "__main__":
    _main()
