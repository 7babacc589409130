/* Sums and products of doubles without loss: unevaluated pairs of which `lo` is what `hi` could not hold. */
#ifndef WX_PAIRS_H
#define WX_PAIRS_H

#include <stdint.h>

typedef struct {
    double hi;
    double lo;
} pair;

static inline uint64_t bits_of(double value) {
    uint64_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double from_bits(uint64_t bits) {
    double value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/* The biased exponent: 0 for zeros and subnormals, 2047 for what is not finite. */
static inline int exponent_of(double value) {
    return (int)(bits_of(value) >> 52 & 0x7ff);
}

/* Rounded to 26 bits: the product of two such numbers is exact, and what is left has as few. */
static inline double leading(double value) {
    return from_bits((bits_of(value) + UINT64_C(0x4000000)) & ~UINT64_C(0x7ffffff));
}

static inline pair sum(double a, double b) {
    const double hi = a + b;
    const double of_b = hi - a;
    return (pair){hi, (a - (hi - of_b)) + (b - of_b)};
}

/* As sum(), for |a| >= |b| or a == 0. */
static inline pair sum_ordered(double a, double b) {
    const double hi = a + b;
    return (pair){hi, b - (hi - a)};
}

/* a * b + c rounded once. */
static inline double fused(double a, double b, double c) {
    typedef double lanes __attribute__((vector_size(16)));
    return __builtin_wasm_relaxed_madd_f64x2((lanes){a, a}, (lanes){b, b}, (lanes){c, c})[0];
}

/* What the rounded product of a and b misses. */
static inline double product_error(double a, double b, double rounded) {
    return fused(a, b, -rounded);
}

static inline pair product(double a, double b) {
    const double hi = a * b;
    return (pair){hi, product_error(a, b, hi)};
}

/* a / b to about 100 bits. */
static inline pair quotient(pair a, pair b) {
    const double hi = a.hi / b.hi;
    const double back = hi * b.hi;
    const double rest = ((a.hi - back) - product_error(hi, b.hi, back)) + (a.lo - hi * b.lo);
    return (pair){hi, rest / b.hi};
}

#endif
