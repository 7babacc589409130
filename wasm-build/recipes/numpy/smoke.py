"""Runs in the guest: numpy computes, prints, parses and reports errors as it does on other machines."""

import io
import pickle
import warnings

import numpy as np


def raises(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"{function} raised no {kind.__name__}")


def check_arrays():
    a = np.arange(12, dtype="f8").reshape(3, 4)
    assert a.sum() == 66
    assert a.mean(axis=0).tolist() == [4, 5, 6, 7]
    assert a[a % 2 == 0].tolist() == [0, 2, 4, 6, 8, 10]
    assert np.where(a > 5, 1, 0).sum() == 6
    assert (a @ a.T).tolist() == [[14, 38, 62], [38, 126, 214], [62, 214, 366]]
    assert np.einsum("ij,kj->ik", a, a).tolist() == (a @ a.T).tolist()
    assert np.concatenate([a, a]).shape == (6, 4)
    assert np.stack([a, a]).shape == (2, 3, 4)
    assert np.sort([3, 1, 2])[::-1].tolist() == [3, 2, 1]
    assert np.argsort(np.array([3.0, np.nan, 1.0])).tolist() == [2, 0, 1]
    assert np.unique([2, 1, 2], return_counts=True)[1].tolist() == [1, 2]
    assert np.searchsorted([1, 3, 5], [0, 3, 9]).tolist() == [0, 1, 3]
    assert np.interp(2.5, [1, 2, 3], [3, 2, 0]) == 1.0
    assert np.interp(1.5, [1, 2], [1j, 3j]) == 2j
    assert np.histogram([1, 2, 1], bins=[0, 1, 2, 3])[0].tolist() == [0, 2, 1]
    assert np.bincount([0, 1, 1, 3]).tolist() == [1, 2, 0, 1]
    assert np.unravel_index(5, (2, 3)) == (1, 2)
    assert np.packbits([1, 0, 1]).tolist() == [160]
    assert np.convolve([1, 2, 3], [0, 1, 0.5]).tolist() == [0, 1, 2.5, 4, 1.5]
    assert np.percentile([1, 2, 3, 4], 50) == 2.5
    assert np.clip([1, 5, 9], 2, 6).tolist() == [2, 5, 6]
    assert pickle.loads(pickle.dumps(a)).tolist() == a.tolist()
    assert type(np.dtype("f8"))._legacy is True
    assert type(np.dtype("f8"))._abstract is False


def check_integers():
    assert np.int_ is np.int32 or np.array([1]).dtype.kind == "i"
    big = np.array([2**62, 2**62 - 1], dtype="i8")
    assert big.max() == 2**62
    assert (big // 3).tolist() == [2**62 // 3, (2**62 - 1) // 3]
    assert (np.array([2**63], dtype="u8") >> np.uint64(1)).tolist() == [2**62]
    raises(OverflowError, np.array, [2**64], "u8")
    for kind in (np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        limits = np.iinfo(kind)
        for value in (limits.min, limits.max, 0, 1, limits.max // 2, limits.max // 2 + 1):
            assert hash(kind(value)) == hash(value), (kind, value)
    assert np.int32(-(2**31)) in {-(2**31): "the key"}


def check_floats():
    x = np.linspace(0, 1, 101)
    assert abs(np.trapz(x**2, x) - 1 / 3) < 1e-4
    assert np.allclose(np.exp(np.log(x[1:])), x[1:])
    assert np.allclose(np.sin(x) ** 2 + np.cos(x) ** 2, 1)
    assert repr(np.float64(0.1) + np.float64(0.2)) == "0.30000000000000004"
    assert str(np.array([1.5, np.nan, -np.inf])) == "[ 1.5  nan -inf]"
    assert np.float16(1 / 3).item() == 0.333251953125
    assert np.float32(0.1).item() == 0.10000000149011612
    assert np.longdouble("1.5") == 1.5
    assert str(np.longdouble("0.1"))[:5] == "0.1"
    assert np.sqrt(np.complex128(-1)) == 1j
    assert np.abs(np.array([3 + 4j])).tolist() == [5]
    assert np.finfo("f8").eps == 2.0**-52


def check_errors():
    assert "Singular" in raises(np.linalg.LinAlgError, np.linalg.inv, np.zeros((2, 2)))
    raises(np.linalg.LinAlgError, np.linalg.solve, [[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0])
    raises(np.linalg.LinAlgError, np.linalg.cholesky, [[-1.0]])
    raises(ValueError, np.zeros(3).reshape, 2)
    raises(IndexError, np.zeros(3).__getitem__, 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (np.array([1, 2]) // np.array([0, 1])).tolist() == [0, 2]
    assert [str(w.message) for w in caught] == ["divide by zero encountered in floor_divide"], caught
    with np.errstate(divide="raise"):
        raises(FloatingPointError, np.floor_divide, np.array([1]), 0)
    with np.errstate(all="ignore"):
        assert (np.array([1.0, -1.0, 0.0]) / 0).tolist()[:2] == [np.inf, -np.inf]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.array([1.0, 0.0]) / 0
        np.log(np.array([0.0, 1.0]))
        np.float64(1e300) * np.float64(1e300)
        np.array([np.nan]).astype(int)
        np.array([np.nan, np.inf]) + 1
    found = [
        "divide by zero encountered in divide",
        "invalid value encountered in divide",
        "divide by zero encountered in log",
        "overflow encountered in scalar multiply",
        "invalid value encountered in cast",
    ]
    assert [str(w.message) for w in caught] == found, caught
    with np.errstate(divide="raise"):
        raises(FloatingPointError, np.divide, np.ones(1000), np.arange(1000.0))


def check_linalg():
    m = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 0.5], [2.0, 0.5, 5.0]])
    assert np.allclose(np.linalg.inv(m) @ m, np.eye(3))
    assert abs(np.linalg.det(m) - 44) < 1e-9
    values, vectors = np.linalg.eigh(m)
    assert np.allclose(vectors @ np.diag(values) @ vectors.T, m)
    u, s, v = np.linalg.svd(m)
    assert np.allclose(u @ np.diag(s) @ v, m)
    q, r = np.linalg.qr(m)
    assert np.allclose(q @ r, m)
    assert np.allclose(np.linalg.cholesky(m) @ np.linalg.cholesky(m).T, m)
    assert np.allclose(sorted(np.linalg.eigvals(m).real), sorted(values))
    assert np.allclose(np.linalg.lstsq(m, np.ones(3), rcond=None)[0], np.linalg.solve(m, np.ones(3)))
    assert np.linalg.matrix_rank(np.ones((3, 3))) == 1
    assert np.allclose(np.linalg.pinv(m), np.linalg.inv(m))
    c = m + 1j * np.eye(3)
    assert np.allclose(np.linalg.solve(c, c), np.eye(3))


def check_fft():
    x = np.random.default_rng(0).random(60)
    assert np.allclose(np.fft.ifft(np.fft.fft(x)), x)
    assert np.allclose(np.fft.irfft(np.fft.rfft(x), 60), x)
    assert np.allclose(np.fft.fft2(np.ones((2, 2))), [[4, 0], [0, 0]])


def check_random():
    # Streams are part of numpy's promise: the same numbers on every machine.
    rng = np.random.default_rng(12345)
    assert rng.random(3).tolist() == [0.22733602246716966, 0.31675833970975287, 0.7973654573327341]
    assert rng.integers(0, 100, 3, dtype="i8").tolist() == [64, 67, 98]
    legacy = np.random.RandomState(42)
    assert legacy.rand(2).tolist() == [0.3745401188473625, 0.9507143064099162]
    assert legacy.normal(size=2).tolist() == [0.6476885381006925, 1.5230298564080254]
    assert abs(rng.normal(size=20_000).mean()) < 0.05
    assert abs(rng.gamma(2.0, size=20_000).mean() - 2) < 0.1
    for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        generator = np.random.Generator(getattr(np.random, name)(7))
        assert 0 <= generator.random() < 1, name
        generator.multivariate_hypergeometric([3, 4, 5], 4)
        generator.choice(10, 3, replace=False)
        generator.permutation(10)
        pickle.loads(pickle.dumps(generator)).binomial(10, 0.5)
    np.random.seed(1)
    assert np.random.randint(0, 1000, 3).tolist() == [37, 235, 908]


def check_the_rest():
    masked = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    assert masked.mean() == 2
    assert str(masked) == "[1 -- 3]"
    assert np.polyfit([0, 1, 2], [1, 3, 5], 1).round(9).tolist() == [2, 1]
    assert np.polynomial.Polynomial([1, 2, 3])(2) == 17
    dates = np.array(["2024-02-28", "2024-03-01"], dtype="M8[D]")
    assert (dates[1] - dates[0]).astype(int) == 2
    assert np.busday_count(*dates) == 2
    assert str(np.datetime64("2024-01-01T00:00:00.123456789")) == "2024-01-01T00:00:00.123456789"
    record = np.array([(1, "a", 2.5)], dtype=[("n", "i8"), ("s", "U3"), ("x", "f4")])
    assert record["s"][0] == "a"
    assert record[0].item() == (1, "a", 2.5)
    assert np.loadtxt(io.StringIO("1,2\n3,4"), delimiter=",").sum() == 10
    assert np.genfromtxt(io.StringIO("1;\n3;4"), delimiter=";").shape == (2, 2)
    assert np.char.upper(["a", "b"]).tolist() == ["A", "B"]
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    buffer.seek(0)
    assert np.load(buffer)["a"].tolist() == [0, 1, 2]
    assert np.vectorize(lambda n: n + 1)([1, 2]).tolist() == [2, 3]
    assert np.frombuffer(b"\1\0\2\0", dtype="<i2").tolist() == [1, 2]
    assert np.lib.stride_tricks.sliding_window_view(np.arange(4), 2).sum() == 9


check_arrays()
check_integers()
check_floats()
check_errors()
check_linalg()
check_fft()
check_random()
check_the_rest()
