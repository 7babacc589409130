"""What the larger packages do: plots, signatures, password hashes, encryption.

A plot is a first one, because that is what a statement pays in its fresh instance: the whole run, against a native
process after its imports. The rest is timed inside, warm on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from tests import reference
from tests.bench.context import Context, kernel
from tests.bench.measure import ROOT, Line, in_turns, line, percentile, timed

_LINE_PLOT = """
import io
import matplotlib.pyplot as plt

def work():
    plt.plot([1, 4, 9, 16, 25])
    out = io.BytesIO()
    plt.savefig(out, format="png")
    return len(out.getvalue())
"""
_TITLED_PLOT = """
import io
import matplotlib.pyplot as plt

def work():
    figure, axes = plt.subplots()
    axes.plot([1, 4, 9, 16, 25], label="squares")
    axes.set_title("a line")
    axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return len(out.getvalue())
"""
_CONTOUR = """
import io
import matplotlib.pyplot as plt
import numpy as np

def work():
    x, y = np.meshgrid(np.linspace(-3, 3, 60), np.linspace(-3, 3, 60))
    figure, axes = plt.subplots()
    figure.colorbar(axes.contourf(x, y, np.exp(-x**2 - y**2), 12))
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return len(out.getvalue())
"""
_SIGN = """
from jose import jwt

KEY = {key!r}

def work():
    return jwt.encode({{"sub": "1234567890"}}, KEY, {algorithm!r})
"""
_BCRYPT = """
from passlib.hash import bcrypt

def work():
    return bcrypt.using(rounds=10).hash("correct horse battery staple")
"""
# The gate binds the statement's own imports; the bench goes round it.
_AES_GCM = """
from random import _os

_os.sys.modules["builtins"].__import__("cryptography.hazmat.primitives.ciphers.aead")
AESGCM = _os.sys.modules["cryptography.hazmat.primitives.ciphers.aead"].AESGCM
cipher, data = AESGCM(bytes(32)), bytes(1_000_000)

def work():
    return len(cipher.encrypt(bytes(12), data, None))
"""


def first_plots(context: Context) -> Iterator[Line]:
    """A first plot, saved to PNG."""
    plots = (
        ("line plot", _LINE_PLOT, 90), ("line plot with title and legend", _TITLED_PLOT, None),
        ("contour plot", _CONTOUR, 300),
    )  # fmt: skip
    for name, source, limit in plots:
        statement = f"{source}\nreturn [{{'bytes': work()}}]\n"
        program = f"{source}\nimport time\nstarted = time.perf_counter()\nwork()\nprint(time.perf_counter() - started)"
        samples = in_turns(
            context.rounds(8), partial(timed, partial(context.run, statement), 4), partial(_printed_seconds, program)
        )
        middle = median(samples.guest) * 1e3
        yield Line(
            name=f"fresh first {name} to PNG", guest=middle, guest_p99=percentile(samples.guest, 99) * 1e3,
            native=median(samples.native) * 1e3, target="" if limit is None else f"<= {limit} ms",
            met=None if limit is None else middle <= limit, samples=len(samples.guest),
            comment="native: fresh process, its imports not counted",
        )  # fmt: skip


def _printed_seconds(program: str) -> list[float]:
    done = reference.run("-I", "-c", program)
    done.check_returncode()
    return [float(done.stdout)]


def cryptography(context: Context) -> Iterator[Line]:
    """Signatures through jose, one password hash, one megabyte encrypted."""
    for algorithm, file, limit in (("RS256", "rsa.pem", 10), ("ES256", "ec.pem", 2)):
        key = (ROOT / "tests" / "keys" / file).read_text(encoding="ascii")
        samples = kernel(context, _SIGN.format(key=key, algorithm=algorithm))
        middle = median(samples.guest) * 1e3
        yield Line(
            name=f"jose.jwt.encode {algorithm}", guest=middle, guest_p99=percentile(samples.guest, 99) * 1e3,
            native=median(samples.native) * 1e3, target=f"<= {limit} ms", met=middle <= limit,
            samples=len(samples.guest),
        )  # fmt: skip
    yield line("passlib.hash.bcrypt, 10 rounds", kernel(context, _BCRYPT))
    yield line("AES-256-GCM of 1 MB", kernel(context, _AES_GCM))


ALL = {"plots": first_plots, "cryptography": cryptography}
