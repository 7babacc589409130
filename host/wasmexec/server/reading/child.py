"""The process that reads long bodies, one after the other.

SECURITY: it has the bodies of all tenants, as the front has the short ones, but no store, no guest and no way out.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections import OrderedDict
from typing import Final, NoReturn

import msgspec

from ..._wall.wall import Wall
from ...workers.files import receive
from ...workers.messages import BadMessage, Kind, pack
from ...workers.pipes import begin, tell_ready
from .arriving import Arriving, new_buffer
from .place import levels

_MOST_ARRIVING: Final = 1024


def main(parent: str, wall: str, bodies: str, most_bytes: str, most_levels: str) -> NoReturn:
    """Serve until the socket `bodies`, a descriptor, is closed or the parent is gone, behind a wall.

    The number of a text is twice that of its body, and one more for one that is whole.

    Bodies have at most `most_bytes`, and inputs in them at most `most_levels` of lists and objects.
    """
    try:
        _serve(int(parent), Wall.unpack(wall), socket.socket(fileno=int(bodies)), int(most_bytes), int(most_levels))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(parent: int, wall: Wall, bodies: socket.socket, most_bytes: int, most_levels: int) -> NoReturn:
    # SECURITY: while there is one thread.
    wall.begin(parent)
    outbox = begin(parent)
    wall.close()
    # As many as of a short body in the front, where the calls are deeper than here.
    sys.setrecursionlimit(sys.getrecursionlimit() + most_levels - levels())
    tell_ready(outbox)
    buffer = new_buffer()
    arriving: OrderedDict[int, Arriving] = OrderedDict()
    while True:
        came = receive(bodies, most_bytes, may_grow=True)
        if came is None:
            os._exit(0)
        place, body = came
        number, is_whole = divmod(place, 2)
        read = arriving.pop(number, None) or Arriving(buffer)
        if is_whole:
            if not body.file.is_sealed:
                raise BadMessage("a whole body that may change")
            outbox.write(pack(Kind.FOUND, number, msgspec.json.encode(read.end(body))))
        else:
            read.read(body.file, len(body))
            arriving[number] = read
            # Some never end: their clients have gone.
            if len(arriving) > _MOST_ARRIVING:
                arriving.popitem(last=False)
        # Of what was read nothing is kept until the next one comes.
        del came, body
