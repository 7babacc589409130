"""Numbers 13, 14, 15 and 21: runs that are cancelled at random, and processes that are killed, for minutes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.server.context import Check, Context
from tests.server.chaos import cancels_and_kills, kills_under_load
from tests.server.kill_front import kill_front
from tests.store.postgres import postgres_server


def cancels_and_deaths(context: Context) -> Iterator[Check]:
    """Number 13."""
    with context.server() as server:
        outcome = cancels_and_kills(server, context.seconds(600), concurrency=5, parallel=200)
    held = "; ".join(outcome.complaints) or "0"
    yield Check(
        number="13", what=f"concurrency 5, {outcome.cancels:,} cancels, {outcome.kills} kills: most that executed",
        measured=str(outcome.most_executing), target="<= 5", met=outcome.most_executing <= 5,
    )  # fmt: skip
    yield Check(
        number="13", what=f"  of {len(outcome.accepted):,} runs, held at the end", measured=held, target="0",
        met=not outcome.complaints and sum(outcome.statuses.values()) == len(outcome.accepted),
    )  # fmt: skip


def workers_that_are_killed(context: Context) -> Iterator[Check]:
    """Number 14."""
    with context.server() as server:
        outcome = kills_under_load(server, context.seconds(300))
    lost = len(outcome.accepted) - sum(outcome.statuses.values())
    yield Check(
        number="14", what=f"{outcome.kills} kills of workers: lost of {len(outcome.accepted):,} acknowledged runs",
        measured=str(lost), target="0", met=lost == 0 and not outcome.complaints,
    )  # fmt: skip
    yield Check(
        number="14", what="  with effects, run twice", measured=str(len(outcome.sent_twice)), target="0",
        met=not outcome.sent_twice,
    )  # fmt: skip


def fronts_that_are_killed(context: Context) -> Iterator[Check]:
    """Numbers 15 and 21: no run is lost or ends twice, and usage is the sum of the records."""
    kills = 20 if context.quick else 200
    with postgres_server() as postgres:
        for name, store in (("SQLite", "store.sqlite3"), ("PostgreSQL", postgres.new_database())):
            folder = context.folder / f"kills-{name}"
            folder.mkdir()
            what = f"{kills} x kill -9 of the front, {name}: acknowledged runs that end once, usage their sum"
            try:
                found = kill_front(folder, store, kills)
            except AssertionError as error:
                yield Check(number="15", what=what, measured=str(error)[:200], target="all", met=False)
            else:
                yield Check(
                    number="15", what=what, measured=f"{found.accepted + found.doubtful:,} of {found.recorded:,}",
                    target="all", met=found.recorded == found.accepted + found.doubtful,
                )  # fmt: skip
