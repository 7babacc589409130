"""What is sealed opens in its place only, with its key only; the key file is safe from others and can be rotated."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from tests.store.postgres import PostgresServer, postgres_server

from wasmexec.errors import ConfigError
from wasmexec.secret import Secret
from wasmexec.server.storage.sealing import open_vault
from wasmexec.server.storage.tables import metadata, runs, sealing_keys, secrets
from wasmexec.server.tenants.secrets import StoredSecret, seal_secret
from wasmexec.server.vault.key_file import SealingKey, add_key, make_key_file, read_key_file
from wasmexec.server.vault.places import Place, SealError, input_place, order_place
from wasmexec.server.vault.vault import Vault
from wasmexec.store.database import Database, resolve_url

PLACE = Place("acme", "secret", "stripe", "hosts")
VALUE = "correct-horse-battery-9"


def vault() -> Vault:
    return Vault([SealingKey(os.urandom(32))])


@pytest.mark.parametrize("size", [0, 1, 1000, 65_535, 65_536, 65_537, 300_000])
def test_what_was_sealed_opens_whole_in_its_place(size: int) -> None:
    ours, data = vault(), os.urandom(size)
    sealed = ours.seal(data, PLACE)
    assert ours.open(sealed, PLACE) == data
    assert len(sealed) == size + 53
    assert size < 16 or data[:16] not in sealed
    assert ours.seal(data, PLACE) != sealed


def test_what_an_older_server_has_sealed_opens() -> None:
    sealed = (
        "0130fa4ff59a66e0862eb3683714d88eb1c290264584773924f132e46af4c5f44766e779aa0ca4d0761a45324ba9c2b9acfd53cdbebf65"
        "9a46a1"
    )
    assert Vault([SealingKey(bytes(range(32)))]).open(bytes.fromhex(sealed), PLACE) == b"value"


@pytest.mark.parametrize("part", Place._fields)
def test_what_was_sealed_for_one_place_opens_in_no_other(part: str) -> None:
    ours = vault()
    sealed = ours.seal(b"value", PLACE)
    with pytest.raises(SealError, match="was changed, or is in the place of another"):
        ours.open(sealed, PLACE._replace(**{part: "other"}))
    # Parts do not run into each other.
    with pytest.raises(SealError):
        ours.open(ours.seal(b"value", Place("a", "b", "c")), Place("ab", "", "c"))
    assert ours.open(sealed, PLACE) == b"value"


def test_every_bit_counts() -> None:
    ours = vault()
    sealed = ours.seal(b"value", PLACE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(SealError):
            ours.open(bytes(changed), PLACE)
    for wrong in (b"", sealed[:-1], sealed[1:], sealed + b"x", b'{"statement": "return []"}' * 4):
        with pytest.raises(SealError):
            ours.open(wrong, PLACE)


def test_a_key_that_is_not_there_is_named_by_its_id() -> None:
    ours, theirs = vault(), vault()
    with pytest.raises(SealError, match=f"sealed with the key {theirs.key_id.hex()}, which is not there"):
        ours.open(theirs.seal(b"value", PLACE), PLACE)


def test_a_key_file_is_for_its_owner_and_has_256_random_bits(tmp_path: Path) -> None:
    files = [tmp_path / "one.key", tmp_path / "two.key"]
    for file in files:
        make_key_file(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [one], [two] = (read_key_file(file) for file in files)
    assert len(one.secret) == 32
    assert one != two
    assert "secret" not in repr(one)
    # It is not made twice, and nothing is left beside it.
    with pytest.raises(ConfigError, match="cannot be made: File exists"):
        make_key_file(files[0])
    assert read_key_file(files[0]) == (one,)
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "server.key"
    make_key_file(file)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"is open to others \\(mode {mode:04o}\\): chmod 600 {file}"):
        read_key_file(file)
    file.chmod(0o400)
    assert len(read_key_file(file)) == 1


def test_a_key_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "server.key"
    make_key_file(file)
    real = os.fstat
    owner = 12_345

    def fstat(number: int) -> os.stat_result:
        found = list(real(number))
        found[stat.ST_UID] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(ConfigError, match=f"belongs to user 12345, not to the server's, {os.geteuid()}"):
        read_key_file(file)
    owner = os.geteuid()
    assert len(read_key_file(file)) == 1


def test_what_is_not_a_key_file_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    good = "A" * 43 + "="
    file = tmp_path / "server.key"
    wrong = {
        "": "must have 1 to 100 keys, each once; it has 0",
        "# only a remark\n": "it has 0",
        f"{good}\n{good}\n": "it has 2",
        "hunter22-is-no-key": "line 1 is not a key of 32 bytes in Base64",
        f"\n{good}\n{good[:-8]}\n": "line 3 is not a key",
        "A" * 70_000: "more than 65,536 bytes",
    }
    for content, message in wrong.items():
        file.write_text(content)
        file.chmod(0o600)
        with pytest.raises(ConfigError) as caught:
            read_key_file(file)
        assert message in caught.value.message
        assert "hunter22" not in caught.value.message
        assert good[:-8] not in caught.value.message
    file.write_text(f"# a remark\n\n{good}\n")
    assert len(read_key_file(file)) == 1
    for other, message in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(ConfigError, match=message):
            read_key_file(other)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="is not a file"):
        read_key_file(tmp_path / "pipe")


def test_a_new_key_comes_first_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / "server.key", tmp_path / "link"
    make_key_file(file)
    link.symlink_to(file)
    [old] = read_key_file(file)
    new, kept = add_key(link)
    assert kept == old
    assert read_key_file(file) == (new, old)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="is open to others"):
        add_key(file)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    url = tmp_path / "store.sqlite3" if server is None else server.new_database()
    database = Database(resolve_url(url), busy_timeout_seconds=5, create=True)
    with database.write() as connection:
        metadata.create_all(connection)
    yield database
    database.close()


def add_run(database: Database, order: bytes, data: bytes) -> None:
    """One that waits."""
    with database.write() as connection:
        connection.execute(insert(runs).values(
            id="run_1", tenant="acme", key_id="k", state="queued", may_have_effects=0, created_at=1.0, attempts=0,
            wall_seconds=1.0, has_grants=0, order=order, input=data,
        ))  # fmt: skip


def add_secret(database: Database, ours: Vault) -> None:
    sealed = seal_secret(ours, "acme", "stripe", Secret(VALUE, hosts=["api.example.com"]), 1.0)
    with database.write() as connection:
        connection.execute(insert(secrets).values({column.name: getattr(sealed, column.name) for column in secrets.c}))


def opened(database: Database, ours: Vault) -> tuple[bytes, bytes, str]:
    """Order and input of the run, and the value of the secret."""
    with database.read() as connection:
        run = connection.execute(select(runs)).one()
        row = connection.execute(select(secrets)).one()
    return (
        ours.open(run.order, order_place(run.tenant, run.id)),
        ours.open(run.input, input_place(run.tenant, run.id)),
        StoredSecret(vault=ours, **row._mapping).open().value,
    )


def test_a_store_takes_no_other_key_than_its_own(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "store.key"
    first = open_vault(database, file).vault
    assert open_vault(database, file).vault.key_id == first.key_id
    kept = file.rename(tmp_path / "kept")
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        open_vault(database, file)
    # No new one is made, for it would open nothing.
    assert not file.exists()
    make_key_file(file)
    with pytest.raises(ConfigError) as caught:
        open_vault(database, file)
    assert f"the store is sealed with the key {first.key_id.hex()}, which {file} does not have" in caught.value.message
    assert open_vault(database, kept).vault.key_id == first.key_id


def test_after_a_rotation_everything_opens_with_the_new_key_alone(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "store.key"
    first = open_vault(database, file).vault
    add_run(
        database, *(first.seal(b, place("acme", "run_1")) for b, place in ((b"o", order_place), (b"i", input_place)))
    )
    add_secret(database, first)
    add_key(file)
    assert caplog.records == []
    second = open_vault(database, file).vault
    assert second.key_id != first.key_id
    assert opened(database, second) == (b"o", b"i", VALUE)
    assert f"the key {first.key_id.hex()} seals nothing any more: its line can be taken out of {file}" in caplog.text
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:2]))
    alone = open_vault(database, file).vault
    assert opened(database, alone) == (b"o", b"i", VALUE)
    with pytest.raises(SealError):
        opened(database, first)
    # A key that comes back is in use again.
    file.write_text("\n".join([lines[0], lines[2], lines[1]]))
    assert opened(database, open_vault(database, file).vault) == (b"o", b"i", VALUE)
    with database.read() as connection:
        used = connection.execute(select(sealing_keys.c.id).where(sealing_keys.c.retired_at.is_(None))).scalars().all()
    assert used == [first.key_id.hex()]


def test_what_waits_in_a_store_from_before_is_sealed_once(database: Database, tmp_path: Path) -> None:
    add_run(database, b'{"secrets": 1}', b"null")
    ours = open_vault(database, tmp_path / "store.key").vault
    add_secret(database, ours)
    for _ in range(2):
        assert opened(database, ours) == (b'{"secrets": 1}', b"null", VALUE)
        ours = open_vault(database, tmp_path / "store.key").vault
    # SECURITY: later nothing is taken as it is any more.
    with database.write() as connection:
        connection.execute(update(runs).values(order=b'{"secrets": 2}'))
    ours = open_vault(database, tmp_path / "store.key").vault
    with pytest.raises(SealError, match="run order run_1 is not sealed"):
        opened(database, ours)


def test_what_does_not_open_does_not_hold_up_a_rotation(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "store.key"
    first = open_vault(database, file).vault
    add_run(database, b"nothing that was sealed", first.seal(b"i", input_place("acme", "run_1")))
    add_secret(database, first)
    add_key(file)
    second = open_vault(database, file).vault
    assert "run order run_1 is not sealed" in caplog.text
    with pytest.raises(SealError, match="run order run_1 is not sealed"):
        opened(database, second)
    with database.write() as connection:
        connection.execute(update(runs).values(order=second.seal(b"o", order_place("acme", "run_1"))))
    assert opened(database, second) == (b"o", b"i", VALUE)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wx_server_secrets SET tenant = 'globex'",
        "UPDATE wx_server_secrets SET name = 'other'",
        """UPDATE wx_server_secrets SET hosts = '["evil.example.com"]'""",
        """UPDATE wx_server_secrets SET also_in = '["url"]'""",
        "UPDATE wx_server_runs SET tenant = 'globex'",
        "UPDATE wx_server_runs SET id = 'run_2'",
        'UPDATE wx_server_runs SET "order" = input',
        'UPDATE wx_server_runs SET input = "order"',
    ],
)
def test_a_row_that_is_moved_or_changed_does_not_open(database: Database, tmp_path: Path, change: str) -> None:
    ours = open_vault(database, tmp_path / "store.key").vault
    places: list[Callable[[str, str], Place]] = [order_place, input_place]
    add_run(database, *(ours.seal(b"x", place("acme", "run_1")) for place in places))
    add_secret(database, ours)
    assert opened(database, ours) == (b"x", b"x", VALUE)
    with database.write() as connection:
        assert connection.execute(text(change)).rowcount == 1
    with pytest.raises(SealError, match="was changed, or is in the place of another"):
        opened(database, ours)
