/* Sizes of memory are computed in 64 bits (patches/0006) and asked for with pointers of 32: what no pointer can span is refused here,
 * never cut short. Included before every source of numpy's core. */
#ifndef WASMEXEC_NUMPY_SIZES_H
#define WASMEXEC_NUMPY_SIZES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

static inline size_t
numpy_size(unsigned long long size)
{
    return size > PY_SSIZE_T_MAX ? SIZE_MAX : (size_t)size;
}

#define malloc(size) malloc(numpy_size(size))
#define calloc(count, size) calloc(numpy_size(count), numpy_size(size))
#define realloc(pointer, size) realloc(pointer, numpy_size(size))
#define PyMem_Malloc(size) PyMem_Malloc(numpy_size(size))
#define PyMem_Calloc(count, size) PyMem_Calloc(numpy_size(count), numpy_size(size))
#define PyMem_Realloc(pointer, size) PyMem_Realloc(pointer, numpy_size(size))
#define PyMem_RawMalloc(size) PyMem_RawMalloc(numpy_size(size))
#define PyMem_RawCalloc(count, size) PyMem_RawCalloc(numpy_size(count), numpy_size(size))
#define PyMem_RawRealloc(pointer, size) PyMem_RawRealloc(pointer, numpy_size(size))
#define PyObject_Malloc(size) PyObject_Malloc(numpy_size(size))
#define PyObject_Calloc(count, size) PyObject_Calloc(numpy_size(count), numpy_size(size))
#define PyObject_Realloc(pointer, size) PyObject_Realloc(pointer, numpy_size(size))
/* The longest list raises MemoryError. */
#define PyList_New(size) PyList_New((Py_ssize_t)((size) > PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : (size)))

#endif
