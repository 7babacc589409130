"""The settings of the server: what a file and options say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasmexec import ConfigError
from wasmexec.server.config import ServerConfig, load_config


def test_options_take_precedence_over_the_file_and_sizes_have_units(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text(
        'listen = "[::1]:1"\nworkers = 3\nmax_body_bytes = "2 MiB"\n'
        '[limits]\nwall_seconds = 7\nmemory_bytes = "512 MiB"'
    )
    config = load_config(str(file), {"workers": 5, "store": None})
    assert (config.workers, config.address, config.max_body_bytes) == (5, ("::1", 1), 2 * 1024**2)
    assert (config.limits.wall_seconds, config.limits.memory_bytes) == (7, 512 * 1024**2)
    assert config.store == ServerConfig().store
    assert config.key_file == Path("wasmexec-server.sqlite3.key").absolute()
    assert load_config(str(file), {"secrets_key_file": "other.key"}).key_file == Path("other.key")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("worker = 1", "there is no setting 'worker', only "),
        ("workers = 0", "workers must be a whole number from 1 to 256, not 0"),
        ("workers = true", "workers must be a whole number from 1 to 256, not True"),
        ("workers = 1.5", "workers must be a whole number from 1 to 256, not 1.5"),
        ("body_seconds = inf", "body_seconds must be a number from 0.1 to 3,600, not inf"),
        ("body_seconds = nan", "body_seconds must be a number from 0.1 to 3,600, not nan"),
        ('max_body_bytes = "much"', "max_body_bytes must be a whole number from 1,024 to 1,073,741,824, not 'much'"),
        ('listen = "8700"', "listen must be HOST:PORT, such as 127.0.0.1:8700, not '8700'"),
        ('listen = "x:99999"', "listen must be HOST:PORT, such as 127.0.0.1:8700, not 'x:99999'"),
        ("store = 1", "store must be a text, not 1"),
        ('store = "mysql://x/y"', "store must be an SQLite file or postgresql://USER@HOST/DATABASE"),
        ("keep_runs_days = 0", "keep_runs_days must be a whole number from 1 to 36,500, not 0"),
        ('wall = "high"', "wall must be one of auto, required, off, not 'high'"),
        ("worker_memory_bytes = 1", "worker_memory_bytes must be a whole number from 268,435,456 to "),
        ("limits = 1", "limits must be a table: [limits]"),
        ("[limits]\nwall = 1", "there is no limit 'wall', only "),
        ("[limits]\nwall_seconds = -1", "wall_seconds must be from 0.001 to 604,800, not -1"),
        ("workers =", "server.toml is not TOML: "),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_what_does(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "server.toml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file), {})
    assert message in caught.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load_config(str(tmp_path / "none.toml"), {})
