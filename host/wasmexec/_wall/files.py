"""The files that a worker process needs: Python, its libraries, the image and the authorities of TLS; nothing else."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from .landlock import READ, READ_ONE, REPLACE_FILES, RUN, USE_DEVICE

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.conf",
              "/etc/ld.so.conf.d")  # fmt: skip
# Not their folder, which has private keys beside them.
_AUTHORITIES = ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf",
                "/etc/pki/ca-trust", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
                "/usr/lib/ssl/openssl.cnf")  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
# How much memory a child has taken, and which pages are a memory's own, is told there and nowhere else.
_PROCESSES = "/proc"
_PROCESSORS = "/sys/devices/system/cpu"


def files_needed(image: Path) -> list[tuple[str, int]]:
    """Paths, and what may be done below each; `image` is the folder of the image."""
    mapped = _mapped()
    files = [(path, READ) for path in _modules(mapped)]
    # A program is run by the loader, which is one, too.
    loaders = {name for name in mapped if Path(name).name.startswith(("ld-", "ld.", "ld64"))}
    files += [(path, RUN | READ) for path in sorted({os.path.realpath(sys.executable), *loaders})]
    files += [(path, READ) for path in (*_LIBRARIES, *_AUTHORITIES, *_own_authorities(), _PROCESSORS)]
    files += [(path, USE_DEVICE) for path in _DEVICES]
    # Beside the image it is noted that its files were read; the filter of system calls ends that.
    return [*files, (_PROCESSES, READ_ONE), (str(image), REPLACE_FILES)]


def _modules(mapped: set[str]) -> list[str]:
    """Where Python, what it imports and whatever it has mapped by now lie."""
    package, here = Path(__file__).resolve().parents[1], os.path.realpath(os.getcwd())
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(package)}
    found |= {entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) != here}
    return sorted(found | {str(Path(name).parent) for name in mapped})


def _mapped() -> set[str]:
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    fields = (line.split(None, 5) for line in lines)
    return {line[5] for line in fields if len(line) == 6 and "x" in line[1] and line[5].startswith("/")}


def _own_authorities() -> Iterator[str]:
    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, paths.capath, os.environ.get("SSL_CERT_FILE")):
        if path:
            yield path
    yield from filter(None, os.environ.get("SSL_CERT_DIR", "").split(os.pathsep))
