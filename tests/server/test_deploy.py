"""What an operator installs: the example of the settings, the options, the unit of systemd, the container."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.reading import ROOT

from wasmexec import Limits
from wasmexec.cli import server_options
from wasmexec.server.config import ServerConfig, load_config

EXAMPLE = ROOT / "deploy" / "server.toml"
UNIT = ROOT / "deploy" / "wasmexec.service"
CONTAINER = ROOT / "deploy" / "Containerfile"
_COMMENTED = re.compile(r"^# (?P<name>[a-z_]+) = \S", re.MULTILINE)
SETTINGS = {item.name for item in dataclasses.fields(ServerConfig)}


def serve(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wasmexec", "serve", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_example_has_every_setting_and_every_limit_with_its_default() -> None:
    text = EXAMPLE.read_text("utf-8")
    content = tomllib.loads(text)
    commented = set(_COMMENTED.findall(text))
    assert not commented & content.keys()
    assert commented | content.keys() == SETTINGS
    assert content["limits"].keys() == {item.name for item in dataclasses.fields(Limits)}
    assert load_config(str(EXAMPLE), {}) == ServerConfig()


def test_the_commented_settings_of_the_example_make_sense(tmp_path: Path) -> None:
    text = _COMMENTED.sub(lambda found: found[0].removeprefix("# "), EXAMPLE.read_text("utf-8"))
    (tmp_path / "all.toml").write_text(text)
    config = load_config(str(tmp_path / "all.toml"), {})
    assert (config.workers, config.metrics_address) == (4, ("127.0.0.1", 9700))


def test_help_has_an_option_with_a_text_for_every_setting(tmp_path: Path) -> None:
    answer = serve("--help", folder=tmp_path)
    assert answer.returncode == 0
    said = " ".join(answer.stdout.split())
    for name in SETTINGS - server_options.IN_THE_FILE:
        assert re.search(rf"--{name.replace('_', '-')} \S+ [A-Zac-z]", said), f"no text for --{name}"
    assert "--max-body-bytes SIZE The longest body of a request. [16 MiB]" in said


def test_an_option_takes_precedence_and_a_size_has_a_unit(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("workers = 300")
    right = serve(
        "--config", "server.toml", "--workers", "2", "--max-body-bytes", "1MiB", "--check-config", folder=tmp_path
    )
    assert (right.returncode, right.stderr) == (0, "the settings are right\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "server.toml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "server.toml"], "server: workers must be a whole number from 1 to 256, not 300"),
        (["--access-log", "none/access.log"], "server: access_log: none/access.log cannot be written"),
        (["--store", "none/store"], "server: store: none/store cannot be written"),
        (["--metrics", "9700"], "server: metrics must be HOST:PORT, such as 127.0.0.1:9700, not '9700'"),
        (["--traces", "ftp://x"], "server: traces must be a URL of http or https, not 'ftp://x'"),
        (["--traces-sampled", "2"], "server: traces_sampled must be a number from 0 to 1, not 2.0"),
        (["--image", "none.json"], "none.json"),
    ],
)
def test_settings_that_are_wrong_are_told_before_anything_starts(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "server.toml").write_text("workers = 300")
    answer = serve(*arguments, "--check-config", folder=tmp_path)
    assert answer.returncode == 2
    assert message in answer.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    # Its programs are not installed here: any that can be run.
    unit = tmp_path / "wasmexec.service"
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/wasmexec/bin/wasmexec", "/bin/true"))
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (answer.returncode, answer.stderr.strip()) == (0, "")
    # The control.
    unit.write_text(unit.read_text("utf-8").replace("Restart=on-failure", "Restart=perhaps"))
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "perhaps" in answer.stderr


def test_the_unit_gives_the_server_more_time_than_it_takes_to_drain() -> None:
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > ServerConfig().drain_seconds + 10


def test_the_container_copies_only_what_is_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINER.read_text("utf-8"), re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line
