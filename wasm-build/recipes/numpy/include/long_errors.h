/* Natively a C long and a Py_ssize_t have 64 bits, and a number that they do not hold is refused with their names; here they are read
 * as long long. */
#ifndef WASMEXEC_NUMPY_LONG_ERRORS_H
#define WASMEXEC_NUMPY_LONG_ERRORS_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

static inline long long
number_within(PyObject *number, const char *refusal)
{
    long long value = PyLong_AsLongLong(number);
    if (value == -1 && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_SetString(PyExc_OverflowError, refusal);
    }
    return value;
}

static inline long long
number_as_long_long(PyObject *number)
{
    return number_within(number, "Python int too large to convert to C long");
}

static inline long long
number_as_size(PyObject *number)
{
    return number_within(number, "Python int too large to convert to C ssize_t");
}

#endif
