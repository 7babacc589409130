/* Strings and numbers as JSON text: the inner loops of encode_rows. */
#define PY_SSIZE_T_CLEAN
#include "rows_text.h"

#include <string.h>

/* Bytes that an ASCII character takes in a JSON string. */
// clang-format off: a row for each quarter of ASCII
static const uint8_t escaped_size[128] = {
    6, 6, 6, 6, 6, 6, 6, 6, 2, 2, 2, 6, 2, 2, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
    1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
};
// clang-format on

/* Whether no character needs an escape. Without a branch in the loop, so that the compiler makes it a vector loop. */
static bool is_plain(const uint8_t *text, size_t length) {
    uint8_t odd = 0;
    for (size_t i = 0; i < length; i++) {
        odd |= (uint8_t)((text[i] < 0x20) | (text[i] == '"') | (text[i] == '\\'));
    }
    return odd == 0;
}

static uint64_t wide_size(int kind, const void *data, size_t length) {
    uint64_t size = 2;
    for (size_t i = 0; i < length; i++) {
        Py_UCS4 character = PyUnicode_READ(kind, data, (Py_ssize_t)i);
        if (character < 0x80) {
            size += escaped_size[character];
        } else if (character < 0x800) {
            size += 2;
        } else if (character < 0x10000) {
            if (Py_UNICODE_IS_SURROGATE(character)) {
                return 0;
            }
            size += 3;
        } else {
            size += 4;
        }
    }
    return size;
}

uint64_t wx_text_size(PyObject *text) {
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text) && is_plain(PyUnicode_1BYTE_DATA(text), length)) {
        return (uint64_t)length + 2;
    }
    return wide_size((int)PyUnicode_KIND(text), PyUnicode_DATA(text), length);
}

static uint8_t *write_escape(uint8_t *out, Py_UCS4 character) {
    static const char digits[] = "0123456789abcdef";
    *out++ = '\\';
    switch (character) {
        case '"':
        case '\\':
            *out++ = (uint8_t)character;
            return out;
        case '\b':
            *out++ = 'b';
            return out;
        case '\t':
            *out++ = 't';
            return out;
        case '\n':
            *out++ = 'n';
            return out;
        case '\f':
            *out++ = 'f';
            return out;
        case '\r':
            *out++ = 'r';
            return out;
        default:
            memcpy(out, "u00", 3);
            out[3] = (uint8_t)digits[character >> 4];
            out[4] = (uint8_t)digits[character & 15];
            return out + 5;
    }
}

static uint8_t *write_character(uint8_t *out, Py_UCS4 character) {
    if (character < 0x80) {
        if (escaped_size[character] > 1) {
            return write_escape(out, character);
        }
        *out++ = (uint8_t)character;
    } else if (character < 0x800) {
        *out++ = (uint8_t)(0xc0 | character >> 6);
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        *out++ = (uint8_t)(0xe0 | character >> 12);
        *out++ = (uint8_t)(0x80 | (character >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | character >> 18);
        *out++ = (uint8_t)(0x80 | (character >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    }
    return out;
}

/* memcpy of an unknown size is a call out of the guest's code here, which costs more than a short text. The last word overlaps the one
 * before it, so that no loop over bytes is left, which the compiler would turn back into memcpy. */
static uint8_t *copy_text(uint8_t *out, const uint8_t *text, size_t length) {
    if (length >= 64) {
        memcpy(out, text, length);
    } else if (length >= 8) {
        for (size_t at = 0; at < length - 8; at += 8) {
            memcpy(out + at, text + at, 8);
        }
        memcpy(out + length - 8, text + length - 8, 8);
    } else if (length >= 4) {
        memcpy(out, text, 4);
        memcpy(out + length - 4, text + length - 4, 4);
    } else if (length > 0) {
        out[0] = text[0];
        out[length / 2] = text[length / 2];
        out[length - 1] = text[length - 1];
    }
    return out + length;
}

uint8_t *wx_text_write(uint8_t *out, PyObject *text, uint64_t size) {
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    const void *data = PyUnicode_DATA(text);
    *out++ = '"';
    if (PyUnicode_IS_ASCII(text) && size == (uint64_t)length + 2) {
        out = copy_text(out, data, length);
    } else {
        int kind = (int)PyUnicode_KIND(text);
        for (size_t i = 0; i < length; i++) {
            out = write_character(out, PyUnicode_READ(kind, data, (Py_ssize_t)i));
        }
    }
    *out++ = '"';
    return out;
}

uint8_t *wx_digits_write(uint8_t *out, uint64_t value) {
    uint8_t reversed[20];
    int count = 0;
    do {
        reversed[count++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *out++ = reversed[--count];
    }
    return out;
}

uint8_t *wx_int_write(uint8_t *out, int64_t value) {
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    return wx_digits_write(out, magnitude);
}
