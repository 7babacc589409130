/* log10() by the formula of Sun's fdlibm, as glibc has it: k log10(2) + log(m) / log(10) for x = 2 ** k * m.
 *
 * m is in [1, 2), or in [0.5, 1) where k would be negative, so that nothing cancels next to 1. */
#include "pairs.h"
#include "tables.h"

double log(double);
float logf(float);
double log10(double x);
float log10f(float x);

enum { INFINITE_EXPONENT = 0x7ff };

/* The exponent and the mantissa of a positive finite number times 2 ** shift that is not subnormal. */
static inline double split(double x, int shift, int *k) {
    const int exponent = exponent_of(x) - 1023 - shift, below = exponent < 0;
    *k = exponent + below;
    return from_bits((bits_of(x) & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(1023 - below) << 52);
}

double log10(double x) {
    int k;
    if (x == 0)
        return -1 / (x * x);
    if (!(x > 0))
        return (x - x) / (x - x);
    if (exponent_of(x) == INFINITE_EXPONENT)
        return x;
    const double m = exponent_of(x) ? split(x, 0, &k) : split(x * 0x1p54, 54, &k), exponent = k;
    return exponent * LOG10_2.lo + LN10_INVERSE * log(m) + exponent * LOG10_2.hi;
}

/* A subnormal float is a normal double. */
float log10f(float x) {
    int k;
    if (x == 0)
        return -1 / (x * x);
    if (!(x > 0))
        return (x - x) / (x - x);
    if (__builtin_isinf(x))
        return x;
    const float m = (float)split(x, 0, &k), exponent = (float)k;
    return exponent * (float)LOG10_2_SINGLE.lo + (float)LN10_INVERSE * logf(m) + exponent * (float)LOG10_2_SINGLE.hi;
}
