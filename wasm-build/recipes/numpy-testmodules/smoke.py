"""The modules that numpy's own tests import are there and do what those tests count on."""

import os

import numpy as np

# Without it `_umath_tests` refuses to be imported, here and natively; numpy's own conftest.py sets it, too.
os.environ["NUMPY_EXPERIMENTAL_DTYPE_API"] = "1"
from numpy.core import _operand_flag_tests, _rational_tests, _struct_ufunc_tests, _umath_tests

assert _umath_tests.inner1d(np.arange(3.0), np.arange(3.0)) == 5.0
assert str(_rational_tests.rational(2, 4) + _rational_tests.rational(1, 3)) == "5/6"
assert _struct_ufunc_tests.add_triplet(np.array((1, 2, 3), "u8,u8,u8"), np.array((1, 2, 3), "u8,u8,u8")).item() == (
    2,
    4,
    6,
)
a = np.array(0)
_operand_flag_tests.inplace_add(a, 3)
assert a == 3
