"""`ServerConfig`: every setting of the server, from a TOML file and the options of the command line."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .._wall.wall import Mode
from ..errors import ConfigError
from ..limits import GIB, MIB, Limits, parse_size
from ..store.database import resolve_url

DEFAULT_PORT = 8700
DEFAULT_METRICS_PORT = 9700
_UNIX = "unix:"
_MOST_PATH_BYTES = 107
"""What the system's address of a socket has room for."""
_MOST_WORKERS = 256
_STORES: Final = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "workers": (1, _MOST_WORKERS),
    "slots": (1, 64),
    "most_asleep": (1, 10_000),
    "worker_memory_bytes": (256 * MIB, 1024 * GIB),
    "recycle_executions": (1, 1_000_000_000),
    "recycle_seconds": (1, 10**9),
    "recycle_memory_bytes": (128 * MIB, 1024 * GIB),
    "max_body_bytes": (1024, GIB),
    "body_seconds": (0.1, 3600),
    "head_seconds": (0.1, 3600),
    "stall_seconds": (0.1, 3600),
    "max_queued_bytes": (MIB, 64 * GIB),
    "max_queued": (0, 1_000_000),
    "step_processes": (1, 256),
    "keep_step_runs": (1, 1_000_000),
    "max_live_log_bytes": (0, 64 * GIB),
    "drain_seconds": (0, 3600),
    "max_connections": (1, 1_000_000),
    "max_connections_per_address": (1, 1_000_000),
    "metrics_tenants": (0, 10_000),
    "traces_sampled": (0, 1),
    "keep_runs_days": (1, 36_500),
    "keep_audit_days": (1, 36_500),
    "store_away_seconds": (0, 3600),
    "max_unstored_bytes": (64 * 1024, 64 * GIB),
}
_FRACTIONS: Final = frozenset(("traces_sampled",))
_TEXTS: Final = ("listen", "store", "image", "secrets_key_file", "metrics", "access_log", "traces")
_OPTIONAL: Final = frozenset(("image", "secrets_key_file", "metrics", "access_log", "traces"))


def _most_memory() -> int:
    """Three quarters of the machine's."""
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * GIB
    return max(256 * MIB, 3 * pages * os.sysconf("SC_PAGE_SIZE") // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The settings of one server; every field is checked.

    Raises:
        ConfigError: a value makes no sense; the message says which, and what does.
    """

    listen: str = f"127.0.0.1:{DEFAULT_PORT}"
    """HOST:PORT, port 0 being a free one, or unix:PATH for a socket of its owner. TLS is up to a proxy in front."""
    store: str = "wasmexec-server.sqlite3"
    """Of tenants, keys, runs and usage: an SQLite file, made if it is not there, or postgresql://USER@HOST/DATABASE."""
    secrets_key_file: str | None = None
    """The file of the keys that seal secrets, orders and inputs in the store; None: STORE.key beside the file,
    for PostgreSQL DATABASE.key in the working folder."""
    image: str | None = None
    """core, full or a manifest file; None: the best that is built."""
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, _MOST_WORKERS))
    """Processes that run statements: one per processor is best."""
    slots: int = 2
    """How many statements compute at once in each of them."""
    most_asleep: int = 1000
    """How many more may be there in each that sleep or wait for HTTP."""
    worker_memory_bytes: int = field(default_factory=_most_memory)
    """Memory of its own that a worker is ended with at once."""
    wall: str = Mode.AUTO
    """Around each worker: auto (what the system has of it), required (else nothing starts), off."""
    recycle_executions: int = 50_000
    """A worker is replaced after so many statements; its replacement has answered a probe before."""
    recycle_seconds: float = 3600.0
    """It is replaced after so long, too, a tenth more or less."""
    recycle_memory_bytes: int = 1536 * MIB
    """And with more private memory than this for five seconds."""
    max_body_bytes: int = 16 * MIB
    """The longest body of a request."""
    body_seconds: float = 30.0
    """How long the body of a request may take to arrive."""
    head_seconds: float = 10.0
    """How long the head of a request may take to arrive."""
    stall_seconds: float = 30.0
    """How long a client may take nothing of its answer, or less than a kilobyte a second, before it is let go."""
    max_queued_bytes: int = 256 * MIB
    """Orders and inputs of all runs that have not ended, together; beyond it new ones are refused with 503."""
    max_live_log_bytes: int = 64 * MIB
    """Lines of the logs of all runs that have not ended, together; beyond it they are told when a run has ended."""
    max_queued: int = 1000
    """How many runs of a tenant may wait, unless the tenant has another number."""
    step_processes: int = 8
    """How many runs of steps are under way at once, each with a process that reads its inputs; more wait."""
    keep_step_runs: int = 100
    """How many ended runs of each step are kept, with their rows and logs: the newest."""
    drain_seconds: float = 30.0
    """How long running statements may go on after SIGTERM."""
    max_connections: int = 10_000
    """Open connections; one more is answered with 503 and closed."""
    max_connections_per_address: int = 5_000
    """Of one address, or one network of 64 bits; all clients of a proxy come from its address."""
    metrics: str | None = None
    """HOST:PORT at which Prometheus finds the metrics, without a key; None: nowhere."""
    metrics_tenants: int = 50
    """How many tenants, the busiest, metrics name; all others are one together."""
    access_log: str | None = None
    """A file that gets a line of JSON for each request, or "-" for standard error; None: no log."""
    traces: str | None = None
    """URL of a receiver of OpenTelemetry traces over OTLP/HTTP, such as http://127.0.0.1:4318/v1/traces."""
    traces_sampled: float = 1.0
    """The part of the requests that are traced."""
    store_away_seconds: float = 30.0
    """For how long synchronous runs are taken while the store does not answer; those that are to outlive it are not."""
    max_unstored_bytes: int = 64 * MIB
    """Of ends of runs that the store has not taken yet; beyond it new runs are refused with 503."""
    keep_runs_days: int = 30
    """How long runs stay on record after their end, with their rows and logs; their usage stays."""
    keep_audit_days: int = 36_500
    """How long rows of the audit log stay; as a rule for good."""
    limits: Limits = field(default_factory=Limits)
    """The most that any tenant's runs may use."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _RANGES.items():
            value, is_whole = getattr(self, name), not name.endswith("_seconds") and name not in _FRACTIONS
            kinds = (int,) if is_whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
                kind = "a whole number" if is_whole else "a number"
                raise ConfigError(f"server: {name} must be {kind} from {lowest:,} to {highest:,}, not {value!r}")
        for name in _TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) and not (value is None and name in _OPTIONAL):
                raise ConfigError(f"server: {name} must be a text, not {value!r}")
        if self.wall not in tuple(Mode):
            raise ConfigError(f"server: wall must be one of {', '.join(Mode)}, not {self.wall!r}")
        if not isinstance(self.limits, Limits):
            raise ConfigError("server: limits must be a table of limits: [limits] wall_seconds = 60")
        scheme, separator, _ = self.store.partition("://")
        if separator and scheme not in _STORES:
            raise ConfigError("server: store must be an SQLite file or postgresql://USER@HOST/DATABASE")
        if self.traces is not None and not self.traces.startswith(("http://", "https://")):
            raise ConfigError(f"server: traces must be a URL of http or https, not {self.traces!r}")
        _ = self.address, self.metrics_address

    @property
    def key_file(self) -> Path:
        """The file of sealing keys."""
        if self.secrets_key_file is not None:
            return Path(self.secrets_key_file)
        return Path(f"{resolve_url(self.store).database}.key")

    @property
    def address(self) -> tuple[str, int] | str:
        """Host and port of `listen`, or the path of a socket."""
        if self.listen.startswith(_UNIX):
            path = self.listen.removeprefix(_UNIX)
            if not 1 <= len(os.fsencode(path)) <= _MOST_PATH_BYTES or "\0" in path:
                raise ConfigError(
                    f"server: listen must have a path of at most {_MOST_PATH_BYTES} bytes behind {_UNIX!r}, "
                    f"not {path!r:.200}"
                )
            return path
        return _address("listen", self.listen, DEFAULT_PORT)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of `metrics`."""
        return None if self.metrics is None else _address("metrics", self.metrics, DEFAULT_METRICS_PORT)


def _address(name: str, text: str, example: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"server: {name} must be HOST:PORT, such as 127.0.0.1:{example}, not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def load_config(file: str | None, options: Mapping[str, Any]) -> ServerConfig:
    """The settings of a TOML file (None: none), and over them the options that are not None.

    Raises:
        ConfigError: the file cannot be read, has a name that there is not, or a value makes no sense.
    """
    found: dict[str, Any] = {} if file is None else _read(Path(file))
    known = {item.name for item in dataclasses.fields(ServerConfig)}
    for name in found:
        if name not in known:
            raise ConfigError(f"{file}: there is no setting {name!r:.80}, only {', '.join(sorted(known))}")
    limits = found.pop("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(f"{file}: limits must be a table: [limits]")
    found |= {name: value for name, value in options.items() if value is not None}
    return ServerConfig(**found, limits=_limits(limits))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    return {name: _size(value) if name.endswith("_bytes") else value for name, value in content.items()}


def _limits(content: Mapping[str, Any]) -> Limits:
    known = {item.name for item in dataclasses.fields(Limits)}
    for name in content:
        if name not in known:
            raise ConfigError(f"limits: there is no limit {name!r:.80}, only {', '.join(sorted(known))}")
    return Limits(**{name: _size(value) if name.endswith("_bytes") else value for name, value in content.items()})


def _size(value: Any) -> Any:
    """A size as bytes if it is one, such as "64 MiB"; else what it was, for its field to refuse."""
    size = parse_size(value) if isinstance(value, str) else None
    return value if size is None else size
