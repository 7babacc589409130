"""What the guest asked for with http.open, as recordings and replays compare it: without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .masked import Headers, masked, masked_body

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_URL_CHARACTERS = 65_536
MAX_METHOD_CHARACTERS = 40
MAX_OVERHEAD_BYTES = 64 * 1024 * 1024
"""What all requests of an execution may weigh beyond `http_bytes`: their heads, and what was never sent."""


class HttpRequest(NamedTuple):
    """One request; `body` is what came along with it, and not all of it if `is_streamed`."""

    method: str
    url: str
    headers: Headers
    body: bytes
    is_streamed: bool

    def without_secrets(self, mask: Masker | None) -> HttpRequest:
        """The same without secrets, its texts cut after that."""
        return self._replace(
            method=masked(mask, self.method)[:MAX_METHOD_CHARACTERS],
            url=masked(mask, self.url)[:MAX_URL_CHARACTERS],
            headers=tuple((masked(mask, name), masked(mask, value)) for name, value in self.headers),
            body=masked_body(mask, self.headers, self.body),
        )

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return 200 + len(self.url) + len(self.body) + sum(len(name) + len(value) + 100 for name, value in self.headers)


def request_of(args: Mapping[str, object], blob: bytes) -> HttpRequest:
    """The request of an http.open, however wrong it may be."""
    method, url, headers = args.get("method"), args.get("url"), args.get("headers")
    pairs = [
        (pair[0], pair[1])
        for pair in (headers if isinstance(headers, list) else ())
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
    ]
    return HttpRequest(
        method.upper() if isinstance(method, str) else "",
        url if isinstance(url, str) else "",
        tuple(pairs),
        blob,
        args.get("body") == "streamed",
    )
