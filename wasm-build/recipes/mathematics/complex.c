/* ctanh() and ctan() by the quotients glibc has for them, and csqrtf() in floats as there; musl has others, which end on
 * another last digit. */
#include <complex.h>
#include <float.h>
#include <math.h>

/* The hyperbolic tangent is 1 beside what doubles and floats hold from here on. */
static const int ONE = 354, ONEF = 44;

#define NUMBER double
#define OF(name) name
#define PACK CMPLX
#define LEAST DBL_MIN
#define STEP DBL_EPSILON
#define MOST ONE
#include "complex_of.h"

#define NUMBER float
#define OF(name) name##f
#define PACK CMPLXF
#define LEAST FLT_MIN
#define STEP FLT_EPSILON
#define MOST ONEF
#include "complex_of.h"

float complex csqrtf(float complex z);

float complex csqrtf(float complex z) {
    const float x = crealf(z), y = cimagf(z), larger = fmaxf(fabsf(x), fabsf(y));
    if (x == 0 || y == 0 || !(larger >= 2 * FLT_MIN && larger <= FLT_MAX / 4)) {
        const double complex root = csqrt(CMPLX(x, y));
        return CMPLXF((float)creal(root), (float)cimag(root));
    }
    const float length = hypotf(x, y);
    if (x > 0) {
        const float real = sqrtf(0.5F * (length + x));
        return CMPLXF(real, 0.5F * (y / real));
    }
    const float imaginary = sqrtf(0.5F * (length - x));
    return CMPLXF(fabsf(0.5F * (y / imaginary)), copysignf(imaginary, y));
}
