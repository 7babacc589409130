/* frexp() and frexpf(), of which musl leaves the exponent of infinities and NaNs as it was; glibc's is 0. */
#include "pairs.h"

double frexp(double x, int *exponent);
float frexpf(float x, int *exponent);

double frexp(double x, int *exponent) {
    const int biased = exponent_of(x);
    if (biased == 0x7ff || x == 0) {
        *exponent = 0;
        return x;
    }
    if (biased == 0) {
        const double fraction = frexp(x * 0x1p64, exponent);
        *exponent -= 64;
        return fraction;
    }
    *exponent = biased - 1022;
    return from_bits((bits_of(x) & UINT64_C(0x800fffffffffffff)) | UINT64_C(0x3fe0000000000000));
}

float frexpf(float x, int *exponent) {
    return (float)frexp(x, exponent);
}
