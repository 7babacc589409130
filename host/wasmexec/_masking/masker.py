"""Hiding secrets in everything a person may read: logs, errors, tracebacks, warnings, recordings.

One rule everywhere: mask, then shorten. A cut through a secret leaves a piece of it that nobody can find any more.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from typing import Final

from .spellings import SHORTEST_SPREAD, spellings
from .views import Unescaping, View, Whole, compact, loose

MASK = "***"
_MASK_BYTES = MASK.encode()
_ANCHOR = 8
_SHORTEST_ANCHORED = 2 * _ANCHOR - 1
"""Bytes that a form needs to have one of the aligned words of eight bytes in it, wherever it stands."""
_ORDER: Final = sys.byteorder
_FEW = 12
_PIECE = 128 * 1024
"""Bytes that are searched at a time: some milliseconds, after which others get a turn."""
_LEAST_OVERLAP = 16 * 1024
_MOST_KEPT = 4096
_LONGEST_ENLARGED = 8
_WINDOW = 256 * 1024
_STEP = 4096
_SHORTEST_PIECE = 8
_LONG_PIECE = 128
"""Bytes of a beginning that show a secret wherever they end: keys and tokens of one kind share fewer."""
_DOTS = "\N{HORIZONTAL ELLIPSIS}".encode()
_ELLIPSIS = re.compile(rb" ?(?:\.{3,}|" + _DOTS + rb") ?")
_LONGEST_CACHED = 256 * 1024
_LEAST_ENCODED = 8
"""Bytes of an encoded secret at the end of what has come of a stream that are held back; fewer tell next to nothing."""


class Masker:
    """Replaces every secret by `***`, in every spelling that `_spellings` knows.

    Made in no time; what it looks for is put together when it is first used, or by `prepare`.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self.check: Callable[[], object] = _nothing

    def prepare(self) -> None:
        """Put together what it looks for: some microseconds for each character of the secrets."""
        if self._secrets:
            _ = self._finder

    def checked_by(self, check: Callable[[], object]) -> Masker:
        """The same, which calls `check` after every few milliseconds of work; what it raises ends the work."""
        masker = Masker(())
        masker._secrets = self._secrets
        masker.check = check
        if self._secrets:
            masker.__dict__["_finder"] = self._finder
        return masker

    def __bool__(self) -> bool:
        return bool(self._secrets)

    @property
    def secrets(self) -> list[str]:
        """What it hides: another process makes the same of them."""
        return self._secrets

    def __call__(self, text: str) -> str:
        """`text` without the secrets, and without what others left of one before or after an ellipsis."""
        return self._without(text, pieces=True)

    def exactly(self, text: str) -> str:
        """`text` without the secrets as a whole.

        SECURITY: for what a statement is told. It could else find out a secret that it does not hold, letter by letter,
        by seeing which pieces are masked.
        """
        return self._without(text, pieces=False)

    def _without(self, text: str, *, pieces: bool) -> str:
        if not self._secrets:
            return text
        data = text.encode("utf-8", "surrogatepass")
        spans = _whole_characters(data, self.found(data, pieces=pieces))
        found = self._replaced(data, spans)
        return text if found is data else found.decode("utf-8", "surrogatepass")

    def in_bytes(self, data: bytes) -> bytes:
        """`data` without the secrets; the very same object if there are none in it."""
        return self._replaced(data, self.found(data))

    def occurs_in(self, data: bytes) -> bool:
        """Whether there is a secret in `data`."""
        return next(self.found(data), None) is not None

    def spans(self, data: bytes, *, pieces: bool = False) -> list[tuple[int, int]]:
        """Where secrets are, in order, those that overlap as one; `pieces`: also what is left of one at an ellipsis."""
        return list(self.found(data, pieces=pieces))

    def found(self, data: bytes, *, pieces: bool = False) -> Iterator[tuple[int, int]]:
        """The same, as the data are searched, a part at a time."""
        if not self._secrets or not data:
            return
        finder, overlap = self._finder, self.overlap
        step = max(_PIECE, 2 * overlap) - overlap
        found: list[tuple[int, int]] = []
        for start in range(0, max(1, len(data) - overlap), step):
            part = data[start : start + step + overlap]
            for first, last in finder.find(part, self.check, pieces=pieces):
                found.append((start + first, start + last))
            found = _merged(found)
            # What begins behind this may be one with what the next part has.
            done = 0
            while done < len(found) and found[done][1] < start + step:
                done += 1
            yield from found[:done]
            del found[:done]
        yield from found

    def _replaced(self, data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
        """The data with a mark in the place of each span; the very same object if there are none."""
        done: list[bytes] = []
        pieces: list[bytes] = []
        last = 0
        for start, end in spans:
            pieces += (data[last:start], _MASK_BYTES)
            last = end
            if len(pieces) > _MOST_KEPT:
                done.append(b"".join(pieces))
                pieces.clear()
        return b"".join((*done, *pieces, data[last:])) if last else data

    @property
    def overlap(self) -> int:
        """How many bytes of a part are searched again with the next one, for a secret that stands across both."""
        longest = len(self._secrets[0].encode("utf-8", "surrogatepass"))
        return max(_LEAST_OVERLAP, min(self.margin, 4 * _LEAST_OVERLAP + 3 * longest))

    @property
    def margin(self) -> int:
        """About how many bytes the longest spelling takes."""
        return _LONGEST_ENLARGED * len(self._secrets[0].encode("utf-8", "surrogatepass")) + 64 if self._secrets else 0

    def for_cut(self, text: str, limit: int) -> str:
        """`text` masked, if it has more than `limit` characters and will be cut; its first and last `limit` are right.

        Of a text that is too long to be searched as a whole only the two ends are kept, and no piece of a secret where
        they were cut.
        """
        if len(text) <= limit or not self._secrets:
            return text
        kept = max(limit, _WINDOW)
        room = kept + self.margin
        if len(text) <= 2 * room:
            return self(text)
        head, tail = (part.encode("utf-8", "surrogatepass") for part in (text[:room], text[-room:]))
        return f"{self.head(head, kept)} ... {self.tail(tail, kept)}"

    def head(self, data: bytes, size: int) -> str:
        """The first `size` bytes of UTF-8 as text without the secrets, and without the beginning of one."""
        spans = self.spans(data, pieces=True)
        torn = next((span for span in spans if span[0] < size < span[1]), None)
        end = size if torn is None else torn[1]
        return self._replaced(data[:end], [span for span in spans if span[1] <= end]).decode("utf-8", "ignore")

    def tail(self, data: bytes, size: int) -> str:
        """The last `size` bytes of UTF-8 as text without the secrets, and without the end of one."""
        spans, start = self.spans(data, pieces=True), max(0, len(data) - size)
        torn = next((span for span in spans if span[0] < start < span[1]), None)
        start = start if torn is None else torn[0]
        kept = [(first - start, last - start) for first, last in spans if first >= start]
        return self._replaced(data[start:], kept).decode("utf-8", "replace")

    def unfinished(self, data: bytes) -> int:
        """From where on a secret may have begun that goes on beyond the end of `data`; its length if none has."""
        tail = data[-self.margin :]
        end = len(tail)
        for view in map(Whole, self._finder.unescaping.views(tail)):
            end = min(end, view.end)
            for searched, forms, least in (
                (view, self._finder.plain, 1),
                (compact(view), self._finder.compact, _LEAST_ENCODED),
                (loose(view), self._finder.loose, _LEAST_ENCODED),
            ):
                size, length = forms.beginning(searched.data), len(searched.data)
                if size < least:
                    continue
                start, stop = searched.origin(length - size, length)
                if stop == view.end or size >= SHORTEST_SPREAD:
                    end = min(end, start)
        return len(data) - len(tail) + end

    def error(self, error: BaseException) -> None:
        """Mask the arguments and every text field of one of our errors, in place."""
        if not self._secrets:
            return
        error.args = tuple(self(item) if isinstance(item, str) else item for item in error.args)
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, self(value))

    @cached_property
    def _finder(self) -> _Finder:
        secrets = tuple(self._secrets)
        return _common_finder(secrets) if sum(map(len, secrets)) <= _LONGEST_CACHED else _Finder(secrets)


class _Finder:
    """What is looked for in each kind of view."""

    def __init__(self, secrets: Sequence[str]) -> None:
        found = [spellings(secret) for secret in secrets]
        self.plain, self.compact, self.loose = (
            _Forms(frozenset().union(*kind)) for kind in zip(*found, strict=True)
        )  # fmt: skip
        self._values = [secret.strip().encode("utf-8", "surrogatepass") for secret in secrets]
        self.unescaping = Unescaping(self._values)

    def find(self, data: bytes, check: Callable[[], object], *, pieces: bool) -> Iterator[tuple[int, int]]:
        """Where secrets are, in no order, some of them more than once."""
        for view in self.unescaping.views(data):
            check()
            if pieces:
                yield from self.pieces(view)
            yield from self.plain.find(view)
            yield from self.compact.find(compact(view))
            yield from self.loose.find(loose(view))

    def pieces(self, view: View) -> Iterator[tuple[int, int]]:
        """Where something else cut a secret: its beginning before an ellipsis, its end after one, a long beginning.

        pandas shows 47 characters of a long text, `reprlib` the two ends, PyYAML a part of the line between ` ... `;
        CPython cuts what `int()` and others quote after 200 characters and does not say so.
        """
        data = view.data
        for value in self._values:
            if len(value) > _LONG_PIECE:
                for start, end in _long_beginnings(data, value):
                    yield view.origin(start, end)
        if b"..." not in data and _DOTS not in data:
            return
        last = 0
        marks = (match.span() for match in _ELLIPSIS.finditer(data))
        for (start, end), (following, _) in pairwise(chain(marks, [(len(data), 0)])):
            for value in self._values:
                if len(value) < _SHORTEST_PIECE:
                    continue
                position = data.find(value[:_SHORTEST_PIECE], max(last, start - len(value)), start)
                if position >= 0 and value.startswith(data[position:start]):
                    yield view.origin(position, start)
                position = data.rfind(value[-_SHORTEST_PIECE:], end, min(end + len(value), following))
                if position >= 0 and value.endswith(data[end : position + _SHORTEST_PIECE]):
                    yield view.origin(end, position + _SHORTEST_PIECE)
            last = end


def _long_beginnings(data: bytes, value: bytes) -> Iterator[tuple[int, int]]:
    """Where at least `_LONG_PIECE` bytes of the beginning of `value` are; those that overlap once."""
    start = data.find(value[:_LONG_PIECE])
    while start >= 0:
        size, beyond = _LONG_PIECE, min(len(value), len(data) - start) + 1
        while beyond - size > 1:
            middle = (size + beyond) // 2
            if data.startswith(value[size:middle], start + size):
                size = middle
            else:
                beyond = middle
        yield start, start + size
        start = data.find(value[:_LONG_PIECE], start + size)


@lru_cache(8)
def _common_finder(secrets: tuple[str, ...]) -> _Finder:
    """The same for every execution of a run."""
    return _Finder(secrets)


class _Forms:
    """Byte strings that are searched for together."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        # The longest first, so that what is found is found whole.
        ordered = sorted((form for form in forms if form), key=len, reverse=True)
        self._long = [form for form in ordered if len(form) >= _SHORTEST_ANCHORED]
        self._short = ordered[len(self._long) :]
        # Each form under the eight words of eight bytes that it begins with: it has one of them at a multiple of eight.
        self._by_word: dict[int, list[bytes]] = {}
        for form in self._long if len(self._long) > _FEW else ():
            for offset in range(_ANCHOR):
                word = int.from_bytes(form[offset : offset + _ANCHOR], _ORDER)
                self._by_word.setdefault(word, []).append(form)
        self._words = frozenset(self._by_word)

    def find(self, view: View) -> Iterator[tuple[int, int]]:
        """The spans at the bottom of a view that one of the forms comes from."""
        data = view.data
        for form in self._candidates(data):
            if form not in data:
                continue
            for start, end in _occurrences(data, form):
                span = view.origin(start, end)
                if len(form) >= SHORTEST_SPREAD or span[1] - span[0] == end - start or not view.has_gaps:
                    yield span

    def beginning(self, data: bytes) -> int:
        """The length of the longest beginning of a form, not the whole, that the data end with."""
        longest = 0
        for form in (*self._short, *self._long):
            tail = data[max(0, len(data) - len(form) + 1) :]
            position = tail.find(form[:1])
            while 0 <= position < len(tail) - longest:
                if form.startswith(tail[position:]):
                    longest = len(tail) - position
                    break
                position = tail.find(form[:1], position + 1)
        return longest

    def _candidates(self, data: bytes) -> Iterator[bytes]:
        """The forms that may be there: of many, one look at all of them tells for most that they are not."""
        yield from self._short
        if not self._words:
            yield from self._long
            return
        words = memoryview(data)[: len(data) // _ANCHOR * _ANCHOR].cast("Q")
        yield from dict.fromkeys(form for word in self._words.intersection(words) for form in self._by_word[word])


def _occurrences(data: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    """Every occurrence of a form, overlapping ones too, a row of them that repeat each other as one."""
    size = len(form)
    period = _period(form)
    start = data.find(form)
    while start >= 0:
        end = start + size
        if period:
            once = form[size - period :]
            # In large steps first.
            for repeated in (once * (_STEP // period), once):
                while repeated and data.startswith(repeated, end):
                    end += len(repeated)
        yield start, end
        start = data.find(form, max(start + 1, end - size + 1))


def _period(form: bytes) -> int:
    """The length of what a form repeats at least once and a half; 0 if it does not."""
    period = form.find(form[: len(form) - len(form) // 2], 1)
    return period if period > 0 and form[period:] == form[: len(form) - period] else 0


def _merged(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def _whole_characters(data: bytes, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans enlarged to characters of UTF-8."""
    for span in spans:
        start, end = span
        while start > 0 and data[start] & 0xC0 == 0x80:
            start -= 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        yield start, end


def _nothing() -> None:
    """Checks nothing."""
