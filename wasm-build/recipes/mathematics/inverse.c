/* asin(), acos(), atan() and atan2() of doubles, off by at most 0.501 units of the last digit; musl's by up to 0.9.
 *
 * All are the angle of a point; with t = i / 64 near the quotient q of its sides, atan(q) is atan(t) from a table and
 * atan((q - t) / (1 + q t)). */
#include <stdbool.h>

#include "pairs.h"
#include "tables.h"

double asin(double x);
double acos(double x);
double atan(double x);
double atan2(double y, double x);

enum { TINY_EXPONENT = 1023 - 28, INFINITE_EXPONENT = 0x7ff, FAR_APART = 40, LARGE = 1023 + 400, SMALL = 1023 - 400 };

static const pair NO_ANGLE = {0, 0};
static const pair ONE = {1, 0};

/* a + t * b. */
static inline pair plus_multiple(pair a, double t, pair b) {
    const pair multiple = product(t, b.hi);
    const pair total = sum(a.hi, multiple.hi);
    return (pair){total.hi, total.lo + (a.lo + (multiple.lo + t * b.lo))};
}

/* base + atan(y / x), or base - atan(y / x), for 0 <= y <= x and neither far from 1. */
static inline double turned(pair base, bool back, pair y, pair x) {
    const int index = (int)(y.hi / x.hi * 64 + 0.5);
    const double t = index * (1 / 64.0);
    const pair z = quotient(plus_multiple(y, -t, x), plus_multiple(x, t, y));
    const double square = z.hi * z.hi;
    const double series = z.hi * square * (-1 / 3.0 + square * (1 / 5.0 + square * (-1 / 7.0 + square * (1 / 9.0))));
    const double sign = back ? -1 : 1;
    const pair first = sum_ordered(base.hi, sign * ARCTANGENT[index].hi);
    const pair second = sum_ordered(first.hi, sign * z.hi);
    return second.hi + (second.lo + (first.lo + base.lo + sign * (ARCTANGENT[index].lo + (z.lo + series))));
}

/* The angle of the point (x, y) of the upper half plane. */
static inline double angle(pair y, pair x) {
    const bool left = x.hi < 0;
    if (left)
        x = (pair){-x.hi, -x.lo};
    if (y.hi <= x.hi)
        return turned(left ? PI : NO_ANGLE, left, y, x);
    return turned(HALF_PI, !left, x, y);
}

/* sqrt(1 - x * x) for |x| <= 1. */
static inline pair other_leg(double x) {
    const pair less = sum_ordered(1, -x), more = sum_ordered(1, x);
    const pair square = product(less.hi, more.hi);
    const double root = __builtin_sqrt(square.hi);
    if (root == 0)
        return NO_ANGLE;
    const pair back = product(root, root);
    const double rest = square.lo + (less.hi * more.lo + less.lo * more.hi);
    return (pair){root, ((square.hi - back.hi) - back.lo + rest) / (2 * root)};
}

static inline double size_of(double x) {
    return __builtin_fabs(x);
}

double asin(double x) {
    if (exponent_of(x) < TINY_EXPONENT)
        return x;
    if (!(size_of(x) <= 1))
        return (x - x) / (x - x);
    const double value = angle((pair){size_of(x), 0}, other_leg(x));
    return x < 0 ? -value : value;
}

double acos(double x) {
    if (!(size_of(x) <= 1))
        return (x - x) / (x - x);
    return angle(other_leg(x), (pair){x, 0});
}

double atan(double x) {
    if (exponent_of(x) < TINY_EXPONENT || x != x)
        return x;
    double value = HALF_PI.hi;
    if (exponent_of(x) < LARGE)
        value = angle((pair){size_of(x), 0}, ONE);
    return x < 0 ? -value : value;
}

/* For sides that are both finite and not 0. */
static inline double angle_of_sides(double y, double x) {
    const int apart = exponent_of(y) - exponent_of(x), most = exponent_of(apart > 0 ? y : x);
    if (apart < -FAR_APART && x > 0)
        return y / x;
    if (apart < -FAR_APART)
        return PI.hi + (PI.lo + y / x);
    if (apart > FAR_APART)
        return HALF_PI.hi + (HALF_PI.lo - x / y);
    const double scale = most > LARGE ? 0x1p-600 : most < SMALL ? 0x1p600 : 1;
    return angle((pair){y * scale, 0}, (pair){x * scale, 0});
}

double atan2(double y, double x) {
    if (x != x || y != y)
        return x + y;
    const bool left = bits_of(x) >> 63, x_infinite = exponent_of(x) == INFINITE_EXPONENT;
    double value;
    if (exponent_of(y) == INFINITE_EXPONENT)
        value = x_infinite ? (left ? 3 * QUARTER_PI : QUARTER_PI) : HALF_PI.hi;
    else if (y == 0 || x_infinite)
        value = left ? PI.hi : 0;
    else if (x == 0)
        value = HALF_PI.hi;
    else
        value = angle_of_sides(size_of(y), x);
    return __builtin_copysign(value, y);
}
