"""The native reference: CPython 3.11 with the guest's package versions, which answers the same on every machine.

numpy and OpenBLAS choose their code by the processor: AVX-512 gives other warnings and other last digits than AVX2. So
what may be used is named here, as are threads, locale, time zone, home and scratch folder; nothing else of the caller's
environment gets through. Every native run of the tests, the gallery, `make conformance` and `make bench` goes by it.
"""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv-native" / "bin" / "python"
FOLDER = ROOT / "build" / "native"
"""Home and scratch folder of runs that bring none: matplotlib keeps its list of fonts there."""

CPU_FEATURES = ("SSSE3", "SSE41", "POPCNT", "SSE42", "AVX", "F16C", "FMA3", "AVX2")
"""What numpy may use beyond its baseline, by its own names."""
DISABLED_CPU_FEATURES = (
    "AVX512F", "AVX512CD", "AVX512_KNL", "AVX512_KNM", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL",
)  # fmt: skip
"""All others that numpy 1.25 has code for."""
OPENBLAS_KERNEL = "Haswell"


def python() -> Path:
    """The interpreter.

    Raises: FileNotFoundError: it is not there.
    """
    if not PYTHON.exists():
        raise FileNotFoundError(f"the native environment {PYTHON.parents[1]} is missing: run `make native-env`")
    return PYTHON


def environment(folder: Path = FOLDER) -> dict[str, str]:
    """The environment of a native process; `folder`, made if need be, becomes its home and scratch folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "NPY_DISABLE_CPU_FEATURES": " ".join(DISABLED_CPU_FEATURES),
        "OPENBLAS_CORETYPE": OPENBLAS_KERNEL,
        "OPENBLAS_NUM_THREADS": "1",
    }


def run(
    *arguments: str | Path,
    standard_input: str | None = None,
    seconds: float = 300.0,
    folder: Path = FOLDER,
    more: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these arguments in `folder`; `more` is added to its environment.

    Raises:
        FileNotFoundError: there is no native environment.
        subprocess.TimeoutExpired: it took longer than `seconds`.
    """  # fmt: skip
    command: Sequence[str | Path] = [python(), *arguments]
    return subprocess.run(
        command, input=standard_input, capture_output=True, text=True, timeout=seconds, check=False, cwd=folder,
        env={**environment(folder), **(more or {})},
    )  # fmt: skip


def start(*arguments: str | Path, folder: Path = FOLDER) -> subprocess.Popen[str]:
    """Start the interpreter with these arguments in `folder`, to be asked through pipes; its errors are dropped.

    Raises: FileNotFoundError: there is no native environment.
    """
    command: Sequence[str | Path] = [python(), *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
        env=environment(folder), start_new_session=True,
    )  # fmt: skip


def stamp() -> str:
    """Names what the answers of the reference depend on besides the packages: the environment without its folders."""
    settings = [f"{name}={value}" for name, value in environment().items() if str(FOLDER) not in value]
    return hashlib.sha256("\n".join(settings).encode()).hexdigest()[:8]


def description() -> str:
    """What the reference may use, for reports."""
    return f"numpy up to {CPU_FEATURES[-1]}, OpenBLAS {OPENBLAS_KERNEL}, one thread, C.UTF-8, UTC"
