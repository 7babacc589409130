/* strerror() with glibc's texts. The library's own says "No error information" of a number that it does not know. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
#define E(number, text) [number] = text,
#include "__strerror.h"
#undef E
};

char *strerror(int number) {
    static char unknown[sizeof "Unknown error -2147483648"];
    if (number >= 0 && (size_t)number < sizeof texts / sizeof *texts && texts[number])
        return (char *)texts[number];
    snprintf(unknown, sizeof unknown, "Unknown error %d", number);
    return unknown;
}

char *strerror_l(int number, locale_t locale) {
    (void)locale;
    return strerror(number);
}

char *__strerror_l(int number, locale_t locale) {
    return strerror_l(number, locale);
}
