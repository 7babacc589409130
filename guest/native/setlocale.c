/* setlocale() as on a 64-bit Linux that has the locales C and C.UTF-8 only: any other is refused.
 *
 * The compiler's library accepts every name and ignores it: a German day name was asked for, an English one came back. */
#define _GNU_SOURCE
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* In glibc's order, in which a mixture is told. */
static const char *const CATEGORIES[] = {"LC_CTYPE", "LC_NUMERIC", "LC_TIME",    "LC_COLLATE",   "LC_MONETARY",    "LC_MESSAGES",      "",
                                         "LC_PAPER", "LC_NAME",    "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION"};
static const char *const KNOWN[] = {"C", "C.UTF-8", "C.utf8"};
enum { COUNT = sizeof CATEGORIES / sizeof *CATEGORIES, LONGEST = 512 };

static const char *chosen[COUNT] = {"C.UTF-8", "C", "C", "C", "C", "C", "", "C", "C", "C", "C", "C", "C"};

/* The name of a locale that there is, NULL for any other. */
static const char *known(const char *name, size_t length) {
    if (length == 0)
        return "C.UTF-8";
    if (length == strlen("POSIX") && memcmp(name, "POSIX", length) == 0)
        return "C";
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (length == strlen(KNOWN[i]) && memcmp(name, KNOWN[i], length) == 0)
            return KNOWN[i];
    return NULL;
}

/* Reads a mixture as setlocale() tells it: each category once. */
static bool read_mixture(const char *text, const char *found[COUNT]) {
    while (*text) {
        size_t length = strcspn(text, "="), index = 0;
        while (index < COUNT && (strlen(CATEGORIES[index]) != length || memcmp(CATEGORIES[index], text, length) != 0))
            index++;
        if (index == COUNT || index == LC_ALL || found[index] || text[length] != '=')
            return false;
        text += length + 1;
        length = strcspn(text, ";");
        found[index] = length > 0 ? known(text, length) : NULL;
        if (!found[index])
            return false;
        text += length + (text[length] == ';');
    }
    for (int i = 0; i < COUNT; i++)
        if (i != LC_ALL && !found[i])
            return false;
    return true;
}

static const char *all(void) {
    static char text[LONGEST];
    bool same = true;
    for (int i = 1; i < COUNT; i++)
        same &= i == LC_ALL || strcmp(chosen[i], chosen[0]) == 0;
    if (same)
        return chosen[0];
    size_t used = 0;
    for (int i = 0; i < COUNT; i++)
        if (i != LC_ALL)
            used += (size_t)snprintf(text + used, LONGEST - used, "%s%s=%s", used ? ";" : "", CATEGORIES[i], chosen[i]);
    return text;
}

char *setlocale(int category, const char *name) {
    static locale_t utf8;
    if (category < 0 || category >= COUNT)
        return NULL;
    if (!utf8 && (utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)))
        uselocale(utf8); // Both have UTF-8: CPython starts in the one, statements see the other.
    if (name && category == LC_ALL && strchr(name, '=')) {
        const char *found[COUNT] = {NULL};
        if (!read_mixture(name, found))
            return NULL;
        memcpy(chosen, found, sizeof chosen);
    } else if (name) {
        const char *one = known(name, strlen(name));
        if (!one)
            return NULL;
        for (int i = 0; i < COUNT; i++)
            if (i == category || category == LC_ALL)
                chosen[i] = one;
    }
    return (char *)(category == LC_ALL ? all() : chosen[category]);
}
