"""What the host calls of one execution have used so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..result import Unserved


@dataclass(slots=True)
class UsageCounter:
    """Mutable counts of one execution while it runs; host calls add to it on the loop thread.

    `unserved` says what was wrong with the last HTTP request, see `Result.unserved`. `warnings`, each once, are what
    they have to say to the caller.
    """

    http_requests: int = 0
    http_bytes_sent: int = 0
    http_bytes_received: int = 0
    unserved: Unserved = ""
    warnings: dict[str, None] = field(default_factory=dict)
