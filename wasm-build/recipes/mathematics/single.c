/* Functions of floats by way of doubles: glibc's hypotf() is that, its tanf() and asinf() are nearest to it. */
double tan(double);
double asin(double);
float hypotf(float x, float y);
float tanf(float angle);
float asinf(float x);

float hypotf(float x, float y) {
    if (__builtin_isinf(x) || __builtin_isinf(y))
        return __builtin_inff();
    return (float)__builtin_sqrt((double)x * x + (double)y * y);
}

float tanf(float angle) {
    return (float)tan(angle);
}

float asinf(float x) {
    return (float)asin(x);
}
