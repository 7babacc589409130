/* strftime(), wcsftime() and gmtime_r() as glibc has them in the C locale. CPython formats every time with the second,
 * pandas its periods with the first.
 *
 * The compiler's library knows fewer codes, no flags, and leaves the whole text empty for a code that it does not know;
 * glibc copies that through. Compared with glibc 2.36. Between `%` and the code: flags `_`, `-`, `0` (the last one counts),
 * `^`, `#`, a width, then `E` or `O`. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

static const char *const DAYS[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const MONTHS[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
enum { ABBREVIATED = 3, DIGITS = 24 };
static const size_t MOST = SIZE_MAX / 2;

/* Where the text goes; `used` counts also what did not fit, which makes the whole fail. */
typedef struct {
    wchar_t *text;
    size_t room;
    size_t used;
    bool of_bytes;
} output;

/* What stands between `%` and a code. */
typedef struct {
    wchar_t pad;
    bool upper;
    bool changed;
    int width;
    wchar_t modifier;
} spec;

static void put(output *out, wchar_t letter) {
    if (out->used < out->room)
        out->text[out->used] = letter;
    out->used += out->used < MOST;
}

static void fill(output *out, wchar_t letter, int count) {
    for (; count > 0 && out->used < out->room; count--)
        put(out, letter);
    /* Widths of a format may add up to more than there are numbers. */
    if (count > 0)
        out->used = (size_t)count > MOST - out->used ? MOST : out->used + (size_t)count;
}

static wchar_t upper(wchar_t letter) {
    return letter >= L'a' && letter <= L'z' ? letter - L'a' + L'A' : letter;
}

/* Of what is copied from the format, which may be any letter. */
static wchar_t copied_upper(const output *out, wchar_t letter) {
    return out->of_bytes ? upper(letter) : (wchar_t)towupper((wint_t)letter);
}

static wchar_t lower(wchar_t letter) {
    return letter >= L'A' && letter <= L'Z' ? letter - L'A' + L'a' : letter;
}

/* A text of so many letters, at the right of its width. */
static void pad_for(output *out, const spec *how, size_t length) {
    if (how->width > 0 && (size_t)how->width > length)
        fill(out, how->pad == L'0' ? L'0' : L' ', how->width - (int)length);
}

static void put_name(output *out, const spec *how, const char *name, size_t length, wchar_t (*change)(wchar_t)) {
    pad_for(out, how, length);
    for (size_t i = 0; i < length; i++)
        put(out, change ? change((wchar_t)name[i]) : (wchar_t)name[i]);
}

/* At least so many digits; 0 pads it as a text, its sign behind the zeros. */
static void put_number(output *out, const spec *how, int digits, long long value) {
    wchar_t text[DIGITS];
    int start = DIGITS;
    bool negative = value < 0;
    unsigned long long left = negative ? -(unsigned long long)value : (unsigned long long)value;
    do
        text[--start] = (wchar_t)(L'0' + left % 10);
    while ((left /= 10) != 0);
    int length = DIGITS - start + negative;
    int wanted = how->width > digits ? how->width : digits;
    bool is_text = digits == 0 || how->pad == L'-';
    if (is_text)
        pad_for(out, how, (size_t)length);
    else if (how->pad == L'_')
        fill(out, L' ', wanted - length);
    if (negative)
        put(out, L'-');
    if (!is_text && how->pad != L'_')
        fill(out, L'0', wanted - length);
    for (; start < DIGITS; start++)
        put(out, text[start]);
}

static bool is_leap(long long year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The week of ISO 8601, from 1, and the year that it belongs to. */
static int iso_week(const struct tm *time, long long *year) {
    *year = (long long)time->tm_year + 1900;
    /* Days from the Monday of the week that has 4 January in it. */
    int days = time->tm_yday - (time->tm_yday - time->tm_wday + 382) % 7 + 3;
    if (days < 0) {
        --*year;
        days = time->tm_yday + 365 + is_leap(*year);
        days = days - (days - time->tm_wday + 382) % 7 + 3;
    } else {
        int next = time->tm_yday - 365 - is_leap(*year);
        next = next - (next - time->tm_wday + 382) % 7 + 3;
        if (next >= 0) {
            ++*year;
            days = next;
        }
    }
    return days / 7 + 1;
}

static const char *zone_of(const struct tm *time) {
    const char *zone = time->tm_zone;
    return (zone && *zone) || time->tm_isdst < 0 ? (zone ? zone : "") : "UTC";
}

static void format(output *out, const wchar_t *text, const struct tm *time);

static void put_parts(output *out, const spec *how, const wchar_t *text, const struct tm *time) {
    output measured = {NULL, 0, 0, false};
    format(&measured, text, time);
    pad_for(out, how, measured.used);
    size_t start = out->used;
    format(out, text, time);
    for (size_t i = start; how->upper && i < out->used && i < out->room; i++)
        out->text[i] = upper(out->text[i]);
}

static int hour12(const struct tm *time) {
    return time->tm_hour > 12 ? time->tm_hour - 12 : time->tm_hour == 0 ? 12 : time->tm_hour;
}

/* Where `%` begins a field, what it says; returns the place of its code. */
static const wchar_t *read_spec(const wchar_t *at, spec *how) {
    *how = (spec){.width = -1};
    for (;; at++) {
        if (*at == L'_' || *at == L'-' || *at == L'0')
            how->pad = *at;
        else if (*at == L'^')
            how->upper = true;
        else if (*at == L'#')
            how->changed = true;
        else
            break;
    }
    if (*at >= L'0' && *at <= L'9') {
        how->width = 0;
        for (; *at >= L'0' && *at <= L'9'; at++)
            how->width = how->width > (INT_MAX - 9) / 10 ? INT_MAX : how->width * 10 + (*at - L'0');
    }
    if (*at == L'E' || *at == L'O')
        how->modifier = *at++;
    return at;
}

/* Codes that a modifier may stand before; those with eras and digits of their own have none in this locale. */
static bool is_allowed(wchar_t modifier, wchar_t code) {
    return modifier == 0 || wcschr(modifier == L'E' ? L"%CPRTXYZcnprstuxyz" : L"%BCGHIMPRSTUVWZbdeghjklmnprstuwyz", code) != NULL;
}

static bool put_field(output *out, spec how, wchar_t code, const struct tm *time) {
    if (!is_allowed(how.modifier, code))
        return false;
    wchar_t (*change)(wchar_t) = how.upper ? upper : NULL;
    long long year = (long long)time->tm_year + 1900;
    const wchar_t *parts = NULL;
    switch (code) {
        case L'%':
            put_name(out, &how, "%", 1, NULL);
            return true;
        case L'n':
            put_name(out, &how, "\n", 1, NULL);
            return true;
        case L't':
            put_name(out, &how, "\t", 1, NULL);
            return true;
        case L'a':
        case L'A':
        case L'b':
        case L'h':
        case L'B': {
            bool is_day = code == L'a' || code == L'A';
            int index = is_day ? time->tm_wday : time->tm_mon;
            const char *name = index < 0 || index >= (is_day ? 7 : 12) ? "?" : is_day ? DAYS[index] : MONTHS[index];
            size_t length = strlen(name);
            if (code != L'A' && code != L'B' && length > ABBREVIATED)
                length = ABBREVIATED;
            put_name(out, &how, name, length, how.upper || how.changed ? upper : NULL);
            return true;
        }
        case L'p':
        case L'P': {
            const char *name = time->tm_hour > 11 ? "PM" : "AM";
            put_name(out, &how, name, 2, code == L'P' || how.changed ? lower : NULL);
            return true;
        }
        case L'Z': {
            const char *zone = zone_of(time);
            put_name(out, &how, zone, strlen(zone), how.changed ? lower : change);
            return true;
        }
        case L'c':
            parts = L"%a %b %e %H:%M:%S %Y";
            break;
        case L'x':
        case L'D':
            parts = L"%m/%d/%y";
            break;
        case L'F':
            parts = L"%Y-%m-%d";
            break;
        case L'r':
            parts = L"%I:%M:%S %p";
            break;
        case L'R':
            parts = L"%H:%M";
            break;
        case L'X':
        case L'T':
            parts = L"%H:%M:%S";
            break;
    }
    if (parts) {
        put_parts(out, &how, parts, time);
        return true;
    }
    if ((code == L'e' || code == L'k' || code == L'l') && how.pad != L'0' && how.pad != L'-')
        how.pad = L'_';
    int digits = 2;
    long long value;
    switch (code) {
        case L'C':
            digits = 1;
            value = year / 100 - (year % 100 < 0);
            break;
        case L'd':
        case L'e':
            value = time->tm_mday;
            break;
        case L'H':
        case L'k':
            value = time->tm_hour;
            break;
        case L'I':
        case L'l':
            value = hour12(time);
            break;
        case L'j':
            digits = 3;
            value = time->tm_yday + 1;
            break;
        case L'm':
            value = time->tm_mon + 1;
            break;
        case L'M':
            value = time->tm_min;
            break;
        case L'S':
            value = time->tm_sec;
            break;
        case L's': {
            struct tm copy = *time;
            digits = 0;
            value = mktime(&copy);
            break;
        }
        case L'u':
            digits = 1;
            value = (time->tm_wday + 6) % 7 + 1;
            break;
        case L'w':
            digits = 1;
            value = time->tm_wday;
            break;
        case L'U':
            value = (time->tm_yday - time->tm_wday + 7) / 7;
            break;
        case L'W':
            value = (time->tm_yday - (time->tm_wday + 6) % 7 + 7) / 7;
            break;
        case L'V':
            value = iso_week(time, &year);
            break;
        case L'g':
            iso_week(time, &year);
            value = (year % 100 + 100) % 100;
            break;
        case L'G':
            iso_week(time, &year);
            digits = 1;
            value = year;
            break;
        case L'y':
            value = (year % 100 + 100) % 100;
            break;
        case L'Y':
            digits = 1;
            value = year;
            break;
        case L'z': {
            if (time->tm_isdst < 0)
                return true;
            long minutes = time->tm_gmtoff / 60;
            put_name(out, &how, minutes < 0 ? "-" : "+", 1, NULL);
            minutes = labs(minutes);
            digits = 4;
            value = minutes / 60 * 100 + minutes % 60;
            break;
        }
        default:
            return false;
    }
    put_number(out, &how, digits, value);
    return true;
}

static void format(output *out, const wchar_t *text, const struct tm *time) {
    for (; *text; text++) {
        if (*text != L'%') {
            put(out, *text);
            continue;
        }
        const wchar_t *start = text;
        spec how;
        text = read_spec(text + 1, &how);
        if (*text && put_field(out, how, *text, time))
            continue;
        /* glibc shows what it does not know, as a text of that width. */
        if (how.changed && (*text == L'b' || *text == L'h'))
            how.upper = true;
        if (!*text)
            text--;
        size_t length = (size_t)(text - start) + 1;
        pad_for(out, &how, length);
        for (size_t i = 0; i < length; i++)
            put(out, how.upper ? copied_upper(out, start[i]) : start[i]);
    }
}

size_t wcsftime(wchar_t *restrict text, size_t room, const wchar_t *restrict form, const struct tm *restrict time) {
    output out = {text, room, 0, false};
    format(&out, form, time);
    if (out.used >= room)
        return 0;
    text[out.used] = L'\0';
    return out.used;
}

size_t strftime(char *restrict text, size_t room, const char *restrict form, const struct tm *restrict time) {
    size_t length = strlen(form), used = 0;
    wchar_t *wide_form = malloc((length + 1) * sizeof *wide_form), *wide_text = calloc(room, sizeof *wide_text);
    if (wide_form && wide_text) {
        for (size_t i = 0; i <= length; i++)
            wide_form[i] = (unsigned char)form[i];
        output out = {wide_text, room, 0, true};
        format(&out, wide_form, time);
        used = out.used < room ? out.used : 0;
        for (size_t i = 0; i < used; i++)
            text[i] = (char)wide_text[i];
        if (out.used < room)
            text[used] = '\0';
    }
    free(wide_form);
    free(wide_text);
    return used;
}

size_t wcsftime_l(wchar_t *restrict text, size_t room, const wchar_t *restrict form, const struct tm *restrict time, locale_t locale) {
    (void)locale; // There is one.
    return wcsftime(text, room, form, time);
}

size_t strftime_l(char *restrict text, size_t room, const char *restrict form, const struct tm *restrict time, locale_t locale) {
    (void)locale;
    return strftime(text, room, form, time);
}

int __secs_to_tm(long long seconds, struct tm *time);

struct tm *gmtime_r(const time_t *restrict seconds, struct tm *restrict time) {
    if (__secs_to_tm(*seconds, time) < 0) {
        errno = EOVERFLOW;
        return NULL;
    }
    time->tm_isdst = 0;
    time->tm_gmtoff = 0;
    time->tm_zone = "GMT";
    return time;
}
