/* Casts of floats to integers that cannot hold them, as 64-bit Linux on x86 makes them: C leaves them undefined, a statement sees them
 * (NaN as int64 is -2**63, -1.5 as uint8 is 255). There, int32 and int64 are what the processor converts to; what does not fit
 * becomes the least of them. Smaller and unsigned integers are cut out of these. */
#ifndef WASMEXEC_NUMPY_FLOAT_CASTS_H
#define WASMEXEC_NUMPY_FLOAT_CASTS_H

#include <limits.h>

static inline int
float_as_int(float value)
{
    return value >= -0x1p31f && value < 0x1p31f ? (int)value : INT_MIN;
}

static inline int
double_as_int(double value)
{
    return value > -0x1p31 - 1 && value < 0x1p31 ? (int)value : INT_MIN;
}

static inline long long
double_as_long_long(double value)
{
    return value >= -0x1p63 && value < 0x1p63 ? (long long)value : LLONG_MIN;
}

static inline unsigned long long
double_as_unsigned_long_long(double value)
{
    if (value >= 0x1p63) {
        return (unsigned long long)double_as_long_long(value - 0x1p63) ^ (1ULL << 63);
    }
    return (unsigned long long)double_as_long_long(value);
}

#define AS_INT(value) _Generic((value), float: float_as_int, default: double_as_int)(value)

#define FLOAT_AS(type, value) \
    _Generic((type)0, \
        signed char: (type)AS_INT(value), \
        unsigned char: (type)AS_INT(value), \
        short: (type)AS_INT(value), \
        unsigned short: (type)AS_INT(value), \
        int: (type)AS_INT(value), \
        unsigned int: (type)double_as_long_long((double)(value)), \
        long long: (type)double_as_long_long((double)(value)), \
        unsigned long long: (type)double_as_unsigned_long_long((double)(value)), \
        default: (type)(value))

/* A number as another type of number. */
#define NUMBER_AS(type, value) \
    _Generic((value), \
        float: FLOAT_AS(type, value), \
        double: FLOAT_AS(type, value), \
        default: (type)(value))

/* Four at a time are uint32 by way of int32. */
static inline unsigned int
double_as_one_of_four(double value)
{
    return value >= 0x1p31 ? (unsigned int)double_as_int(value - 0x1p31) ^ (1U << 31) : (unsigned int)double_as_int(value);
}

#define FOURS_AS_VECTORS(name, real) \
    static inline void name(const void *from, void *to, npy_intp count) \
    { \
        for (npy_intp i = 0; i < (count & ~(npy_intp)3); i++) { \
            double value = ((const real *)from)[i]; \
            if (!(value > -0x1p31 - 1 && value < 0x1p32)) { \
                ((unsigned int *)to)[i] = double_as_one_of_four(value); \
            } \
        } \
    }

FOURS_AS_VECTORS(mend_floats_as_unsigned_int, float)
FOURS_AS_VECTORS(mend_doubles_as_unsigned_int, double)

static inline void
mend_nothing(const void *from, void *to, npy_intp count)
{
    (void)from, (void)to, (void)count;
}

/* To be called with aligned, adjacent numbers that NUMBER_AS has converted one by one: whole fours are converted as one vector. */
#define MEND_FOURS(from_type, to_type, from, to, count) \
    _Generic((to_type)0, \
        unsigned int: _Generic((from_type)0, float: mend_floats_as_unsigned_int, double: mend_doubles_as_unsigned_int, \
                               default: mend_nothing), \
        default: mend_nothing)(from, to, count)

#endif
