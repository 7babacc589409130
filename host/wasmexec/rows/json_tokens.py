"""What the brackets and strings of JSON text look like: nothing is tried twice, so that all of it takes linear time."""

from __future__ import annotations

import re

from .steps import STEP_BYTES, LookUp, Text

_INSIDE = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_STRING = rb'"%b"' % _INSIDE
_FLAT = rb'[^"\[\]{}]*+(?:%b[^"\[\]{}]*+)*+' % _STRING
GAP = re.compile(rb'(?:[^"\[\]{}]++|%b|\{%b\}|\[%b\])*+' % (_STRING, _FLAT, _FLAT), re.DOTALL)
"""Everything up to a bracket with other brackets inside, or a string that is not closed."""
NO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|%b)*+' % _STRING, re.DOTALL)
IN_STRING = re.compile(_INSIDE, re.DOTALL)
FLAT_OBJECT = re.compile(rb"\{%b\}" % _FLAT, re.DOTALL)
"""An object with nothing but plain values: most rows."""
TOKEN = re.compile(rb'%b|[\[\]{}",]' % _STRING, re.DOTALL)
"""A whole string, a bracket, a comma, or a quote whose string goes on behind the end."""
_ESCAPE = rb"\\(?:u[dD][89abAB]..\\u....|u(?![dD][89abAB])....|[^u])"
WHOLE_ESCAPES = re.compile(rb"[^\\]*+(?:%b[^\\]*+)*+" % _ESCAPE, re.DOTALL)
"""The inside of a string without a part of an escape at its end: two may make one character together."""
LONGEST_ESCAPE = 12


def string_end(text: Text, position: int, size: int, look_up: LookUp) -> int:
    """Where the string ends that begins there; -1 if it does not."""
    position += 1
    while position < size:
        look_up()
        found = IN_STRING.match(text, position, min(position + STEP_BYTES, size))
        assert found is not None
        position = found.end()
        if text[position : position + 1] == b'"' and position < size:
            return position + 1
        if position + 1 >= size:
            break
    return -1
