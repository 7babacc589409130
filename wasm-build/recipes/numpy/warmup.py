"""Runs in the guest before the snapshot: typical numpy work, often enough for CPython to specialise its Python half.

CPython 3.11 specialises a function's bytecode after eight calls; twelve leave room for the second attempt.
"""

import io
import warnings

import numpy as np

TIMES = 12
UNARY = """
    exp log log2 log10 log1p expm1 sqrt sin cos tan arcsin arccos arctan sinh cosh tanh floor ceil
    rint abs sign square negative reciprocal degrees cbrt
"""


def drop(*values):
    """Takes results and forgets them: only the work counts."""


def arrays():
    a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    i = np.arange(6).reshape(2, 3)
    for values in (a, i):
        drop(values.sum(), values.mean(axis=0), values.std(), values.var(ddof=1), values.min(axis=1), values.max())
        drop(values.prod(), values.cumsum(), values.argmax(), values.any(), values.all(), values.round(1))
        drop(values.T.copy(), values.tolist())
    drop(np.concatenate([a, a]), np.vstack([a, a]), np.hstack([a, a]), np.stack([a, a], axis=-1))
    drop(np.column_stack([a[0], a[1]]), np.where(a > 2, a, 0), np.clip(a, 1, 3), np.sort(a, axis=None))
    drop(np.argsort(a[0]), np.unique(i, return_counts=True), np.median(a), np.percentile(a, [25, 50]))
    drop(np.quantile(a, 0.9), np.average(a, weights=a), np.nanmean(a), np.nansum(a), np.linspace(0, 1, 5))
    drop(np.zeros((2, 2)), np.ones(3), np.full(3, 7), np.eye(2), np.empty(2), np.zeros_like(a), np.dot(a, a.T))
    drop(a @ a.T, np.outer(a[0], a[1]), np.cross(a[0], a[1]), np.einsum("ij,kj->ik", a, a), np.tensordot(a, a))
    drop(np.isnan(a), np.isfinite(a), np.isclose(a, a), np.allclose(a, a), np.array_equal(a, a))
    drop(np.searchsorted(a[0], 2.5), np.diff(a), np.gradient(a[0]), np.histogram(a, bins=3), np.bincount(i.ravel()))
    drop(np.digitize(a[0], [1, 2]), np.interp(2, a[0], a[1]), np.repeat(a, 2), np.tile(a, 2), np.roll(a, 1))
    drop(np.flip(a), np.meshgrid(a[0], a[1]), np.ravel(a), np.squeeze(a), np.expand_dims(a, 0), np.isin(i, [1, 2]))
    drop(np.intersect1d(i, [1, 2]), np.union1d(i, [9]), np.setdiff1d(i, [1]), np.cumprod(a[0]), np.trapz(a[0]))
    drop(np.nonzero(a), np.argwhere(a > 1), np.split(a, 2), np.array_split(a, 2), np.delete(a, 0), np.insert(a, 0, 1))
    drop(np.append(a, 1), np.pad(a, 1), np.corrcoef(a), np.cov(a), np.polyfit(a[0], a[1], 1))
    drop(np.polyval([1, 2], a[0]), np.convolve(a[0], a[1]), np.apply_along_axis(sum, 0, a), np.vectorize(abs)(a))
    drop(np.select([a > 2], [a]), np.triu(a), np.trace(a), np.ptp(a), np.nan_to_num(a), repr(a), str(i))
    drop(f"{a[0, 0]:.2f}", a.astype("i8"), a.astype(str), i.astype("f4"), a[a > 2], a[:, 1], a[[0, 1], [1, 2]])
    drop(a[..., None])


def functions():
    a = np.linspace(0.1, 0.9, 64)
    for kind in ("f8", "f4"):
        x = a.astype(kind)
        for name in UNARY.split():
            drop(getattr(np, name)(x))
        for name in (
            "add",
            "subtract",
            "multiply",
            "divide",
            "power",
            "mod",
            "floor_divide",
            "maximum",
            "minimum",
            "arctan2",
            "hypot",
        ):
            drop(getattr(np, name)(x, x), getattr(np, name)(x, 2))
        drop(x > 0.5, x == 0.5, x != 0, x <= 1, ~(x > 0.5), (x > 0.2) & (x < 0.8), (x > 0.2) | (x < 0.1))
    scalar = np.float64(1.5)
    drop(scalar + 1, 2 * scalar, scalar / 3, scalar > 1, float(scalar), round(scalar, 1), scalar.item())
    drop(int(np.int64(3)), np.int32(4) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        drop(a / 0)


def texts_and_dates():
    words = np.array(["a", "b", "c"])
    drop(words == "a", np.char.upper(words), np.unique(words), words.tolist())
    days = np.arange("2024-01-01", "2024-01-10", dtype="M8[D]")
    drop(days + np.timedelta64(1, "D"), days.astype("M8[ns]"), np.datetime64("2024-02-03T04:05:06"), days.astype(str))
    drop(np.is_busday(days))
    record = np.array([(1, "x")], dtype=[("n", "i8"), ("s", "U4")])
    drop(record["n"], record[0], record.tolist(), np.loadtxt(io.StringIO("1 2\n3 4")))
    drop(np.genfromtxt(io.StringIO("1,2\n3,"), delimiter=","))
    masked = np.ma.masked_invalid([1.0, np.nan])
    drop(masked.mean(), masked.filled(0), repr(masked))


def linear_algebra_and_transforms():
    m = np.array([[4.0, 1.0], [1.0, 3.0]])
    drop(np.linalg.inv(m), np.linalg.det(m), np.linalg.solve(m, [1, 2]), np.linalg.eig(m), np.linalg.eigh(m))
    drop(np.linalg.svd(m), np.linalg.qr(m), np.linalg.norm(m), np.linalg.norm(m, axis=1))
    drop(np.linalg.lstsq(m, [1.0, 2.0], rcond=None), np.linalg.pinv(m), np.linalg.matrix_rank(m))
    drop(np.linalg.cholesky(m), np.linalg.matrix_power(m, 3), np.kron(m, m), np.fft.fft(m[0]), np.fft.ifft(m[0]))
    drop(np.fft.rfft(m[0]), np.fft.fft2(m), np.fft.fftfreq(8), np.fft.fftshift(m))


def randomness():
    rng = np.random.default_rng(1)
    drop(rng.random(4), rng.integers(0, 9, 4), rng.normal(size=4), rng.choice([1, 2, 3], 2), rng.permutation(4))
    drop(rng.uniform(0, 1, 3), rng.standard_normal(3), rng.exponential(size=2), rng.poisson(3, 2))
    drop(rng.binomial(5, 0.5, 2), rng.shuffle(np.arange(4)))
    legacy = np.random.RandomState(1)
    for source in (np.random, legacy):
        drop(source.rand(3), source.randn(3), source.randint(0, 9, 3), source.choice([1, 2], 2))
        drop(source.normal(0, 1, 2), source.uniform(0, 1, 2), source.permutation(4), source.shuffle(np.arange(4)))
        drop(source.random(2), source.poisson(2, 2))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _ in range(TIMES):
        arrays()
        functions()
        texts_and_dates()
        linear_algebra_and_transforms()
        randomness()
