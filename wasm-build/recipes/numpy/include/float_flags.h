/* Floating-point errors found by looking at results, because WebAssembly has no status flags (see fenv.h beside this).
 *
 * A NaN that comes out where none went in is an invalid operation; an infinity out of finite numbers is a division by zero or an
 * overflow, which the operation and its arguments tell apart. Found errors are set with feraiseexcept(), where numpy looks for them.
 */
#ifndef WX_NUMPY_FLOAT_FLAGS_H
#define WX_NUMPY_FLOAT_FLAGS_H

#include "numpy/ndarraytypes.h"
#include "numpy/_dtype_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an infinity or a zero out of finite numbers means. */
enum wx_rule {
    WX_RULE_none = 0, /* no errors: signs, rounding, maxima */
    WX_RULE_arithmetic, /* an overflow */
    WX_RULE_multiply, /* an overflow; a zero may be an underflow, as below */
    WX_RULE_divide, /* a division by zero if the second argument is zero */
    WX_RULE_floor, /* a division by zero likewise; an overflow is then taken from itself, which is invalid */
    WX_RULE_power, /* a division by zero if the first argument is zero */
    WX_RULE_exponential, /* an overflow or underflow */
    WX_RULE_pole, /* a division by zero: logarithms */
};

/* As numpy's scalars name them. */
#define WX_RULE_add WX_RULE_arithmetic
#define WX_RULE_subtract WX_RULE_arithmetic
#define WX_RULE_remainder WX_RULE_arithmetic
#define WX_RULE_true_divide WX_RULE_divide
#define WX_RULE_floor_divide WX_RULE_floor
#define WX_RULE_divmod WX_RULE_floor
#define WX_RULE_lshift WX_RULE_none
#define WX_RULE_rshift WX_RULE_none
#define WX_RULE_and WX_RULE_none
#define WX_RULE_or WX_RULE_none
#define WX_RULE_xor WX_RULE_none

#define WX_MAX_OPERANDS 4

/* The errors that somebody asks for, as numpy's error mask; set when a ufunc reads its settings. */
extern int wx_float_errors_wanted;

/* The rule of one of numpy's own ufuncs, by its name; of others nothing is known. */
NPY_NO_EXPORT enum wx_rule wx_rule_of_ufunc(const char *name);

/* Whether a loop over these types can be watched: it has a floating result and few operands. */
NPY_NO_EXPORT int wx_can_watch(int nin, int nout, PyArray_Descr *const *descriptors);

/* Run a loop and look at what it wrote. Loops that overwrite their input run in blocks, of which the input is kept. */
NPY_NO_EXPORT void
wx_watch_loop(enum wx_rule rule, int nin, int nout, PyArray_Descr *const *descriptors,
              void (*loop)(char **, npy_intp const *, npy_intp const *, void *), void *loop_data,
              char *const *data, const npy_intp *dimensions, const npy_intp *strides);

/* Run one of the loops of ufunc.at(), data[0][index] = operation(data[0][index], data[2]) for each index at data[1], and look at what
 * it wrote. Where a result is not finite, a block runs once more from what was there before, one element at a time. */
NPY_NO_EXPORT int
wx_watch_indexed_loop(enum wx_rule rule, PyArray_Descr *const *descriptors, PyArrayMethod_StridedLoop *loop,
                      PyArrayMethod_Context *context, char *const *data, npy_intp count, const npy_intp *steps);

/* Look at one result of two arguments; second_result may be NULL. */
NPY_NO_EXPORT void
wx_watch_scalars(enum wx_rule rule, int type, int result_type, const void *first, const void *second,
                 const void *result, const void *second_result);

/* Look at what a cast between two number types wrote. */
NPY_NO_EXPORT void
wx_watch_cast(int from, int to, char *const *data, npy_intp count, npy_intp from_stride, npy_intp to_stride);

#ifdef __cplusplus
}
#endif
#endif
