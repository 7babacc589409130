/* The complex tangents and logarithm of NUMBER, named OF(name); PACK makes a complex number, LEAST and LARGEST are the least
 * normal and the largest number, DIGITS its binary digits, STEP the distance from 1 to the next; from MOST on exp() of twice a
 * number is divided by in two steps. */
NUMBER complex OF(ctanh)(NUMBER complex z);
NUMBER complex OF(ctan)(NUMBER complex z);
NUMBER complex OF(clog)(NUMBER complex z);

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

NUMBER complex OF(clog)(NUMBER complex z) {
    const NUMBER x = OF(creal)(z), y = OF(cimag)(z), angle = OF(atan2)(y, x);
    if (isnan(x) || isnan(y))
        return PACK(isinf(x) || isinf(y) ? (NUMBER)INFINITY : (NUMBER)NAN, (NUMBER)NAN);
    if (x == 0 && y == 0)
        return PACK(-1 / OF(fabs)(x), angle);
    NUMBER longer = OF(fabs)(x), shorter = OF(fabs)(y);
    if (longer < shorter) {
        longer = OF(fabs)(y);
        shorter = OF(fabs)(x);
    }
    int scale = 0;
    if (longer > LARGEST / 2) {
        scale = -1;
        longer /= 2;
        shorter = shorter >= 2 * LEAST ? shorter / 2 : 0;
    } else if (longer < LEAST) {
        scale = DIGITS;
        longer = OF(scalbn)(longer, scale);
        shorter = OF(scalbn)(shorter, scale);
    }
    NUMBER beside;
    if (scale != 0)
        return PACK(OF(log)(OF(hypot)(longer, shorter)) - scale * (NUMBER)LN2, angle);
    if (longer == 1)
        beside = shorter * shorter;
    else if (longer > 1 && longer < 2 && shorter < 1)
        beside = (longer - 1) * (longer + 1) + (shorter >= STEP ? shorter * shorter : 0);
    else if (longer < 1 && longer >= (NUMBER)0.5 && shorter < STEP / 2)
        beside = (longer - 1) * (longer + 1);
    else if (longer < 1 && longer >= (NUMBER)0.5 && longer * longer + shorter * shorter >= (NUMBER)0.5)
        beside = OF(beside_circle)(longer, shorter);
    else
        return PACK(OF(log)(OF(hypot)(longer, shorter)), angle);
    return PACK(OF(log1p)(beside) / 2, angle);
}

#undef NUMBER
#undef OF
#undef PACK
#undef LEAST
#undef LARGEST
#undef DIGITS
#undef STEP
#undef MOST
