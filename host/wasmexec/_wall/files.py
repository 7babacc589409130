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
    files = [(path, READ | RUN) for path in _programs()]
    files += [(path, READ) for path in (*_LIBRARIES, *_AUTHORITIES, *_own_authorities(), _PROCESSORS)]
    files += [(path, USE_DEVICE) for path in _DEVICES]
    # Beside the image it is noted that its files were read; the filter of system calls ends that.
    return [*files, (_PROCESSES, READ_ONE), (str(image), REPLACE_FILES)]


def _programs() -> Iterator[str]:
    """Python, what it imports, and whatever it has mapped by now."""
    package = Path(__file__).resolve().parents[1]
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(package), os.path.realpath(sys.executable), "/lib64"}
    here = os.path.realpath(os.getcwd())
    found |= {entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) != here}
    found |= {str(Path(name).parent) for name in _mapped()}
    yield from sorted(found)


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
