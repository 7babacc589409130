/* Floats as repr() writes them: the shortest decimal that reads back as the same number, and of those the nearest.
 *
 * PyOS_double_to_string gives the same text in about 900 ns here, this in about 50, and a table of results is mostly floats.
 * Source: Raffaele Giulietti, "The Schubfach way to render doubles" (2020); the names are the paper's.
 */
#define PY_SSIZE_T_CLEAN
#include "rows_text.h"

#include <string.h>

enum { K_MIN = -292, K_MAX = 324, WORDS = 36 };

/* g(k) = ceil(10^k * 2^-e) with e such that 2^127 <= g < 2^128, as high and low half. */
static uint64_t powers[K_MAX - K_MIN + 1][2];

static int32_t floor_log2_of_power(int32_t k) {
    return (k * 1741647) >> 19;
}

/* The leading 128 bits of a number of WORDS 32-bit words, least first, rounded up if any bit below them is set or `sticky`. */
static void store_power(int32_t k, const uint32_t *number, bool sticky) {
    int32_t top = WORDS - 1;
    while (number[top] == 0) {
        top--;
    }
    uint32_t shift = (uint32_t)__builtin_clz(number[top]);
    uint32_t parts[5];
    for (int32_t i = 0; i < 5; i++) {
        parts[i] = top - i >= 0 ? number[top - i] : 0;
    }
    for (int32_t i = 0; i < 4 && shift > 0; i++) {
        parts[i] = parts[i] << shift | parts[i + 1] >> (32 - shift);
    }
    bool inexact = sticky || (shift > 0 ? (parts[4] << shift) != 0 : parts[4] != 0);
    for (int32_t i = 0; i < top - 4; i++) {
        inexact |= number[i] != 0;
    }
    uint64_t high = (uint64_t)parts[0] << 32 | parts[1], low = (uint64_t)parts[2] << 32 | parts[3];
    low += inexact;
    powers[k - K_MIN][0] = high + (inexact && low == 0);
    powers[k - K_MIN][1] = low;
}

/* Runs while the image is made, so that the image carries the table and the source does not. */
__attribute__((constructor)) static void make_powers(void) {
    uint32_t number[WORDS] = {1};
    for (int32_t k = 0; k <= K_MAX; k++) {
        store_power(k, number, false);
        uint64_t carry = 0;
        for (int32_t i = 0; i < WORDS; i++) {
            carry += (uint64_t)number[i] * 10;
            number[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    /* 2^1151 / 10^m keeps 128 bits and more for every m here, and flooring at each step does not change the last floor. */
    memset(number, 0, sizeof number);
    number[WORDS - 1] = 1u << 31;
    for (int32_t k = -1; k >= K_MIN; k--) {
        uint64_t rest = 0;
        for (int32_t i = WORDS - 1; i >= 0; i--) {
            rest = rest << 32 | number[i];
            number[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        store_power(k, number, true);
    }
}

/* High half of a 64 by 64 bit product; from 32-bit parts, as this compiler's 128-bit arithmetic cannot be relied on for this target. */
static uint64_t multiply_high(uint64_t one, uint64_t other) {
    uint64_t one_low = (uint32_t)one, one_high = one >> 32, other_low = (uint32_t)other, other_high = other >> 32;
    uint64_t middle = one_high * other_low + ((one_low * other_low) >> 32);
    uint64_t carry = (uint32_t)middle + one_low * other_high;
    return one_high * other_high + (middle >> 32) + (carry >> 32);
}

static uint64_t round_to_odd(const uint64_t *g, uint64_t factor) {
    uint64_t carry = multiply_high(g[1], factor);
    uint64_t low = g[0] * factor + carry;
    uint64_t high = multiply_high(g[0], factor) + (low < carry);
    return high | (low > 1);
}

/* The digits of a positive finite number and the power of ten they are multiplied with. */
static uint64_t shortest(uint64_t bits, int32_t *power) {
    uint64_t fraction = bits & ((1ull << 52) - 1);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7ff);
    uint64_t c = exponent != 0 ? fraction | 1ull << 52 : fraction;
    int32_t q = (exponent != 0 ? exponent : 1) - 1075;
    if (q <= 0 && q > -53 && (c & ((1ull << -q) - 1)) == 0) {
        *power = 0; /* a whole number below 2^53 */
        return c >> -q;
    }
    bool odd = (c & 1) != 0, closer = fraction == 0 && exponent > 1;
    int32_t k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
    int32_t h = q + floor_log2_of_power(-k) + 1;
    const uint64_t *g = powers[-k - K_MIN];
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    uint64_t value = round_to_odd(g, (4 * c) << h);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tenth = s / 10;
        bool below = lower <= 40 * tenth, above = 40 * tenth + 40 <= upper;
        if (below != above) {
            *power = k + 1;
            return tenth + above;
        }
    }
    *power = k;
    bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above) {
        return s + above;
    }
    uint64_t middle = 4 * s + 2;
    return s + (value > middle || (value == middle && (s & 1) != 0));
}

static uint8_t *write_zeros(uint8_t *out, int32_t count) {
    while (count-- > 0) {
        *out++ = '0';
    }
    return out;
}

static uint8_t *write_bytes(uint8_t *out, const uint8_t *digits, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        *out++ = digits[i];
    }
    return out;
}

/* D.DDDe+XX, the exponent with two digits at least. */
static uint8_t *write_exponent(uint8_t *out, const uint8_t *digits, int32_t count, int32_t exponent) {
    *out++ = digits[0];
    if (count > 1) {
        *out++ = '.';
        out = write_bytes(out, digits + 1, count - 1);
    }
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    uint32_t size = (uint32_t)(exponent < 0 ? -exponent : exponent);
    if (size < 10) {
        *out++ = '0';
    }
    return wx_digits_write(out, size);
}

uint8_t *wx_float_write(uint8_t *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits >> 63 != 0) {
        *out++ = '-';
        bits &= ~(1ull << 63);
    }
    if (bits == 0) {
        memcpy(out, "0.0", 3);
        return out + 3;
    }
    int32_t power;
    uint64_t number = shortest(bits, &power);
    while (number % 10 == 0) {
        number /= 10;
        power++;
    }
    uint8_t digits[20];
    int32_t count = (int32_t)(wx_digits_write(digits, number) - digits);
    int32_t point = count + power; /* digits before the decimal point */
    if (point <= -4 || point > 16) {
        return write_exponent(out, digits, count, point - 1);
    }
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        return write_bytes(write_zeros(out, -point), digits, count);
    }
    if (point >= count) {
        out = write_zeros(write_bytes(out, digits, count), point - count);
        *out++ = '.';
        *out++ = '0';
        return out;
    }
    out = write_bytes(out, digits, point);
    *out++ = '.';
    return write_bytes(out, digits + point, count - point);
}
