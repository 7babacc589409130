"""`wasmexec image`: building, describing and verifying guest images."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import click

from ..errors import ImageError
from . import outputs
from .streams import emit
from .terminal import clean, fail, note, say

if TYPE_CHECKING:
    from ..image import Image

_FAILED = 1


@click.group(
    "image",
    short_help="Build, describe and verify guest images.",
    epilog="""\
Exit codes:

\b
  0  done
  1  the build failed, or verifying found something
  2  wrong usage, or there is no image
  3  stopped by Ctrl-C (what is finished is kept)
""",
)
def command() -> None:
    """Build, describe and verify guest images: core (CPython, pure-Python packages) and full (numpy and pandas, too).

    Images live in the user's cache folder, or where WASMEXEC_CACHE points.
    """


@command.command("build", short_help="Build an image, or bring it up to date.")
@click.argument("name", default="full", metavar="[core|full]")
def build(name: str) -> int:
    """Bring an image up to date: what is not in the cache is fetched and built, an unchanged image is left alone."""
    image, errors, progress = (_wasmbuild(module) for module in ("image", "errors", "progress"))
    if name not in image.NAMES:
        raise click.UsageError(f"there is no image {name!r}; there are {' and '.join(image.NAMES)}")
    before = image.load_manifest(name)
    display = progress.progress_for(workers=os.cpu_count() or 1)
    try:
        manifest = image.build(name, progress=display)
    except errors.StageFailed as error:
        if error.tail:
            say(clean(error.tail))
        fail(str(error))
        if error.log is not None:
            note(f"full log: {error.log}")
        return _FAILED
    except errors.BuildError as error:
        fail(str(error))
        return _FAILED
    finally:
        display.close()
    if before is not None and before.stamp == manifest.stamp:
        say(f"image {name} is up to date")
    else:
        say(f"image {name} is built: {manifest.size / 1e6:.0f} MB in {manifest.build_seconds:.0f} s")
    return 0


@command.command("info", short_help="Describe the built images.")
@click.argument("name", required=False, metavar="[core|full|FILE]")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def info(name: str | None, form: str) -> int:
    """Describe the built images, or one of them."""
    from ..image import DEFAULT_NAMES, cache_folder, find_image

    images: list[Image] = []
    if name is not None:
        images.append(find_image(name))
    else:
        for default in DEFAULT_NAMES:
            try:
                images.append(find_image(default))
            except ImageError as error:
                if (cache_folder() / "images" / f"{default}.json").exists():
                    fail(error.message)
        if not images:
            find_image()  # raises with the command that builds one
    if form == "json":
        emit(outputs.to_json([_fields(image) for image in images], indent=True) + "\n")
        return 0
    default_image = None if name is not None else find_image()
    for image in images:
        standard = " (the default)" if default_image is not None and image.manifest == default_image.manifest else ""
        emit(f"{image.name}{standard}\n")
        for title, value in _fields(image).items():
            text = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
            if title not in ("name", "modules"):
                emit(f"  {title.replace('_', ' '):<14} {text}\n")
        emit(f"  {'modules':<14} {len(image.modules)} top-level names\n")
    return 0


@command.command("verify", short_help="Check everything about a built image.")
@click.argument("name", default="full", metavar="[core|full]")
def verify(name: str) -> int:
    """Check a built image: its hash, imports, modules, a smoke run per recipe and a sweep over every C type."""
    from ..image import find_image

    find_image(name).verify_hash()
    image, errors = (_wasmbuild(module) for module in ("image", "errors"))
    try:
        findings = image.verify(name, _show_step)
    except errors.BuildError as error:
        fail(str(error))
        return _FAILED
    for finding in findings:
        emit(clean(f"{finding.step}: {finding.subject}: {finding.message}") + "\n")
        for detail in finding.details.splitlines():
            emit(clean(f"    {detail}") + "\n")
    say(f"image {name}: {len(findings)} finding{'' if len(findings) == 1 else 's'}")
    return _FAILED if findings else 0


def _show_step(step: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{step}: {done} of {total}\x1b[K" + ("\n" if done == total else ""))
        sys.stderr.flush()
    elif done == total:
        say(f"{step}: {total} done")


def _wasmbuild(module: str) -> ModuleType:
    try:
        return importlib.import_module(f"wasmbuild.{module}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("wasmbuild"):
            fix = "building needs a checkout of the project: install it with pip install --editable '.[build]'"
        else:
            fix = f"building needs {error.name}: pip install 'wasmexec[build]'"
        raise click.UsageError(fix) from None


def _fields(image: Image) -> dict[str, object]:
    return {
        "name": image.name,
        "code": str(image.code.path),
        "memory": str(image.memory.path),
        "size": f"{image.code.size / 1e6:.1f} MB code, {image.memory.size / 1024**2:.1f} MiB memory",
        "wasmtime": image.wasmtime,
        "built": image.built,
        "build_seconds": image.build_seconds,
        "packages": image.packages,
        "modules": list(image.modules),
    }
