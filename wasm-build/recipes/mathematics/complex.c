/* ctanh() and ctan() by the quotients glibc has for them, clog() with log1p() near the unit circle, and csqrtf() in floats as
 * there; musl has others, which end on another last digit. */
#include <complex.h>
#include <float.h>
#include <math.h>

#include "pairs.h"

/* The hyperbolic tangent is 1 beside what doubles and floats hold from here on. */
static const int ONE = 354, ONEF = 44;

#define LN2 0.69314718055994530942

/* x * x + y * y - 1, of which next to nothing may be left. */
static double beside_circle(double x, double y) {
    const pair xx = product(x, x), yy = product(y, y);
    const pair first = sum(xx.hi, -1), both = sum(first.hi, yy.hi);
    return both.hi + (both.lo + first.lo + xx.lo + yy.lo);
}

static float beside_circlef(float x, float y) {
    const double wide = x, other = y;
    return (float)((wide - 1) * (wide + 1) + other * other);
}

#define NUMBER double
#define OF(name) name
#define PACK CMPLX
#define LEAST DBL_MIN
#define LARGEST DBL_MAX
#define DIGITS DBL_MANT_DIG
#define STEP DBL_EPSILON
#define MOST ONE
#include "complex_of.h"

#define NUMBER float
#define OF(name) name##f
#define PACK CMPLXF
#define LEAST FLT_MIN
#define LARGEST FLT_MAX
#define DIGITS FLT_MANT_DIG
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
