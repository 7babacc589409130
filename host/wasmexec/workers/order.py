"""`Order`: what many executions have in common, in a form that another process can be given."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..canned import CannedHttp
from ..grants import Grants, HttpGrant
from ..limits import Limits
from ..options import NOT_GIVEN
from ..proxy import Proxy
from ..recording import Recording
from ..rows.json_text import decode, encode
from ..schema import RowSchema, row_schema
from ..secret import Secret
from .recordings import recording_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The statement and its conditions; `image` is a manifest file; `extra_inputs` are JSON texts."""

    image: Path
    statement: str
    output: RowSchema
    extra_inputs: Sequence[bytes | None]
    checkpoint: object
    local_variables: Mapping[str, object]
    limits: Limits
    grants: Grants
    secrets: Mapping[str, str | Secret]
    wakes_freely: bool = True
    """Whether it computes again without asking, as long as there is room for it."""
    canned_http: CannedHttp | None = None
    """Answers in place of the network; not for another process."""
    traceparent: str | None = None
    """A header that every HTTP request of it carries; only for a worker of many orders."""
    is_recorded: bool = False
    """Only of orders to a worker of many, like `replay`."""
    replay: Recording | None = None
    """What is repeated, with its inputs, checkpoint and variables in place of the order's."""

    def conditions(self) -> dict[str, Any]:
        """The keyword arguments of `Executor.prepare`."""
        return {
            "output_schema": self.output.prepared,
            "local_variables": self.local_variables if self.replay is None else NOT_GIVEN,
            "limits": self.limits,
            "grants": self.grants,
            "secrets": self.secrets or None,
            "canned_http": self.canned_http,
        }

    def inputs(self) -> dict[str, Any]:
        """Those of `Prepared.submit` that are the same for every input."""
        return {"extra_inputs": self.extra_inputs, "checkpoint": self.checkpoint}

    def pack(self) -> bytes:
        """As JSON, for `unpack` in another process of ours. It contains the secrets."""
        content = {
            "image": str(self.image),
            "statement": self.statement,
            "schema": self.output.definition,
            "mode": self.output.mode,
            "extra_inputs": [None if data is None else base64.b64encode(data).decode() for data in self.extra_inputs],
            "checkpoint": self.checkpoint,
            "local_variables": dict(self.local_variables),
            "limits": asdict(self.limits),
            "wakes_freely": self.wakes_freely,
            "grants": {
                "http": [asdict(grant) for grant in self.grants.http_grants],
                "ca_file": self.grants.ca_file,
                "proxy": None if self.grants.http_proxy is None else asdict(self.grants.http_proxy),
            },
            "secrets": {
                name: [secret.value, list(secret.hosts), list(secret.also_in)]
                if isinstance(secret, Secret)
                else [secret, None, None]
                for name, secret in self.secrets.items()
            },
        }
        return encode(content)

    @staticmethod
    def unpack(data: bytes) -> Order:
        """The order that `pack` made."""
        content = decode(data)
        replay = content.get("replay")
        return Order(
            image=Path(content["image"]),
            statement=content["statement"],
            output=row_schema.prepare(content["schema"], content["mode"]),
            extra_inputs=[None if text is None else base64.b64decode(text) for text in content["extra_inputs"]],
            checkpoint=content["checkpoint"],
            local_variables=content["local_variables"],
            limits=Limits(**content["limits"]),
            grants=_grants(**content["grants"]),
            wakes_freely=bool(content.get("wakes_freely", True)),
            traceparent=content.get("traceparent"),
            secrets={
                name: value if hosts is None else Secret(value, hosts=hosts, also_in=also_in)
                for name, (value, hosts, also_in) in content["secrets"].items()
            },
            is_recorded=content.get("record") is True,
            replay=None if replay is None else recording_of(replay),
        )


def _grants(http: list[dict[str, Any]], ca_file: str | None, proxy: dict[str, Any] | None) -> Grants:
    return Grants(
        http=[HttpGrant(**grant) for grant in http], ca_file=ca_file, proxy=None if proxy is None else Proxy(**proxy)
    )
