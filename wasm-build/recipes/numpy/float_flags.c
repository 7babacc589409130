/* See float_flags.h. */
#define NPY_NO_DEPRECATED_API NPY_API_VERSION
#define _MULTIARRAYMODULE
#define _UMATHMODULE
#include <Python.h>
#include <fenv.h>
#include <string.h>

#include "float_flags.h"
#include "numpy/npy_common.h"
#include "numpy/halffloat.h"
#include "numpy/ufuncobject.h"

#define BLOCK_BYTES 4096
#define BLOCK_ITEMS 128 /* of the largest type, 32 bytes, as many as fit into a block */

enum { IS_NAN = 1, IS_INF = 2, IS_ZERO = 4, IS_SUBNORMAL = 8 };

int wx_float_errors_wanted = UFUNC_ERR_DEFAULT;

static const npy_intp SIZES[] = {
    [NPY_BYTE] = 1, [NPY_UBYTE] = 1, [NPY_SHORT] = 2, [NPY_USHORT] = 2, [NPY_INT] = 4, [NPY_UINT] = 4,
    [NPY_LONG] = sizeof(npy_long), [NPY_ULONG] = sizeof(npy_ulong), [NPY_LONGLONG] = 8, [NPY_ULONGLONG] = 8,
    [NPY_FLOAT] = 4, [NPY_DOUBLE] = 8, [NPY_LONGDOUBLE] = 16, [NPY_CFLOAT] = 8, [NPY_CDOUBLE] = 16,
    [NPY_CLONGDOUBLE] = 32, [NPY_HALF] = 2,
};

static const struct { const char *name; enum wx_rule rule; } RULES[] = {
    {"add", WX_RULE_arithmetic}, {"subtract", WX_RULE_arithmetic}, {"multiply", WX_RULE_multiply},
    {"divide", WX_RULE_divide}, {"floor_divide", WX_RULE_floor}, {"divmod", WX_RULE_floor},
    {"power", WX_RULE_power}, {"float_power", WX_RULE_power}, {"reciprocal", WX_RULE_power},
    {"square", WX_RULE_multiply}, {"exp", WX_RULE_exponential}, {"exp2", WX_RULE_exponential},
    {"log", WX_RULE_pole}, {"log2", WX_RULE_pole}, {"log10", WX_RULE_pole}, {"log1p", WX_RULE_pole},
    {"arctanh", WX_RULE_pole},
    {"remainder", WX_RULE_arithmetic}, {"fmod", WX_RULE_arithmetic}, {"hypot", WX_RULE_arithmetic},
    {"logaddexp", WX_RULE_arithmetic}, {"logaddexp2", WX_RULE_arithmetic}, {"arctan2", WX_RULE_arithmetic},
    {"ldexp", WX_RULE_arithmetic}, {"sqrt", WX_RULE_arithmetic}, {"cbrt", WX_RULE_arithmetic},
    {"expm1", WX_RULE_arithmetic}, {"sin", WX_RULE_arithmetic}, {"cos", WX_RULE_arithmetic},
    {"tan", WX_RULE_arithmetic}, {"arcsin", WX_RULE_arithmetic}, {"arccos", WX_RULE_arithmetic},
    {"arctan", WX_RULE_arithmetic}, {"sinh", WX_RULE_arithmetic}, {"cosh", WX_RULE_arithmetic},
    {"tanh", WX_RULE_arithmetic}, {"arcsinh", WX_RULE_arithmetic}, {"arccosh", WX_RULE_arithmetic},
    {"degrees", WX_RULE_arithmetic}, {"rad2deg", WX_RULE_arithmetic}, {"radians", WX_RULE_arithmetic},
    {"deg2rad", WX_RULE_arithmetic},
};

NPY_NO_EXPORT enum wx_rule
wx_rule_of_ufunc(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof(RULES) / sizeof(RULES[0]); i++) {
        if (RULES[i].name[0] == name[0] && strcmp(RULES[i].name, name) == 0) {
            return RULES[i].rule;
        }
    }
    return WX_RULE_none;
}

NPY_NO_EXPORT int
wx_can_watch(int nin, int nout, PyArray_Descr *const *descriptors)
{
    return nin >= 1 && nout >= 1 && nin + nout <= WX_MAX_OPERANDS &&
           (PyTypeNum_ISFLOAT(descriptors[nin]->type_num) || PyTypeNum_ISCOMPLEX(descriptors[nin]->type_num));
}

#define EXPONENT_16 0x7c00u
#define EXPONENT_32 0x7f800000u
#define EXPONENT_64 0x7ff0000000000000u
#define EXPONENT_HIGH 0x7fff000000000000u

#define KIND_OF(bits, low, exponent) \
    (((bits) & (exponent)) == (exponent) ? ((bits) & ((exponent) & -(exponent)) - 1) | (low) ? IS_NAN : IS_INF \
     : (bits) & (exponent) ? 0 : ((bits) << 1) | (low) ? IS_SUBNORMAL : IS_ZERO)

static int
kind_of_real(int type, const char *at)
{
    switch (type) {
        case NPY_HALF: {
            npy_uint16 bits;
            memcpy(&bits, at, sizeof(bits));
            npy_uint32 wide = (npy_uint32)bits << 16;
            return KIND_OF(wide, 0, EXPONENT_16 << 16);
        }
        case NPY_FLOAT: {
            npy_uint32 bits;
            memcpy(&bits, at, sizeof(bits));
            return KIND_OF(bits, 0, EXPONENT_32);
        }
        case NPY_DOUBLE: {
            npy_uint64 bits;
            memcpy(&bits, at, sizeof(bits));
            return KIND_OF(bits, 0, EXPONENT_64);
        }
        default: {
            npy_uint64 bits[2];
            memcpy(bits, at, sizeof(bits));
            return KIND_OF(bits[1], bits[0], EXPONENT_HIGH);
        }
    }
}

/* Of a complex number: NaN, infinite or subnormal if one of its parts is, zero if both are. */
static int
kind_of(int type, npy_intp size, const char *at)
{
    if (PyTypeNum_ISCOMPLEX(type)) {
        int part = type == NPY_CFLOAT ? NPY_FLOAT : type == NPY_CDOUBLE ? NPY_DOUBLE : NPY_LONGDOUBLE;
        int real = kind_of_real(part, at), imaginary = kind_of_real(part, at + size / 2);
        return ((real | imaginary) & ~IS_ZERO) | (real & imaginary & IS_ZERO);
    }
    if (PyTypeNum_ISFLOAT(type)) {
        return kind_of_real(type, at);
    }
    if (PyTypeNum_ISNUMBER(type) || PyTypeNum_ISDATETIME(type)) {
        for (npy_intp i = 0; i < size; i++) {
            if (at[i] != 0) {
                npy_int64 value = 0;
                if (PyTypeNum_ISDATETIME(type)) {
                    memcpy(&value, at, sizeof(value));
                }
                return value == NPY_DATETIME_NAT ? IS_NAN : 0;
            }
        }
        return IS_ZERO;
    }
    return 0;
}

static int
errors_of(enum wx_rule rule, int nin, const int *in, int out)
{
    int any = in[0] | (nin > 1 ? in[1] : 0) | (nin > 2 ? in[2] : 0);
    if (any & IS_NAN) {
        return 0;
    }
    int errors = out & IS_NAN ? FE_INVALID : 0;
    if (any & IS_INF) {
        return errors;
    }
    if (out & IS_INF) {
        int divides = rule == WX_RULE_divide || rule == WX_RULE_floor;
        int is_pole = rule == WX_RULE_pole || (divides && nin > 1 && in[1] & IS_ZERO) ||
                      (rule == WX_RULE_power && in[0] & IS_ZERO);
        errors |= is_pole ? FE_DIVBYZERO : rule == WX_RULE_floor ? FE_OVERFLOW | FE_INVALID : FE_OVERFLOW;
    }
    if (out & (IS_ZERO | IS_SUBNORMAL)) {
        int is_inexact = rule == WX_RULE_exponential ||
                         ((rule == WX_RULE_divide || rule == WX_RULE_power) && !(in[0] & IS_ZERO)) ||
                         (rule == WX_RULE_multiply && !(any & IS_ZERO));
        errors |= is_inexact ? FE_UNDERFLOW : 0;
    }
    return errors;
}

struct operand {
    const char *at;
    npy_intp stride, size;
    int type;
};

#define ANY_SPECIAL(name, word, words, exponent) \
    static int name(const char *at, npy_intp stride, npy_intp count) \
    { \
        int found = 0; \
        if (stride == (npy_intp)((words) * sizeof(word))) { \
            const word *bits = (const word *)at; \
            for (npy_intp i = 0; i < count * (words); i++) { \
                found |= (bits[i] & (exponent)) == (exponent); \
            } \
            return found; \
        } \
        for (npy_intp i = 0; i < count; i++, at += stride) { \
            for (int j = 0; j < (words); j++) { \
                found |= (((const word *)at)[j] & (exponent)) == (exponent); \
            } \
        } \
        return found; \
    }

ANY_SPECIAL(any_special_half, npy_uint16, 1, EXPONENT_16)
ANY_SPECIAL(any_special_float, npy_uint32, 1, EXPONENT_32)
ANY_SPECIAL(any_special_double, npy_uint64, 1, EXPONENT_64)
ANY_SPECIAL(any_special_cfloat, npy_uint32, 2, EXPONENT_32)
ANY_SPECIAL(any_special_cdouble, npy_uint64, 2, EXPONENT_64)

/* Whether one of the numbers is infinite or NaN, or may be. */
static int
any_special(const struct operand *x, npy_intp count)
{
    switch (x->type) {
        case NPY_HALF: return any_special_half(x->at, x->stride, count);
        case NPY_FLOAT: return any_special_float(x->at, x->stride, count);
        case NPY_DOUBLE: return any_special_double(x->at, x->stride, count);
        case NPY_CFLOAT: return any_special_cfloat(x->at, x->stride, count);
        case NPY_CDOUBLE: return any_special_cdouble(x->at, x->stride, count);
        default: return 1;
    }
}

static inline int
is_nan(const struct operand *x, npy_intp i)
{
    npy_uint64 bits;
    memcpy(&bits, x->at + i * x->stride, sizeof(bits));
    return (bits & ~((npy_uint64)1 << 63)) > EXPONENT_64;
}

/* The errors of elements first to last; with_zeros: underflows, too. */
static int
errors_of_block(enum wx_rule rule, int nin, int nout, const struct operand *x, npy_intp first, npy_intp last,
                int with_zeros)
{
    int errors = 0;
    int is_double = x[0].type == NPY_DOUBLE && (nin == 1 || x[1].type == NPY_DOUBLE) && nin <= 2;
    for (npy_intp i = first; i < last; i++) {
        /* Missing values are NaN, and there may be many. */
        if (is_double && (is_nan(&x[0], i) || (nin == 2 && is_nan(&x[1], i)))) {
            continue;
        }
        int in[WX_MAX_OPERANDS] = {0};
        int has_in = 0;
        for (int j = nin; j < nin + nout; j++) {
            int out = kind_of(x[j].type, x[j].size, x[j].at + i * x[j].stride);
            if (x[j].type == NPY_HALF) {
                /* numpy tells of underflows itself where it converts to halves, if there is something left to convert. */
                out &= rule == WX_RULE_exponential ? IS_NAN | IS_INF | IS_ZERO : IS_NAN | IS_INF;
            }
            if (!(out & (IS_NAN | IS_INF)) && !(with_zeros && out)) {
                continue;
            }
            for (int k = 0; !has_in && k < nin; k++) {
                in[k] = kind_of(x[k].type, x[k].size, x[k].at + i * x[k].stride);
            }
            has_in = 1;
            int found = errors_of(rule, nin, in, out);
            /* Halves are divided as floats, which do not overflow. */
            errors |= x[j].type == NPY_HALF && found & FE_OVERFLOW ? found & ~FE_INVALID : found;
        }
    }
    return errors;
}

static int
looks_at_zeros(void)
{
    return (wx_float_errors_wanted >> UFUNC_SHIFT_UNDERFLOW) & UFUNC_MASK_DIVIDEBYZERO;
}

static void
watch(enum wx_rule rule, int nin, int nout, const struct operand *x, npy_intp count)
{
    int with_zeros = looks_at_zeros();
    int errors = 0;
    for (npy_intp first = 0; first < count; first += BLOCK_ITEMS) {
        npy_intp items = count - first < BLOCK_ITEMS ? count - first : BLOCK_ITEMS;
        int found = with_zeros;
        for (int j = nin; !found && j < nin + nout; j++) {
            struct operand block = x[j];
            block.at += first * block.stride;
            found = any_special(&block, items);
        }
        if (found) {
            errors |= errors_of_block(rule, nin, nout, x, first, first + items, with_zeros);
        }
    }
    if (errors) {
        feraiseexcept(errors);
    }
}

/* A reduction: the result is one number, its arguments are the number that was there before and all the others. */
static void
watch_reduction(enum wx_rule rule, const struct operand *x, int before, npy_intp count)
{
    int out = kind_of(x[2].type, x[2].size, x[2].at);
    if (!(out & (IS_NAN | IS_INF))) {
        return;
    }
    int in[2] = {before, 0};
    for (npy_intp i = 0; i < count; i++) {
        in[1] |= kind_of(x[1].type, x[1].size, x[1].at + i * x[1].stride);
    }
    int errors = errors_of(rule, 2, in, out);
    if (errors) {
        feraiseexcept(errors);
    }
}

NPY_NO_EXPORT void
wx_watch_loop(enum wx_rule rule, int nin, int nout, PyArray_Descr *const *descriptors,
              void (*loop)(char **, npy_intp const *, npy_intp const *, void *), void *loop_data,
              char *const *data, const npy_intp *dimensions, const npy_intp *strides)
{
    struct operand x[WX_MAX_OPERANDS];
    npy_intp count = dimensions[0];
    npy_intp block = count;
    int overwritten[WX_MAX_OPERANDS] = {0};
    int overwrites = 0;
    for (int j = 0; j < nin + nout; j++) {
        x[j] = (struct operand){data[j], strides[j], descriptors[j]->elsize, descriptors[j]->type_num};
        for (int k = nin; j < nin && k < nin + nout; k++) {
            overwritten[j] |= data[j] == data[k];
        }
        overwrites += overwritten[j];
    }
    if (overwritten[0] && nin == 2 && nout == 1 && strides[0] == 0 && strides[2] == 0) {
        int before = kind_of(x[0].type, x[0].size, x[0].at);
        loop((char **)data, dimensions, strides, loop_data);
        watch_reduction(rule, x, before, count);
        return;
    }
    if (!overwrites) {
        loop((char **)data, dimensions, strides, loop_data);
        watch(rule, nin, nout, x, count);
        return;
    }
    union { char bytes[BLOCK_BYTES]; npy_longdouble aligned; } kept[2];
    if (overwrites > 2) {
        loop((char **)data, dimensions, strides, loop_data);
        return;
    }
    for (int j = 0; j < nin; j++) {
        if (overwritten[j] && BLOCK_BYTES / x[j].size < block) {
            block = BLOCK_BYTES / x[j].size;
        }
    }
    char *moving[WX_MAX_OPERANDS];
    for (npy_intp first = 0; first < count; first += block) {
        npy_intp items = count - first < block ? count - first : block;
        struct operand part[WX_MAX_OPERANDS];
        int used = 0;
        for (int j = 0; j < nin + nout; j++) {
            part[j] = x[j];
            moving[j] = data[j] + first * strides[j];
            part[j].at = moving[j];
            if (!overwritten[j]) {
                continue;
            }
            char *copy = kept[used++].bytes;
            for (npy_intp i = 0; i < items; i++) {
                memcpy(copy + i * x[j].size, part[j].at + i * strides[j], x[j].size);
            }
            part[j].at = copy;
            part[j].stride = x[j].size;
        }
        loop(moving, &items, strides, loop_data);
        watch(rule, nin, nout, part, items);
    }
}

NPY_NO_EXPORT int
wx_watch_indexed_loop(enum wx_rule rule, PyArray_Descr *const *descriptors, PyArrayMethod_StridedLoop *loop,
                      PyArrayMethod_Context *context, char *const *data, npy_intp count, const npy_intp *steps)
{
    int type = descriptors[0]->type_num;
    npy_intp size = descriptors[0]->elsize, one = 1;
    int with_zeros = looks_at_zeros();
    int errors = 0;
    char *targets[BLOCK_ITEMS];
    union { char bytes[BLOCK_BYTES]; npy_longdouble aligned; } kept, before;
    for (npy_intp first = 0; first < count; first += BLOCK_ITEMS) {
        npy_intp items = count - first < BLOCK_ITEMS ? count - first : BLOCK_ITEMS;
        char *part[3] = {data[0], data[1] + first * steps[1], data[2] + first * steps[2]};
        for (npy_intp i = 0; i < items; i++) {
            npy_intp index = *(npy_intp *)(part[1] + i * steps[1]);
            targets[i] = data[0] + steps[0] * (index < 0 ? index + steps[3] : index);
            memcpy(kept.bytes + i * size, targets[i], size);
        }
        int result = loop(context, part, &items, steps, NULL);
        if (result != 0) {
            return result;
        }
        int found = with_zeros;
        for (npy_intp i = 0; !found && i < items; i++) {
            struct operand written = {targets[i], size, size, type};
            found = any_special(&written, 1);
        }
        if (!found) {
            continue;
        }
        for (npy_intp i = 0; i < items; i++) {
            memcpy(targets[i], kept.bytes + i * size, size);
        }
        for (npy_intp i = 0; i < items; i++) {
            memcpy(before.bytes, targets[i], size);
            result = loop(context, part, &one, steps, NULL);
            if (result != 0) {
                return result;
            }
            struct operand x[3] = {{before.bytes, size, size, type},
                                   {part[2], size, descriptors[1]->elsize, descriptors[1]->type_num},
                                   {targets[i], size, size, type}};
            errors |= errors_of_block(rule, 2, 1, x, 0, 1, with_zeros);
            part[1] += steps[1];
            part[2] += steps[2];
        }
    }
    if (errors) {
        feraiseexcept(errors);
    }
    return 0;
}

NPY_NO_EXPORT void
wx_watch_scalars(enum wx_rule rule, int type, int result_type, const void *first, const void *second,
                 const void *result, const void *second_result)
{
    if (rule == WX_RULE_none) {
        return;
    }
    struct operand x[WX_MAX_OPERANDS] = {
        {first, 0, SIZES[type], type}, {second, 0, SIZES[type], type},
        {result, 0, SIZES[result_type], result_type}, {second_result, 0, SIZES[result_type], result_type},
    };
    int out = kind_of(result_type, x[2].size, result);
    int second_out = second_result == NULL ? 0 : kind_of(result_type, x[3].size, second_result);
    if (out | second_out) {
        /* Nobody has told which errors are wanted: numpy asks for the settings when there is one. */
        int errors = errors_of_block(rule, 2, second_result == NULL ? 1 : 2, x, 0, 1, 1);
        if (errors) {
            feraiseexcept(errors);
        }
    }
}

/* As x86-64 converts: by way of int32 or int64, and it is their range that counts. */
#define ALL_INSIDE(name, real, value_of) \
    static int name(const char *at, npy_intp stride, npy_intp count, double begin, double end) \
    { \
        int outside = 0; \
        for (npy_intp i = 0; i < count; i++, at += stride) { \
            real number; \
            memcpy(&number, at, sizeof(number)); \
            double value = (double)value_of(number); \
            outside |= !((value > begin) & (value < end)); \
        } \
        return !outside; \
    }

ALL_INSIDE(all_inside_half, npy_half, npy_half_to_float)
ALL_INSIDE(all_inside_float, npy_float, )
ALL_INSIDE(all_inside_double, npy_double, )
ALL_INSIDE(all_inside_longdouble, npy_longdouble, )

static int
part_of(int type)
{
    return type == NPY_CFLOAT ? NPY_FLOAT : type == NPY_CDOUBLE ? NPY_DOUBLE
           : type == NPY_CLONGDOUBLE ? NPY_LONGDOUBLE : type;
}

NPY_NO_EXPORT void
wx_watch_cast(int from, int to, char *const *data, npy_intp count, npy_intp from_stride, npy_intp to_stride)
{
    int from_part = part_of(from), to_part = part_of(to);
    if (PyTypeNum_ISINTEGER(to)) {
        int is_wide = SIZES[to] == 8 || to == NPY_UINT;
        /* -2**31 - 1 and the number before -2**63: the first that do not convert. */
        double begin = is_wide ? -9223372036854777856.0 : -2147483649.0;
        double end = !is_wide ? 2147483648.0 : PyTypeNum_ISUNSIGNED(to) && SIZES[to] == 8 ? 18446744073709551616.0
                                                                                          : 9223372036854775808.0;
        int is_fine = from_part == NPY_HALF     ? all_inside_half(data[0], from_stride, count, begin, end)
                      : from_part == NPY_FLOAT  ? all_inside_float(data[0], from_stride, count, begin, end)
                      : from_part == NPY_DOUBLE ? all_inside_double(data[0], from_stride, count, begin, end)
                                                : all_inside_longdouble(data[0], from_stride, count, begin, end);
        if (!is_fine) {
            feraiseexcept(FE_INVALID);
        }
        return;
    }
    struct operand written = {data[1], to_stride, SIZES[to], to};
    if (!any_special(&written, count)) {
        return;
    }
    int parts = from_part != from && to_part != to ? 2 : 1;
    for (npy_intp i = 0; i < count; i++) {
        for (int j = 0; j < parts; j++) {
            int in = kind_of_real(from_part, data[0] + i * from_stride + j * SIZES[from_part]);
            int out = kind_of_real(to_part, data[1] + i * to_stride + j * SIZES[to_part]);
            if (out & IS_INF && !(in & IS_INF)) {
                feraiseexcept(FE_OVERFLOW);
            }
        }
    }
}
