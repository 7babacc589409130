/* Strings and numbers as JSON text, written into memory that the caller made large enough. */
#ifndef WX_ROWS_TEXT_H
#define WX_ROWS_TEXT_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

enum { WX_NUMBER_MAX = 40 };

/* Size of the JSON text of a string, quotes included; 0 when it holds a lone surrogate, which UTF-8 cannot express. */
uint64_t wx_text_size(PyObject *text);

/* Writes exactly the size that wx_text_size gave. */
uint8_t *wx_text_write(uint8_t *out, PyObject *text, uint64_t size);

/* Numbers take at most WX_NUMBER_MAX bytes. */
uint8_t *wx_digits_write(uint8_t *out, uint64_t value);
uint8_t *wx_int_write(uint8_t *out, int64_t value);

/* As repr() writes a finite float. */
uint8_t *wx_float_write(uint8_t *out, double value);

#endif
