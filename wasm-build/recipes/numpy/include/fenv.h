/* Floating-point status flags kept in a variable.
 *
 * WebAssembly has no status flags, and libc's functions for them do nothing, so numpy would never learn what its own code reports
 * with feraiseexcept(): a singular matrix would come back as NaN instead of LinAlgError, an integer division by zero without its
 * warning. One variable serves all of numpy's modules, because linalg sets the flags that the ufunc machinery reads.
 */
#ifndef WX_NUMPY_FENV_H
#define WX_NUMPY_FENV_H

#include_next <fenv.h>

#define FE_INVALID 1
#define FE_DIVBYZERO 4
#define FE_OVERFLOW 8
#define FE_UNDERFLOW 16
#define FE_INEXACT 32
#undef FE_ALL_EXCEPT
#define FE_ALL_EXCEPT (FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT)

#ifdef __cplusplus
extern "C" {
#endif
extern int wx_numpy_float_status;
#ifdef __cplusplus
}
#endif

static inline int wx_numpy_feclearexcept(int flags) { wx_numpy_float_status &= ~flags; return 0; }
static inline int wx_numpy_feraiseexcept(int flags) { wx_numpy_float_status |= flags; return 0; }
static inline int wx_numpy_fetestexcept(int flags) { return wx_numpy_float_status & flags; }

#define feclearexcept wx_numpy_feclearexcept
#define feraiseexcept wx_numpy_feraiseexcept
#define fetestexcept wx_numpy_fetestexcept

#endif
