/* numpy's own SIMD functions of float32, and tanh, as a processor with AVX2 and FMA3 runs them, in vectors of WebAssembly: numpy's wheels
 * answer with them on every present x86-64, and they are not those of the C library. What follows is as much of numpy's universal
 * intrinsics and of Intel's as these functions use.
 */
#ifndef WASMEXEC_NUMPY_LANES_H
#define WASMEXEC_NUMPY_LANES_H

#include <string.h>
#include <wasm_simd128.h>

#include "numpy/npy_common.h"

#define LANES(type, name, bytes) typedef type name __attribute__((vector_size(bytes)))
#define AS(type, x) ((type)(x))
/* Where the mask's lanes are all ones, a, else b. */
#define SELECT(type, bits, mask, a, b) AS(type, (AS(bits, mask) & AS(bits, a)) | (~AS(bits, mask) & AS(bits, b)))
#define EACH(i, lanes) for (int i = 0; i < (lanes); i++)

LANES(float, lanes_f32, 16);
LANES(double, lanes_f64, 16);

/* --- numpy's universal intrinsics, in 16 bytes --- */

#undef NPY_SIMD_FMA3
#undef NPY_SIMD_F32
#undef NPY_SIMD_F64
#undef NPY_SIMD_WIDTH
#define NPY_SIMD_FMA3 1
#define NPY_SIMD_F32 1
#define NPY_SIMD_F64 1
#define NPY_SIMD_WIDTH 16
#define NPY_SIMD_CMPSIGNAL 0
#define npyv_nlanes_f32 4
#define npyv_nlanes_f64 2
#define npyv_cleanup()
#define npyv_loadable_stride_f32(stride) 1
#define npyv_loadable_stride_f64(stride) 1
#define npyv_storable_stride_f32(stride) 1
#define npyv_storable_stride_f64(stride) 1

typedef lanes_f32 npyv_f32;
typedef lanes_f64 npyv_f64;
LANES(npy_int32, npyv_s32, 16);
LANES(npy_int64, npyv_s64, 16);
LANES(npy_uint32, npyv_u32, 16);
LANES(npy_uint64, npyv_u64, 16);
typedef npyv_s32 npyv_b32;
typedef npyv_s64 npyv_b64;
typedef npy_uint64 npyv_lanetype_u64;

#define ALL_32(x) {(x), (x), (x), (x)}
#define ALL_64(x) {(x), (x)}
#define npyv_setall_f32(x) ((npyv_f32)ALL_32(x))
#define npyv_setall_s32(x) ((npyv_s32)ALL_32(x))
#define npyv_setall_u32(x) ((npyv_u32)ALL_32(x))
#define npyv_setall_f64(x) ((npyv_f64)ALL_64(x))
#define npyv_setall_s64(x) ((npyv_s64)ALL_64((npy_int64)(x)))
#define npyv_zero_f32() npyv_setall_f32(0)
#define npyv_zero_s32() npyv_setall_s32(0)

#define npyv_reinterpret_f32_u32(x) AS(npyv_f32, x)
#define npyv_reinterpret_s32_f32(x) AS(npyv_s32, x)
#define npyv_reinterpret_u32_s32(x) AS(npyv_u32, x)
#define npyv_reinterpret_s32_s64(x) AS(npyv_s32, x)
#define npyv_reinterpret_u64_s32(x) AS(npyv_u64, x)
#define npyv_reinterpret_s64_f64(x) AS(npyv_s64, x)
#define npyv_reinterpret_f64_s64(x) AS(npyv_f64, x)
#define npyv_reinterpret_f64_u64(x) AS(npyv_f64, x)

#define npyv_add_f32(a, b) ((a) + (b))
#define npyv_sub_f32(a, b) ((a) - (b))
#define npyv_sub_f64(a, b) ((a) - (b))
#define npyv_mul_f32(a, b) ((a) * (b))
#define npyv_square_f32(a) ((a) * (a))
/* Fused: engine_config() asks for it on every processor. */
#define npyv_muladd_f32 __builtin_wasm_relaxed_madd_f32x4
#define npyv_muladd_f64 __builtin_wasm_relaxed_madd_f64x2
#define npyv_add_s32(a, b) ((a) + (b))
#define npyv_sub_s32(a, b) ((a) - (b))
#define npyv_sub_s64(a, b) ((a) - (b))
#define npyv_shri_u32(a, bits) ((a) >> (bits))
#define npyv_shri_u64(a, bits) ((a) >> (bits))

#define npyv_and_b32(a, b) ((a) & (b))
#define npyv_and_s32(a, b) ((a) & (b))
#define npyv_and_s64(a, b) ((a) & (b))
#define npyv_and_f32(a, b) AS(npyv_f32, AS(npyv_u32, a) & AS(npyv_u32, b))
#define npyv_and_f64(a, b) AS(npyv_f64, AS(npyv_u64, a) & AS(npyv_u64, b))
#define npyv_or_f32(a, b) AS(npyv_f32, AS(npyv_u32, a) | AS(npyv_u32, b))
#define npyv_or_f64(a, b) AS(npyv_f64, AS(npyv_u64, a) | AS(npyv_u64, b))
#define npyv_abs_f32(a) AS(npyv_f32, AS(npyv_u32, a) & 0x7fffffffu)
#define npyv_abs_f64(a) AS(npyv_f64, AS(npyv_u64, a) & 0x7fffffffffffffffu)

#define npyv_notnan_f32(a) ((a) == (a))
#define npyv_notnan_f64(a) ((a) == (a))
#define npyv_cmple_f32(a, b) ((a) <= (b))
#define npyv_cmple_s32(a, b) ((a) <= (b))
#define npyv_cmple_s64(a, b) ((a) <= (b))
#define npyv_cmpeq_s32(a, b) ((a) == (b))
#define npyv_select_f32(mask, a, b) SELECT(npyv_f32, npyv_u32, mask, a, b)
#define npyv_select_f64(mask, a, b) SELECT(npyv_f64, npyv_u64, mask, a, b)
#define npyv_max_s32(a, b) SELECT(npyv_s32, npyv_s32, (a) > (b), a, b)
#define npyv_min_s32(a, b) SELECT(npyv_s32, npyv_s32, (a) < (b), a, b)
#define npyv_ifsub_f32(mask, a, b, otherwise) npyv_select_f32(mask, (a) - (b), otherwise)

static inline npy_uint64
npyv_tobits_b32(npyv_b32 mask)
{
    return (mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8);
}

/* Of numbers that are integers already. */
static inline npyv_s32
npyv_round_s32_f32(npyv_f32 x)
{
    return __builtin_convertvector(x, npyv_s32);
}

#define LOADS_AND_STORES(sfx, real, lanes) \
    static inline npyv_##sfx npyv_loadn_tillz_##sfx(const real *from, npy_intp stride, npy_intp count) \
    { \
        npyv_##sfx x = {0}; \
        EACH(i, lanes) { \
            if (i < count) { \
                x[i] = from[i * stride]; \
            } \
        } \
        return x; \
    } \
    static inline npyv_##sfx npyv_load_tillz_##sfx(const real *from, npy_intp count) \
    { \
        npyv_##sfx x; \
        if (count < (lanes)) { \
            return npyv_loadn_tillz_##sfx(from, 1, count); \
        } \
        memcpy(&x, from, sizeof(x)); \
        return x; \
    } \
    static inline void npyv_storen_till_##sfx(real *to, npy_intp stride, npy_intp count, npyv_##sfx x) \
    { \
        EACH(i, lanes) { \
            if (i < count) { \
                to[i * stride] = x[i]; \
            } \
        } \
    } \
    static inline void npyv_store_till_##sfx(real *to, npy_intp count, npyv_##sfx x) \
    { \
        if (count < (lanes)) { \
            npyv_storen_till_##sfx(to, 1, count, x); \
        } else { \
            memcpy(to, &x, sizeof(x)); \
        } \
    }

LOADS_AND_STORES(f32, float, 4)
LOADS_AND_STORES(f64, double, 2)

static inline void
npyv_storea_f32(float *to, npyv_f32 x)
{
    memcpy(to, &x, sizeof(x));
}

static inline void
npyv_store_u64(npy_uint64 *to, npyv_u64 x)
{
    memcpy(to, &x, sizeof(x));
}

static inline npyv_u64
npyv_load_u64(const npy_uint64 *from)
{
    npyv_u64 x;
    memcpy(&x, from, sizeof(x));
    return x;
}

static inline npyv_f64
npyv_combinel_f64(npyv_f64 a, npyv_f64 b)
{
    return (npyv_f64){a[0], b[0]};
}

static inline npyv_f64
npyv_combineh_f64(npyv_f64 a, npyv_f64 b)
{
    return (npyv_f64){a[1], b[1]};
}

static inline npyv_f32
npyv_lut32_f32(const float *table, npyv_u32 index)
{
    return (npyv_f32){table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
}

/* --- Intel's intrinsics of 32 bytes, as far as exp and log of float32 use them --- */

LANES(float, __m256, 32);
LANES(npy_int32, __m256i, 32);
LANES(npy_uint32, lanes_m256u, 32);

#define _CMP_EQ_OQ ==
#define _CMP_LT_OQ <
#define _CMP_LE_OQ <=
#define _CMP_GE_OQ >=
#define _CMP_NEQ_UQ !=
#define _mm256_cmp_ps(a, b, relation) AS(__m256, (a)relation(b))
#define ALL_256(x) {(x), (x), (x), (x), (x), (x), (x), (x)}
#define _mm256_set1_ps(x) ((__m256)ALL_256(x))
#define _mm256_set1_epi32(x) ((__m256i)ALL_256((npy_int32)(x)))
#define _mm256_setzero_ps() _mm256_set1_ps(0)
#define _mm256_castps_si256(x) AS(__m256i, x)
#define _mm256_castsi256_ps(x) AS(__m256, x)
#define _mm256_add_ps(a, b) ((a) + (b))
#define _mm256_sub_ps(a, b) ((a) - (b))
#define _mm256_mul_ps(a, b) ((a) * (b))
#define _mm256_div_ps(a, b) ((a) / (b))
#define _mm256_add_epi32(a, b) ((a) + (b))
#define _mm256_sub_epi32(a, b) ((a) - (b))
#define _mm256_srli_epi32(a, bits) AS(__m256i, AS(lanes_m256u, a) >> (bits))
#define _mm256_slli_epi32(a, bits) ((a) << (bits))
#define _mm256_sllv_epi32(a, bits) ((a) << (bits))
#define _mm256_and_si256(a, b) ((a) & (b))
#define _mm256_or_si256(a, b) ((a) | (b))
#define _mm256_and_ps(a, b) AS(__m256, AS(__m256i, a) & AS(__m256i, b))
#define _mm256_or_ps(a, b) AS(__m256, AS(__m256i, a) | AS(__m256i, b))
#define _mm256_xor_ps(a, b) AS(__m256, AS(__m256i, a) ^ AS(__m256i, b))
#define _mm256_andnot_ps(a, b) AS(__m256, ~AS(__m256i, a) & AS(__m256i, b))
#define _mm256_blendv_ps(a, b, mask) SELECT(__m256, __m256i, AS(__m256i, mask) >> 31, b, a)
#define _mm256_max_ps(a, b) SELECT(__m256, __m256i, (a) > (b), a, b)
#define _mm256_cvtepi32_ps(x) __builtin_convertvector(x, __m256)

static inline __m256i
_mm256_cvtps_epi32(__m256 x)
{
    return __builtin_convertvector(__builtin_elementwise_roundeven(x), __m256i);
}

static inline int
_mm256_movemask_ps(__m256 x)
{
    __m256i bits = AS(__m256i, x);
    return (int)(wasm_i32x4_bitmask(AS(v128_t, __builtin_shufflevector(bits, bits, 0, 1, 2, 3))) |
                 wasm_i32x4_bitmask(AS(v128_t, __builtin_shufflevector(bits, bits, 4, 5, 6, 7))) << 4);
}

static inline __m256
_mm256_fmadd_ps(__m256 a, __m256 b, __m256 c)
{
    lanes_f32 low = __builtin_wasm_relaxed_madd_f32x4(
        __builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(b, b, 0, 1, 2, 3),
        __builtin_shufflevector(c, c, 0, 1, 2, 3));
    lanes_f32 high = __builtin_wasm_relaxed_madd_f32x4(
        __builtin_shufflevector(a, a, 4, 5, 6, 7), __builtin_shufflevector(b, b, 4, 5, 6, 7),
        __builtin_shufflevector(c, c, 4, 5, 6, 7));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

static inline __m256
_mm256_loadu_ps(const float *from)
{
    __m256 x;
    memcpy(&x, from, sizeof(x));
    return x;
}

static inline __m256i
_mm256_loadu_si256(const __m256i *from)
{
    __m256i x;
    memcpy(&x, from, sizeof(x));
    return x;
}

static inline __m256
_mm256_mask_i32gather_ps(__m256 otherwise, const float *from, __m256i index, __m256 mask, int NPY_UNUSED(scale))
{
    EACH(i, 8) {
        if (AS(__m256i, mask)[i] < 0) {
            otherwise[i] = from[index[i]];
        }
    }
    return otherwise;
}

static inline __m256
_mm256_maskload_ps(const float *from, __m256i mask)
{
    if (_mm256_movemask_ps(AS(__m256, mask)) == 0xff) {
        return _mm256_loadu_ps(from);
    }
    __m256 x = {0};
    EACH(i, 8) {
        if (mask[i] < 0) {
            x[i] = from[i];
        }
    }
    return x;
}

static inline void
_mm256_maskstore_ps(float *to, __m256i mask, __m256 x)
{
    if (_mm256_movemask_ps(AS(__m256, mask)) == 0xff) {
        memcpy(to, &x, sizeof(x));
        return;
    }
    EACH(i, 8) {
        if (mask[i] < 0) {
            to[i] = x[i];
        }
    }
}

#endif
