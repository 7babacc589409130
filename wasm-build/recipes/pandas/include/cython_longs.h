/* Cython looks whether a C long fits into an int, which it always does here; it is refused before, with Cython's words. Numbers of 64
 * bits are longs natively, and refused as such. Included before every source of pandas. */
#ifndef WASMEXEC_PANDAS_CYTHON_LONGS_H
#define WASMEXEC_PANDAS_CYTHON_LONGS_H

#include "../../numpy/include/long_errors.h"

static inline long
number_as_long(PyObject *number)
{
    long long value = number_as_long_long(number);
    if (value != (long)value) {
        PyErr_SetString(PyExc_OverflowError, "value too large to convert to int");
        return -1;
    }
    return (long)value;
}

#define PyLong_AsLongLong number_as_long_long
#define PyLong_AsLong number_as_long

#endif
