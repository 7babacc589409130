"""The migrations make exactly the tables that the code uses, from every older revision, with what is in them."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from wasmexec import Status
from wasmexec.store import Advance, RunStore
from wasmexec.store.database import Database, resolve_url, use_write_ahead_log
from wasmexec.store.migrate import MIGRATIONS, REVISIONS, upgrade
from wasmexec.store.tables import VERSION_TABLE, metadata

OLD_RUN = (
    "INSERT INTO wx_runs (id, step_id, state, status, status_name, started_at, ended_at, rows_in, rows_out, "
    "rows_failed, executions, log_records, log_bytes, log_dropped, row_errors, row_errors_dropped, "
    "checkpoint_version_before, trigger, process_host, process_scope, process_id, process_start) VALUES "
    "(3, 7, 'finished', 200, 'finished', '2026-01-02 03:04:05', '2026-01-02 03:04:06', 5, 4, 0, 1, 0, 0, 0, 0, 0, 0, "
    "'cli', 'h', '', 1, 1)"
)


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]


def test_the_migrated_tables_are_those_of_the_code(url: str, store: RunStore) -> None:
    engine = create_engine(resolve_url(url))
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_an_older_database_keeps_its_content(url: str) -> None:
    database = Database(resolve_url(url), busy_timeout_seconds=5, create=True)
    if database.is_sqlite:
        use_write_ahead_log(database)
    with database.write() as connection:
        upgrade(connection, REVISIONS[0])
        for statement in (
            "INSERT INTO wx_steps VALUES (7, 'old', '2026-01-02 03:04:05', 1)",
            "INSERT INTO wx_checkpoints VALUES (7, 1, '\"kept\"', 'run', 3, '2026-01-02 03:04:06')",
            OLD_RUN,
        ):
            connection.execute(text(statement))
        if not database.is_sqlite:
            connection.execute(text("SELECT setval('wx_runs_id_seq', 3), setval('wx_steps_id_seq', 7)"))
    database.close()
    with RunStore.open(url) as store:
        record = store.get_run(3)
        assert (record.step, record.status, record.rows_in, record.output_rows) == ("old", Status.FINISHED, 5, 0)
        assert record.started_at.isoformat() == "2026-01-02T03:04:05+00:00"
        assert not record.has_recording
        run = store.begin_run("old")
        assert run.checkpoint.value == "kept"
        store.append_output(run, [{"a": 1}])
        assert store.finish(run, status=Status.FINISHED, advance=Advance("new")).run_id == 4
    RunStore.open(url).close()
