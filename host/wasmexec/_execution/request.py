"""What goes into the guest: a run or check request as the head and blobs of one frame."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from .._guest.channel import Blob
from ..errors import ConfigError, InputError, StatementSyntaxError
from ..limits import Limits
from ..options import JsonText
from ..rows.json_text import encode

SHORTEST_SECRET = 3
"""Characters, without the space around them: fewer are part of every text, which would be spoilt by masking them."""
_PIECE_BYTES = 1024**2
LONGEST_SECRET = 64 * 1024
"""Characters: what masking takes, in time and memory, grows with them."""
MOST_SECRETS = 256
LONGEST_SECRETS = 256 * 1024
"""Characters of all of them together."""
_BOUNDED = (b"bytes", b"rows", b"keys", b"depth")
"""What of the rows is bounded."""
PRIMITIVES = (str, bool, int, float, type(None))


class Request(NamedTuple):
    """A frame to send: `kind` is what the guest is asked to do, "run", "check" or "compile".

    One to run lacks the statement: it goes as text or as code.
    """

    kind: str
    statement: str
    head: bytes
    blobs: tuple[Blob, ...] = ()

    @property
    def program(self) -> int:
        """A number that requests with the same statement share."""
        return hash(self.statement)

    def with_text(self) -> Request:
        """A run with the statement's text, for the guest to compile."""
        return self._replace(head=b'%b,"statement":%b}' % (self.head[:-1], _statement(self.statement)))

    def with_code(self, code: bytes) -> Request:
        """A run with the statement's code; its text is only for those who want to see its lines."""
        text, at = self.statement.encode(), sum(map(len, self.blobs))
        spans = b',"code":[%d,%d],"text":[%d,%d]}' % (at, len(code), at + len(code), len(text))
        return self._replace(head=self.head[:-1] + spans, blobs=(*self.blobs, code, text))


def refuse_unfit_secrets(secrets: Mapping[str, object]) -> None:
    """An empty secret is none, and harmless.

    Raises:
        ConfigError: a secret is too short or too long to be masked, or there are too many.
    """
    texts = {name: secret for name, secret in secrets.items() if isinstance(secret, str) and secret}
    for name, secret in texts.items():
        if len(secret.strip()) < SHORTEST_SECRET:
            raise ConfigError(
                f"secret {name}: it has fewer than {SHORTEST_SECRET} characters, too few to be hidden without spoiling "
                "every text; give it as a local variable if it is not secret"
            )
        if len(secret) > LONGEST_SECRET:
            raise ConfigError(
                f"secret {name}: it has {len(secret):,} characters; at most {LONGEST_SECRET:,} can be hidden in texts: "
                "give what is not secret of it as a local variable or as input"
            )
    if len(secrets) > MOST_SECRETS:
        raise ConfigError(f"there are {len(secrets):,} secrets; at most {MOST_SECRETS} can be hidden in texts")
    whole = sum(map(len, texts.values()))
    if whole > LONGEST_SECRETS:
        raise ConfigError(
            f"the secrets have {whole:,} characters together; at most {LONGEST_SECRETS:,} can be hidden in texts: give "
            "what is not secret of them as local variables or as input"
        )


def check_request(statement: str) -> Request:
    """Raises: StatementSyntaxError: the statement is not valid Unicode text."""
    return Request("check", statement, b'{"kind":"check","statement":%b}' % _statement(statement))


def compile_request(statement: str) -> Request:
    """Raises: StatementSyntaxError: the statement is not valid Unicode text."""
    return Request("compile", statement, b'{"kind":"compile","statement":%b}' % _statement(statement))


class RunStart(NamedTuple):
    """What every frame that starts a statement begins with, whatever its input: `head` is a JSON object still open."""

    statement: str
    head: bytes
    limits: Limits

    def request(self, inputs: Sequence[object], checkpoint: object) -> Request:
        """The whole frame; `inputs[0]` is INPUT_DATA, `inputs[1]` INPUT_DATA2 and so on.

        Raises:
            InputError: an input is not JSON-able, not UTF-8, or all of them are too large together.
            ConfigError: the checkpoint is not JSON-able.
        """
        blobs: list[Blob] = []
        references: list[list[int] | None] = []
        position = 0
        for number, value in enumerate(inputs, 1):
            if value is None:
                references.append(None)
                continue
            blob = _input_json(value, "INPUT_DATA" if number == 1 else f"INPUT_DATA{number}")
            blobs.append(blob)
            references.append([position, len(blob)])
            position += len(blob)
            if position > self.limits.input_bytes:
                raise InputError(
                    f"the input has {position:,} bytes of JSON; at most {self.limits.input_bytes:,} are "
                    "allowed (limit input_bytes)"
                )
        try:
            # That of a recording is JSON already.
            stored = checkpoint.text if isinstance(checkpoint, JsonText) else encode(checkpoint)
        except ValueError as error:
            raise ConfigError(f"checkpoint: {error}") from None
        # Unlike a formatted text it is put together without the interpreter's lock.
        head = b"".join((self.head, b',"inputs":', orjson.dumps(references), b',"checkpoint":', stored, b"}"))
        return Request("run", self.statement, head, tuple(blobs))


def run_start(
    statement: str,
    *,
    local_variables: Mapping[str, object] | None,
    secrets: Mapping[str, object] | None,
    limits: Limits,
    held: Sequence[str] = (),
) -> RunStart:
    """The part of a run's frame that depends on its conditions.

    `secrets` are what the statement sees of them: strings. `held` names those that it holds: the guest masks these
    before it cuts a text.

    Raises:
        StatementSyntaxError: the statement is not valid Unicode text.
        ConfigError: a local variable or secret is not what it must be.
    """
    _statement(statement)
    bounds = (limits.output_bytes, limits.output_rows, limits.output_keys, limits.output_depth)
    head = b'{"kind":"run","locals":%b%b%b' % (
        _locals(local_variables, secrets),
        b"".join(b',"max_output_%b":%d' % item for item in zip(_BOUNDED, bounds, strict=True)),
        b',"secrets":%b' % encode(list(held)) if held else b"",
    )
    return RunStart(statement, head, limits)


def _statement(statement: str) -> bytes:
    if not isinstance(statement, str):
        raise TypeError(f"the statement must be a str, not {type(statement).__name__}")
    try:
        return orjson.dumps(statement)
    except TypeError:
        position = next(index for index, letter in enumerate(statement) if "\ud800" <= letter <= "\udfff")
        before = statement[:position]
        raise StatementSyntaxError(
            f"the statement is not valid text: lone surrogate U+{ord(statement[position]):04X}",
            line=before.count("\n") + 1,
            column=position - before.rfind("\n"),
        ) from None


def _input_json(value: object, name: str) -> Blob:
    if isinstance(value, (bytes, bytearray, memoryview, JsonText)):
        data = value.text if isinstance(value, JsonText) else bytes(value)
        position = _not_utf8(data)
        if position is not None:
            raise InputError(f"{name} is not UTF-8: byte 0x{data[position]:02x} at position {position}")
        return data
    try:
        return encode(value)
    except ValueError as error:
        is_missing = str(error).endswith("is nan, which JSON does not have")
        advice = "; write None for a missing value (df.astype(object).where(df.notna(), None))" if is_missing else ""
        raise InputError(f"{name} is not JSON: {error}{advice}") from None


def _not_utf8(data: Blob) -> int | None:
    """Where a byte is that UTF-8 does not have there. In pieces: as a text it could take four times its size."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data) or 1, _PIECE_BYTES):
        piece = view[start : start + _PIECE_BYTES]
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, start + len(piece) == len(data))
        except UnicodeDecodeError as error:
            return start - kept + error.start
    return None


def _locals(local_variables: Mapping[str, object] | None, secrets: Mapping[str, object] | None) -> bytes:
    if not local_variables and not secrets:
        return b"{}"
    variables = dict(local_variables or {})
    for name, value in variables.items():
        if not isinstance(value, PRIMITIVES):
            raise ConfigError(f"local variable {name}: expected a primitive value, got {type(value).__name__}")
    for name, secret in (secrets or {}).items():
        if name in variables:
            raise ConfigError(f"secret {name}: a local variable has the same name")
        if not isinstance(secret, str):
            raise ConfigError(f"secret {name}: expected a str or a Secret, got {type(secret).__name__}")
        variables[name] = secret
    for name in variables:
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
            raise ConfigError(f"local variable {name!r}: the name must be an identifier without leading `__`")
    try:
        return encode(variables)
    except ValueError as error:
        raise ConfigError(f"local variables: {error}") from None
