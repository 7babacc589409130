"""Results of finished shards, kept so that an interrupted run goes on where it stopped."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.conformance.bundle import Shard

from wasmbuild.cache import write_atomically


@dataclass(frozen=True)
class Outcome:
    """How one test ended: passed, failed, error, skipped, xfailed, xpassed, crashed (the process died), timeout."""

    name: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


@dataclass
class ShardResult:
    """Everything a shard reported: tests in the order in which they ran, and files that could not be collected."""

    tests: list[Outcome] = field(default_factory=list)
    collected: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """The results of one side (one guest image, or one native environment)."""

    root: Path

    def load(self, shard: Shard) -> ShardResult | None:
        """The result of a finished shard; None if it has not run yet, or with other tests."""
        try:
            loaded = json.loads(self._file(shard).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return ShardResult(
            tests=[Outcome(**item) for item in loaded["tests"]],
            collected=[Outcome(**item) for item in loaded["collected"]],
            seconds=loaded["seconds"],
        )

    def save(self, shard: Shard, result: ShardResult) -> None:
        file = self._file(shard)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(asdict(result)).encode())

    def forget(self, shard: Shard) -> None:
        self._file(shard).unlink(missing_ok=True)

    def _file(self, shard: Shard) -> Path:
        return self.root / shard.suite.name / f"{shard.name}-{shard.stamp[:12]}.json"
