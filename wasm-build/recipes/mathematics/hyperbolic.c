/* sinh(), cosh(), tanh() and their inverses by the formulas of Sun's fdlibm, as glibc has them; musl has others, which end
 * on another last digit. Of atanh() it is glibc's, with one case for small arguments instead of two. */
#include "tables.h"

/* Up to TINY, for tanh() up to TINIEST, a value is its argument; from ONE_SIDED on exp(-x) is nothing beside exp(x), from
 * LARGE on 1 beside x * x. */
static const double TINY = 0x1p-28, TINIEST = 0x1p-55, ONE_SIDED = 22, LARGE = 0x1p28, HALF_LN2 = 0x1.62e43p-2;

#define NUMBER double
#define OF(name) name
#define SQRT __builtin_sqrt
#define HUGE 0x1p1000
#define EXP_MOST 0x1.62e42p9
#define MOST 0x1.633ce8fb9f87dp9
#define ASINH_LARGE 0x1p28
#include "hyperbolic_of.h"

#define NUMBER float
#define OF(name) name##f
#define SQRT __builtin_sqrtf
#define HUGE 0x1p120F
#define EXP_MOST 0x1.62e42ep6F
#define MOST 0x1.65a9f8p6F
#define ASINH_LARGE 0x1p15F
#include "hyperbolic_of.h"
