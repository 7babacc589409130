#define NPY_HAVE_ENDIAN_H 1

#define NPY_SIZEOF_SHORT 2
#define NPY_SIZEOF_INT 4
/* numpy's own `long` (see patches/0004): the default integer, which has 64 bits wherever people usually compute. */
#define NPY_SIZEOF_LONG 8
#define NPY_SIZEOF_FLOAT 4
#define NPY_SIZEOF_COMPLEX_FLOAT 8
#define NPY_SIZEOF_DOUBLE 8
#define NPY_SIZEOF_COMPLEX_DOUBLE 16
#define NPY_SIZEOF_LONGDOUBLE 16
#define NPY_SIZEOF_COMPLEX_LONGDOUBLE 32
#define NPY_SIZEOF_PY_INTPTR_T 4
#define NPY_SIZEOF_OFF_T 8
#define NPY_SIZEOF_PY_LONG_LONG 8
#define NPY_SIZEOF_LONGLONG 8

#define NPY_USE_C99_COMPLEX 1
#define NPY_HAVE_COMPLEX_DOUBLE 1
#define NPY_HAVE_COMPLEX_FLOAT 1
#define NPY_HAVE_COMPLEX_LONG_DOUBLE 1
#define NPY_USE_C99_FORMATS 1

#define NPY_NO_SIGNAL 1
#define NPY_NO_SMP 1

#define NPY_VISIBILITY_HIDDEN __attribute__((visibility("hidden")))
#define NPY_ABI_VERSION 0x01000009
#define NPY_API_VERSION 0x00000011

#ifndef __STDC_FORMAT_MACROS
#define __STDC_FORMAT_MACROS 1
#endif

#if __SIZEOF_SHORT__ != NPY_SIZEOF_SHORT || __SIZEOF_INT__ != NPY_SIZEOF_INT || \
    __SIZEOF_LONG_LONG__ != NPY_SIZEOF_LONGLONG || __SIZEOF_POINTER__ != NPY_SIZEOF_PY_INTPTR_T || \
    __SIZEOF_DOUBLE__ != NPY_SIZEOF_DOUBLE || __SIZEOF_LONG_DOUBLE__ != NPY_SIZEOF_LONGDOUBLE
#error this _numpyconfig.h describes wasm32-wasi only
#endif
