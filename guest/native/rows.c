/* encode_rows: the rows of a statement as JSON, under the rules of contract C5.
 *
 * Exact str, int, float, bool, None, dict, list and tuple are written here; everything else goes once through `convert`, which is
 * Python and may change any container while it is being walked: so items are held while they are in use and sizes are read again.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>

#include "module.h"
#include "rows_text.h"

enum { DEPTH_MAX = 512, LEVELS_MAX = 2 * DEPTH_MAX + 4, FIRST_SIZE = 64 * 1024, SLACK = 64, PIECE_SIZE = 32 * 1024 };

/* What the walk is inside of. A converted value is a level without a name of its own, kept to find cycles through it. */
struct level {
    PyObject *object;
    PyObject *key; /* of a dict; NULL otherwise */
    Py_ssize_t index;
    enum { IN_SEQUENCE, IN_DICT, IN_CONVERTED } kind;
};

struct encoder {
    PyObject *bytes;
    uint8_t *cursor, *end;
    uint64_t max;
    uint64_t breaks; /* newlines between pieces, which do not count */
    Py_ssize_t keys_max;
    PyObject *convert;
    int depth, depth_max, level_count;
    struct level levels[LEVELS_MAX];
};

static bool encode(struct encoder *encoder, PyObject *value);

static uint8_t *text_start(const struct encoder *encoder) {
    return (uint8_t *)PyBytes_AS_STRING(encoder->bytes) + WX_ROWS_HEADROOM;
}

static bool fail_size(uint64_t used) {
    PyObject *error = PyObject_CallFunction(wx_output_too_large, "K", (unsigned long long)used);
    PyObject *number = error == NULL ? NULL : PyLong_FromUnsignedLongLong(used);
    if (number != NULL && PyObject_SetAttrString(error, "used", number) == 0) {
        PyErr_SetObject(wx_output_too_large, error);
    }
    Py_XDECREF(number);
    Py_XDECREF(error);
    return false;
}

static bool grow(struct encoder *encoder, uint64_t size) {
    uint64_t used = (uint64_t)(encoder->cursor - text_start(encoder));
    uint64_t limit = encoder->max + encoder->breaks + SLACK;
    if (used + size > limit) {
        return fail_size(used - encoder->breaks + size);
    }
    uint64_t wanted = (uint64_t)PyBytes_GET_SIZE(encoder->bytes) * 3 / 2;
    wanted = wanted < WX_ROWS_HEADROOM + used + size ? WX_ROWS_HEADROOM + used + size : wanted;
    wanted = wanted > WX_ROWS_HEADROOM + limit ? WX_ROWS_HEADROOM + limit : wanted;
    if (wanted > PY_SSIZE_T_MAX - 64) {
        PyErr_NoMemory();
        return false;
    }
    if (_PyBytes_Resize(&encoder->bytes, (Py_ssize_t)wanted) < 0) {
        return false;
    }
    encoder->cursor = text_start(encoder) + used;
    encoder->end = (uint8_t *)PyBytes_AS_STRING(encoder->bytes) + wanted;
    return true;
}

/* Makes room for SIZE more bytes: exact, or an overestimate by less than SLACK. */
static inline bool make_room(struct encoder *encoder, uint64_t size) {
    return size <= (uint64_t)(encoder->end - encoder->cursor) || grow(encoder, size);
}

/* Inlined always: with a length known to the compiler, memcpy is a store or two instead of a call. */
__attribute__((always_inline)) static inline bool put(struct encoder *encoder, const char *text, size_t length) {
    if (!make_room(encoder, length)) {
        return false;
    }
    memcpy(encoder->cursor, text, length);
    encoder->cursor += length;
    return true;
}

/* RFC 6901: "~" and "/" of a key are written "~0" and "~1". */
static PyObject *escape_key(PyObject *key) {
    static const char *const pairs[][2] = {{"~", "~0"}, {"/", "~1"}};
    PyObject *text = PyUnicode_FromObject(key);
    for (int i = 0; i < 2 && text != NULL; i++) {
        PyObject *from = PyUnicode_FromString(pairs[i][0]), *to = PyUnicode_FromString(pairs[i][1]);
        PyObject *replaced = from == NULL || to == NULL ? NULL : PyUnicode_Replace(text, from, to, -1);
        Py_XDECREF(from);
        Py_XDECREF(to);
        Py_SETREF(text, replaced);
    }
    return text;
}

static PyObject *pointer_here(const struct encoder *encoder) {
    PyObject *pointer = PyUnicode_FromString("");
    for (int i = 0; i < encoder->level_count && pointer != NULL; i++) {
        const struct level *level = &encoder->levels[i];
        if (level->kind == IN_SEQUENCE) {
            Py_SETREF(pointer, PyUnicode_FromFormat("%U/%zd", pointer, level->index));
        } else if (level->kind == IN_DICT && level->key != NULL) {
            PyObject *key = escape_key(level->key);
            Py_SETREF(pointer, key == NULL ? NULL : PyUnicode_FromFormat("%U/%U", pointer, key));
            Py_XDECREF(key);
        }
    }
    return pointer;
}

static bool set_attribute(PyObject *object, const char *name, PyObject *value) {
    bool fine = value != NULL && PyObject_SetAttrString(object, name, value) == 0;
    Py_XDECREF(value);
    return fine;
}

/* Raises EncodeError for the place where the walk is, with the value itself: what is shown of it, and where a long text
 * is cut, is for Python to say, which knows the secrets. Takes over MESSAGE, which may be NULL with an exception set. */
static bool fail(const struct encoder *encoder, const char *rule, PyObject *value, PyObject *message) {
    if (message == NULL) {
        return false;
    }
    PyObject *error = PyObject_CallOneArg(wx_encode_error, message);
    Py_DECREF(message);
    if (error != NULL && set_attribute(error, "pointer", pointer_here(encoder)) &&
        set_attribute(error, "rule", PyUnicode_FromString(rule)) && set_attribute(error, "value", Py_NewRef(value))) {
        PyErr_SetObject(wx_encode_error, error);
    }
    Py_XDECREF(error);
    return false;
}

static bool encode_text(struct encoder *encoder, PyObject *text, PyObject *shown) {
    if (PyUnicode_READY(text) < 0) {
        return false;
    }
    uint64_t size = wx_text_size(text);
    if (size == 0) {
        return fail(encoder, "unsupported", shown,
                    PyUnicode_FromString("the text holds half of a surrogate pair, which JSON cannot carry"));
    }
    if (!make_room(encoder, size)) {
        return false;
    }
    encoder->cursor = wx_text_write(encoder->cursor, text, size);
    return true;
}

static bool encode_float(struct encoder *encoder, PyObject *object) {
    double value = PyFloat_AS_DOUBLE(object);
    if (isnan(value)) {
        return put(encoder, "null", 4);
    }
    if (isinf(value)) {
        return fail(encoder, "finite", object, PyUnicode_FromFormat("%R is not a finite number", object));
    }
    if (!make_room(encoder, WX_NUMBER_MAX)) {
        return false;
    }
    encoder->cursor = wx_float_write(encoder->cursor, value);
    return true;
}

static bool encode_int(struct encoder *encoder, PyObject *object) {
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
        if (!make_room(encoder, WX_NUMBER_MAX)) {
            return false;
        }
        encoder->cursor = wx_int_write(encoder->cursor, value);
        return true;
    }
    PyObject *text = PyLong_Type.tp_repr(object);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return false;
        }
        /* The interpreter's own guard against quadratic time. */
        PyErr_Clear();
        return fail(encoder, "unsupported", object, PyUnicode_FromString("the integer has more digits than Python will write"));
    }
    bool fine = put(encoder, (const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    Py_DECREF(text);
    return fine;
}

/* Enters a container. On failure nothing was entered. */
static struct level *enter(struct encoder *encoder, PyObject *object, int kind) {
    for (int i = 0; i < encoder->level_count; i++) {
        if (encoder->levels[i].object == object) {
            fail(encoder, "cycle", object, PyUnicode_FromFormat("the %s contains itself", Py_TYPE(object)->tp_name));
            return NULL;
        }
    }
    if (encoder->level_count == LEVELS_MAX || (kind != IN_CONVERTED && encoder->depth == encoder->depth_max)) {
        fail(encoder, "depth", object, PyUnicode_FromFormat("nested deeper than %d levels", encoder->depth_max));
        return NULL;
    }
    if (Py_EnterRecursiveCall(" while encoding the rows")) {
        return NULL;
    }
    struct level *level = &encoder->levels[encoder->level_count++];
    *level = (struct level){.object = object, .kind = kind};
    encoder->depth += kind != IN_CONVERTED;
    return level;
}

static void leave(struct encoder *encoder) {
    Py_LeaveRecursiveCall();
    encoder->level_count--;
    encoder->depth -= encoder->levels[encoder->level_count].kind != IN_CONVERTED;
}

static bool encode_key(struct encoder *encoder, PyObject *key) {
    if (!PyUnicode_Check(key)) {
        return fail(encoder, "key", key, PyUnicode_FromFormat("a key must be a str, not %s", Py_TYPE(key)->tp_name));
    }
    return encode_text(encoder, key, key) && put(encoder, ":", 1);
}

static bool encode_item(struct encoder *encoder, struct level *level, PyObject *key, PyObject *value, bool first) {
    if (!first && !put(encoder, ",", 1)) {
        return false;
    }
    level->key = NULL; /* an error in the key itself points at the dict */
    if (!encode_key(encoder, key)) {
        return false;
    }
    level->key = key;
    return encode(encoder, value);
}

static bool encode_dict(struct encoder *encoder, PyObject *dict) {
    if (PyDict_GET_SIZE(dict) > encoder->keys_max) {
        return fail(encoder, "keys", dict,
                    PyUnicode_FromFormat("%zd keys in one object; at most %zd are allowed (limit output_keys)", PyDict_GET_SIZE(dict),
                                         encoder->keys_max));
    }
    struct level *level = enter(encoder, dict, IN_DICT);
    if (level == NULL) {
        return false;
    }
    bool fine = put(encoder, "{", 1);
    Py_ssize_t size = PyDict_GET_SIZE(dict), position = 0;
    PyObject *key, *value;
    bool first = true;
    while (fine && PyDict_Next(dict, &position, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        fine = encode_item(encoder, level, key, value, first);
        level->key = NULL;
        Py_DECREF(key);
        Py_DECREF(value);
        first = false;
        if (fine && PyDict_GET_SIZE(dict) != size) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            fine = false;
        }
    }
    leave(encoder);
    return fine && put(encoder, "}", 1);
}

/* The item at INDEX as a new reference; NULL at the end. */
static PyObject *item_at(PyObject *sequence, Py_ssize_t index) {
    if (PyList_CheckExact(sequence)) {
        return index < PyList_GET_SIZE(sequence) ? Py_NewRef(PyList_GET_ITEM(sequence, index)) : NULL;
    }
    return index < PyTuple_GET_SIZE(sequence) ? Py_NewRef(PyTuple_GET_ITEM(sequence, index)) : NULL;
}

/* A newline behind the comma of a row, where enough was written since the last: there the host may cut. */
static bool end_piece(struct encoder *encoder, uint64_t *start) {
    uint64_t used = (uint64_t)(encoder->cursor - text_start(encoder));
    if (used - *start < PIECE_SIZE) {
        return true;
    }
    *start = used;
    encoder->breaks++;
    return put(encoder, "\n", 1);
}

static bool encode_sequence(struct encoder *encoder, PyObject *sequence, bool of_rows) {
    struct level *level = enter(encoder, sequence, IN_SEQUENCE);
    if (level == NULL) {
        return false;
    }
    bool fine = put(encoder, "[", 1);
    uint64_t piece = 0;
    PyObject *item;
    while (fine && (item = item_at(sequence, level->index)) != NULL) {
        if (level->index > 0) {
            fine = put(encoder, ",", 1) && (!of_rows || end_piece(encoder, &piece));
        }
        if (fine && of_rows && !PyDict_Check(item)) {
            fine = fail(encoder, "object", item, PyUnicode_FromFormat("every row must be a dict, not %s", Py_TYPE(item)->tp_name));
        }
        fine = fine && encode(encoder, item);
        Py_DECREF(item);
        level->index++;
    }
    leave(encoder);
    return fine && put(encoder, "]", 1);
}

/* Writes a value of an exact type; *known is false, and nothing is written, for any other. */
static bool encode_exact(struct encoder *encoder, PyObject *value, bool *known) {
    *known = true;
    if (PyUnicode_CheckExact(value)) {
        return encode_text(encoder, value, value);
    }
    if (PyFloat_CheckExact(value)) {
        return encode_float(encoder, value);
    }
    if (PyLong_CheckExact(value)) {
        return encode_int(encoder, value);
    }
    if (value == Py_None) {
        return put(encoder, "null", 4);
    }
    if (PyBool_Check(value)) {
        return value == Py_True ? put(encoder, "true", 4) : put(encoder, "false", 5);
    }
    if (PyDict_CheckExact(value)) {
        return encode_dict(encoder, value);
    }
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        return encode_sequence(encoder, value, false);
    }
    *known = false;
    return false;
}

/* A TypeError of `convert` means that the value has no JSON form: it becomes an EncodeError with the same text. */
static bool fail_conversion(const struct encoder *encoder, PyObject *value) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return false;
    }
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *message = error == NULL ? NULL : PyObject_Str(error);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return fail(encoder, "unsupported", value, message);
}

static bool encode(struct encoder *encoder, PyObject *value) {
    bool known;
    bool fine = encode_exact(encoder, value, &known);
    if (known) {
        return fine;
    }
    if (enter(encoder, value, IN_CONVERTED) == NULL) {
        return false;
    }
    PyObject *converted = PyObject_CallOneArg(encoder->convert, value);
    if (converted == NULL) {
        fine = fail_conversion(encoder, value);
    } else {
        fine = encode_exact(encoder, converted, &known);
        if (!known) {
            fine = fail(encoder, "unsupported", value, PyUnicode_FromFormat("%s has no JSON form", Py_TYPE(value)->tp_name));
        }
        Py_DECREF(converted);
    }
    leave(encoder);
    return fine;
}

static PyObject *finish(struct encoder *encoder) {
    uint64_t used = (uint64_t)(encoder->cursor - text_start(encoder));
    if (used - encoder->breaks > encoder->max) {
        fail_size(used - encoder->breaks);
        return NULL;
    }
    PyObject *whole = PyMemoryView_FromObject(encoder->bytes);
    PyObject *rows = whole == NULL ? NULL : PySequence_GetSlice(whole, WX_ROWS_HEADROOM, (Py_ssize_t)(WX_ROWS_HEADROOM + used));
    Py_XDECREF(whole);
    if (rows == NULL) {
        return NULL;
    }
    Py_XSETREF(wx_last_rows, Py_NewRef(encoder->bytes));
    return rows;
}

PyObject *wx_encode_rows(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count) {
    if ((count != 3 && count != 5) || !PyList_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode_rows takes a list, a function, a size and perhaps two more limits");
        return NULL;
    }
    Py_ssize_t limits[] = {0, PY_SSIZE_T_MAX, DEPTH_MAX};
    for (Py_ssize_t i = 2; i < count; i++) {
        limits[i - 2] = PyNumber_AsSsize_t(arguments[i], PyExc_OverflowError);
        if (limits[i - 2] < 0) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "a limit must not be negative");
            }
            return NULL;
        }
    }
    Py_ssize_t max = limits[0];
    struct encoder *encoder = PyMem_Malloc(sizeof *encoder);
    if (encoder == NULL) {
        return PyErr_NoMemory();
    }
    uint64_t size = (uint64_t)max + SLACK < FIRST_SIZE ? (uint64_t)max + SLACK : FIRST_SIZE;
    encoder->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(WX_ROWS_HEADROOM + size));
    PyObject *result = NULL;
    if (encoder->bytes != NULL) {
        encoder->cursor = text_start(encoder);
        encoder->end = encoder->cursor + size;
        encoder->max = (uint64_t)max;
        encoder->breaks = 0;
        encoder->keys_max = limits[1];
        encoder->depth_max = limits[2] < DEPTH_MAX ? (int)limits[2] : DEPTH_MAX;
        encoder->convert = arguments[1];
        encoder->depth = encoder->level_count = 0;
        if (encode_sequence(encoder, arguments[0], true)) {
            result = finish(encoder);
        }
        Py_XDECREF(encoder->bytes);
    }
    PyMem_Free(encoder);
    return result;
}
