/* hypot() as glibc has it since 2.35: a square root and one correction, nearly always correctly rounded.
 *
 * Source: Borges, An Improved Algorithm for hypot(a,b), arXiv 1904.09481, without fused multiplications. */
double hypot(double x, double y);

static inline double corrected(double longer, double shorter) {
    const double h = __builtin_sqrt(longer * longer + shorter * shorter);
    double first, second;
    if (h <= 2 * shorter) {
        const double delta = h - shorter;
        first = longer * (2 * delta - longer);
        second = (delta - 2 * (longer - shorter)) * delta;
    } else {
        const double delta = h - longer;
        first = 2 * delta * (longer - 2 * shorter);
        second = (4 * delta - shorter) * shorter + delta * delta;
    }
    return h - (first + second) / (2 * h);
}

double hypot(double x, double y) {
    x = __builtin_fabs(x);
    y = __builtin_fabs(y);
    if (x == __builtin_inf() || y == __builtin_inf())
        return __builtin_inf();
    if (x != x || y != y)
        return x + y;
    const double longer = x < y ? y : x, shorter = x < y ? x : y;
    if (shorter <= longer * 0x1p-54)
        return longer + shorter;
    if (longer > 0x1p511)
        return corrected(longer * 0x1p-600, shorter * 0x1p-600) * 0x1p600;
    if (shorter < 0x1p-459)
        return corrected(longer * 0x1p600, shorter * 0x1p600) * 0x1p-600;
    return corrected(longer, shorter);
}
