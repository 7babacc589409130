/* What numpy's configure step finds for wasm32-wasi with the pinned compiler and its libc.
 *
 * Fixed instead of probed, because the compiler and the libc never change without a change of their pinned version; the assertions
 * below and in _numpyconfig.h stop a build for which it is no longer true.
 */
#define HAVE_STRTOLD_L 1
#define HAVE_FEATURES_H 1
#define HAVE___BUILTIN_ISNAN 1
#define HAVE___BUILTIN_ISINF 1
#define HAVE___BUILTIN_ISFINITE 1
#define HAVE___BUILTIN_BSWAP32 1
#define HAVE___BUILTIN_BSWAP64 1
#define HAVE___BUILTIN_EXPECT 1
#define HAVE___BUILTIN_MUL_OVERFLOW 1
#define HAVE___BUILTIN_PREFETCH 1
#define HAVE_ATTRIBUTE_NONNULL 1
#define HAVE_COMPLEX_H 1
#define HAVE_CABS 1
#define HAVE_CARG 1
#define HAVE_CCOS 1
#define HAVE_CCOSH 1
#define HAVE_CEXP 1
#define HAVE_CLOG 1
#define HAVE_CPOW 1
#define HAVE_CSIN 1
#define HAVE_CSINH 1
#define HAVE_CSQRT 1
#define HAVE_CTAN 1
#define HAVE_CTANH 1
#define HAVE_CABSF 1
#define HAVE_CARGF 1
#define HAVE_CCOSF 1
#define HAVE_CCOSHF 1
#define HAVE_CEXPF 1
#define HAVE_CLOGF 1
#define HAVE_CPOWF 1
#define HAVE_CSINF 1
#define HAVE_CSINHF 1
#define HAVE_CSQRTF 1
#define HAVE_CTANF 1
#define HAVE_CTANHF 1
#define HAVE_CABSL 1
#define HAVE_CARGL 1
#define HAVE_CCOSL 1
#define HAVE_CCOSHL 1
#define HAVE_CEXPL 1
#define HAVE_CPOWL 1
#define HAVE_CSINL 1
#define HAVE_CSINHL 1
#define HAVE_CSQRTL 1
#define HAVE_CTANL 1
#define HAVE_CTANHL 1
#define HAVE_LDOUBLE_IEEE_QUAD_LE 1
#define NPY_RELAXED_STRIDES_DEBUG 0

/* Conversions between Python's int and npy_long and npy_intp, which are a long long here (patches/0004, 0006). numpy's core calls them
 * for nothing else that a narrower result would suit better. */
#include "long_errors.h"
#define PyLong_AsLong number_as_long_long
#define PyLong_AsLongAndOverflow PyLong_AsLongLongAndOverflow
#define PyLong_AsUnsignedLong PyLong_AsUnsignedLongLong
#define PyLong_FromLong PyLong_FromLongLong
#define PyLong_FromUnsignedLong PyLong_FromUnsignedLongLong
#define PyLong_AsSsize_t number_as_size
#define PyLong_FromSsize_t PyLong_FromLongLong

#if !defined(__wasm32__) || !defined(__wasi__) || __LDBL_MANT_DIG__ != 113 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error this config.h describes wasm32-wasi only
#endif

#ifndef NUMPY_CORE_SRC_COMMON_NPY_CONFIG_H_
#error config.h should never be included directly, include npy_config.h instead
#endif
