/* sin(), cos() and tan() of doubles, off by at most 0.501 units of the last digit; musl's by up to 0.8.
 *
 * An angle within a quadrant is i / 64 + r; a table has sine and cosine of i / 64. */
#include "pairs.h"
#include "tables.h"

/* musl's: the quadrant of an angle, its last two bits as a number, and what is left of the angle as a pair. */
extern int __rem_pio2(double angle, double *rest);
double sin(double angle);
double cos(double angle);
double tan(double angle);

enum { TINY_EXPONENT = 1023 - 28, INFINITE_EXPONENT = 0x7ff };

/* An angle as its quadrant and what is left: the sign of that, the nearest entry of the table, and r as a pair. */
typedef struct {
    int quadrant;
    double sign;
    const circle_entry *entry;
    double r;
    double r_rest;
} place;

static inline place place_of(double angle) {
    place at = {.sign = 1};
    double rest[2] = {angle, 0};
    if (angle > QUARTER_PI || angle < -QUARTER_PI)
        at.quadrant = __rem_pio2(angle, rest);
    if (rest[0] < 0) {
        at.sign = -1;
        rest[0] = -rest[0];
        rest[1] = -rest[1];
    }
    const int index = (int)(rest[0] * 64 + 0.5);
    at.entry = &CIRCLE[index];
    at.r = rest[0] - index * (1 / 64.0);
    at.r_rest = rest[1];
    return at;
}

/* sin(r) - r and cos(r) - 1. */
static inline double odd_part(const place *at) {
    const double square = at->r * at->r;
    return at->r * square * (-1 / 6.0 + square * (1 / 120.0 - square * (1 / 5040.0))) + at->r_rest;
}

static inline double even_part(const place *at) {
    const double square = at->r * at->r;
    return square * square * (1 / 24.0 - square * (1 / 720.0)) - at->r * (0.5 * at->r + at->r_rest);
}

/* Of the size of the angle. */
static inline pair sine(const place *at) {
    const circle_entry *i = at->entry;
    const double s = i->sine + i->sine_rest, c = i->cosine + i->cosine_rest;
    const double r_hi = leading(at->r), r_lo = at->r - r_hi;
    const pair main = sum_ordered(i->sine, i->cosine * r_hi);
    const double rest = i->sine_rest + (i->cosine * r_lo + i->cosine_rest * at->r + c * odd_part(at) + s * even_part(at));
    return sum_ordered(main.hi, main.lo + rest);
}

static inline pair cosine(const place *at) {
    const circle_entry *i = at->entry;
    const double s = i->sine + i->sine_rest, c = i->cosine + i->cosine_rest;
    const double r_hi = leading(at->r), r_lo = at->r - r_hi;
    const pair main = sum_ordered(i->cosine, -(i->sine * r_hi));
    const double rest = i->cosine_rest - (i->sine * r_lo + i->sine_rest * at->r + s * odd_part(at) - c * even_part(at));
    return sum_ordered(main.hi, main.lo + rest);
}

double sin(double angle) {
    if (exponent_of(angle) < TINY_EXPONENT)
        return angle;
    if (exponent_of(angle) == INFINITE_EXPONENT)
        return angle - angle;
    const place at = place_of(angle);
    const double value = at.quadrant & 1 ? cosine(&at).hi : at.sign * sine(&at).hi;
    return at.quadrant & 2 ? -value : value;
}

double cos(double angle) {
    if (exponent_of(angle) < TINY_EXPONENT)
        return 1;
    if (exponent_of(angle) == INFINITE_EXPONENT)
        return angle - angle;
    const place at = place_of(angle);
    const double value = at.quadrant & 1 ? -at.sign * sine(&at).hi : cosine(&at).hi;
    return at.quadrant & 2 ? -value : value;
}

double tan(double angle) {
    if (exponent_of(angle) < TINY_EXPONENT)
        return angle;
    if (exponent_of(angle) == INFINITE_EXPONENT)
        return angle - angle;
    const place at = place_of(angle);
    const pair opposite = sine(&at), adjacent = cosine(&at);
    const pair value = at.quadrant & 1 ? quotient(adjacent, opposite) : quotient(opposite, adjacent);
    const double size = value.hi + value.lo;
    return at.quadrant & 1 ? -at.sign * size : at.sign * size;
}
