/* The complex tangents of NUMBER, named OF(name); PACK makes a complex number, LEAST is the least normal number, STEP that
 * from 1 to the next; from MOST on exp() of twice a number is divided by in two steps. */
NUMBER complex OF(ctanh)(NUMBER complex z);
NUMBER complex OF(ctan)(NUMBER complex z);

NUMBER complex OF(ctanh)(NUMBER complex z) {
    const NUMBER x = OF(creal)(z), y = OF(cimag)(z);
    if (isinf(x)) {
        const NUMBER turn = isfinite(y) && OF(fabs)(y) > 1 ? OF(sin)(y) * OF(cos)(y) : y;
        return PACK(OF(copysign)(1, x), OF(copysign)(0, turn));
    }
    if (!isfinite(x) || !isfinite(y)) {
        if (y == 0)
            return z;
        return PACK(x == 0 ? x : (NUMBER)NAN, (NUMBER)NAN);
    }
    const int turns = OF(fabs)(y) > LEAST;
    const NUMBER sine = turns ? OF(sin)(y) : y, cosine = turns ? OF(cos)(y) : 1;
    if (OF(fabs)(x) > MOST) {
        const NUMBER rest = OF(fabs)(x) - MOST, large = OF(exp)(2 * (NUMBER)MOST);
        const NUMBER first = 4 * sine * cosine / large;
        return PACK(OF(copysign)(1, x), first / (rest > MOST ? large : OF(exp)(2 * rest)));
    }
    const int rises = OF(fabs)(x) > LEAST;
    const NUMBER up = rises ? OF(sinh)(x) : x, along = rises ? OF(cosh)(x) : 1;
    const NUMBER below = cosine * cosine;
    const NUMBER divisor = OF(fabs)(up) > OF(fabs)(cosine) * STEP ? up * up + below : below;
    return PACK(up * along / divisor, sine * cosine / divisor);
}

NUMBER complex OF(ctan)(NUMBER complex z) {
    const NUMBER complex turned = OF(ctanh)(PACK(-OF(cimag)(z), OF(creal)(z)));
    return PACK(OF(cimag)(turned), -OF(creal)(turned));
}

#undef NUMBER
#undef OF
#undef PACK
#undef LEAST
#undef STEP
#undef MOST
