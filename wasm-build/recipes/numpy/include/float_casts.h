/* Casts of floats to integers that cannot hold them, as 64-bit Linux on x86 makes them: C leaves them undefined, a statement sees them
 * (NaN as int64 is -2**63, -1.5 as uint8 is 255). Needs -mno-nontrapping-fptoint, by which what does not fit becomes the least
 * signed integer instead of the nearest. */
#ifndef WASMEXEC_NUMPY_FLOAT_CASTS_H
#define WASMEXEC_NUMPY_FLOAT_CASTS_H

static inline unsigned long long
float_as_unsigned_long_long(double value)
{
    if (value >= 0x1p63) {
        return (unsigned long long)(long long)(value - 0x1p63) ^ (1ULL << 63);
    }
    return (unsigned long long)(long long)value;
}

#define FLOAT_AS(type, value) \
    _Generic((type)0, \
        unsigned char: (type)(int)(value), \
        unsigned short: (type)(int)(value), \
        unsigned int: (type)(long long)(value), \
        unsigned long long: (type)float_as_unsigned_long_long((double)(value)), \
        default: (type)(value))

/* A number as another type of number. */
#define NUMBER_AS(type, value) \
    _Generic((value), \
        float: FLOAT_AS(type, value), \
        double: FLOAT_AS(type, value), \
        default: (type)(value))

#endif
