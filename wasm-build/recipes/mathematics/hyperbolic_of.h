/* The hyperbolic functions and their inverses of NUMBER, named OF(name); SQRT is its square root, EXP_MOST where its exp()
 * ceases to be finite, MOST where sinh() and cosh() do, ASINH_LARGE where asinh() becomes a logarithm. */
NUMBER OF(exp)(NUMBER);
NUMBER OF(expm1)(NUMBER);
NUMBER OF(log)(NUMBER);
NUMBER OF(log1p)(NUMBER);
NUMBER OF(sinh)(NUMBER x);
NUMBER OF(cosh)(NUMBER x);
NUMBER OF(tanh)(NUMBER x);
NUMBER OF(asinh)(NUMBER x);
NUMBER OF(acosh)(NUMBER x);
NUMBER OF(atanh)(NUMBER x);

static const NUMBER OF(half) = 0.5;

/* exp(x) / 2 where exp(x) alone may be infinite. */
static inline NUMBER OF(half_exp)(NUMBER x) {
    if (x < EXP_MOST)
        return OF(half) * OF(exp)(x);
    if (!(x <= MOST))
        return x * HUGE * HUGE;
    const NUMBER root = OF(exp)(OF(half) * x);
    return OF(half) * root * root;
}

NUMBER OF(sinh)(NUMBER x) {
    const NUMBER size = x < 0 ? -x : x;
    if (!(size >= TINY))
        return x;
    const NUMBER sign = x < 0 ? -1 : 1;
    if (size >= ONE_SIDED)
        return sign * OF(half_exp)(size);
    const NUMBER t = OF(expm1)(size);
    if (size < 1)
        return sign * OF(half) * (2 * t - t * t / (t + 1));
    return sign * OF(half) * (t + t / (t + 1));
}

NUMBER OF(cosh)(NUMBER x) {
    const NUMBER size = x < 0 ? -x : x;
    if (!(size < ONE_SIDED))
        return OF(half_exp)(size);
    if (size < HALF_LN2) {
        const NUMBER t = OF(expm1)(size), w = 1 + t;
        return 1 + t * t / (w + w);
    }
    const NUMBER t = OF(exp)(size);
    return OF(half) * t + OF(half) / t;
}

NUMBER OF(tanh)(NUMBER x) {
    const NUMBER size = x < 0 ? -x : x;
    if (!(size >= TINIEST))
        return x;
    NUMBER value = 1;
    if (size < 1) {
        const NUMBER t = OF(expm1)(-2 * size);
        value = -t / (t + 2);
    } else if (size < ONE_SIDED) {
        value = 1 - 2 / (OF(expm1)(2 * size) + 2);
    }
    return x < 0 ? -value : value;
}

NUMBER OF(asinh)(NUMBER x) {
    const NUMBER size = x < 0 ? -x : x;
    if (!(size >= TINY))
        return x;
    NUMBER value;
    if (size > ASINH_LARGE) {
        value = OF(log)(size) + (NUMBER)LN2;
    } else if (size > 2) {
        value = OF(log)(2 * size + 1 / (SQRT(size * size + 1) + size));
    } else {
        const NUMBER square = size * size;
        value = OF(log1p)(size + square / (1 + SQRT(1 + square)));
    }
    return x < 0 ? -value : value;
}

NUMBER OF(acosh)(NUMBER x) {
    if (!(x >= 1))
        return (x - x) / (x - x);
    if (x >= LARGE)
        return OF(log)(x) + (NUMBER)LN2;
    if (x > 2)
        return OF(log)(2 * x - 1 / (x + SQRT(x * x - 1)));
    const NUMBER t = x - 1;
    return OF(log1p)(t + SQRT(2 * t + t * t));
}

NUMBER OF(atanh)(NUMBER x) {
    const NUMBER size = x < 0 ? -x : x, twice = size + size;
    if (size >= 1)
        return size > 1 ? (x - x) / (x - x) : x / (1 - size);
    if (!(size >= TINY))
        return x;
    const NUMBER value = size < 0.5 ? OF(log1p)(twice + twice * size / (1 - size)) : OF(log1p)(twice / (1 - size));
    return x < 0 ? -OF(half) * value : OF(half) * value;
}

#undef NUMBER
#undef OF
#undef SQRT
#undef HUGE
#undef EXP_MOST
#undef MOST
#undef ASINH_LARGE
