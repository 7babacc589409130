/* wx_where: which lines of the statement are running, asked by the host after it stopped the guest at an arbitrary instruction.
 *
 * Nothing in memory can be trusted then: a structure may be half written, or the statement may have overwritten the interpreter. So this
 * only reads, checks every address against the size of the memory before it reads through it, bounds every loop, and allocates nothing.
 * It also keeps clear of the C stack in linear memory (no local has its address taken): its pointer may stand at the very end.
 */
#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE 1
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal/pycore_frame.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

#include "channel.h"

#if PY_VERSION_HEX < 0x030b0000 || PY_VERSION_HEX >= 0x030c0000
#error "the frames and line tables read here are those of CPython 3.11"
#endif

enum { CAPACITY = 16 * 1024, FRAMES_MAX = 256, VISITS_MAX = 100 * 1000, NAME_MAX_CHARS = 100, TABLE_MAX = 1 << 20 };

static char text[CAPACITY];
static uint32_t used;
static bool full;

__attribute__((constructor)) static void set_header(void) {
    wx_header[WX_WHERE_PTR] = wx_address(text);
    wx_header[WX_WHERE_CAP] = CAPACITY;
}

static bool readable(const void *pointer, uint64_t size) {
    uint64_t start = (uintptr_t)pointer, end = (uint64_t)__builtin_wasm_memory_size(0) * 65536u;
    return start != 0 && start % sizeof(void *) == 0 && size <= end && start <= end - size;
}

static bool is_object(const void *pointer, uint64_t size, const PyTypeObject *type) {
    return readable(pointer, size) && ((const PyObject *)pointer)->ob_type == type;
}

static void put(char character) {
    if (used < CAPACITY) {
        text[used++] = character;
    } else {
        full = true;
    }
}

static void put_text(const char *part) {
    while (*part != '\0' && !full) {
        put(*part++);
    }
}

static void put_number(uint32_t number) {
    uint32_t unit = 1;
    while (number / unit >= 10) {
        unit *= 10;
    }
    for (; unit > 0; unit /= 10) {
        put((char)('0' + number / unit % 10));
    }
}

static void put_escaped(uint32_t unit) {
    put_text("\\u");
    for (int shift = 12; shift >= 0; shift -= 4) {
        put("0123456789abcdef"[unit >> shift & 15]);
    }
}

static void put_character(uint32_t character) {
    if (character >= 0x20 && character < 0x7f && character != '"' && character != '\\') {
        put((char)character);
    } else if (character < 0x10000) {
        put_escaped(character);
    } else {
        put_escaped(0xd800 + ((character - 0x10000) >> 10 & 0x3ff));
        put_escaped(0xdc00 + (character & 0x3ff));
    }
}

/* Characters of a str whose memory is sound, NULL for any other object. Strings that are not compact never name functions. */
static const void *characters_of(const PyObject *object) {
    if (!is_object(object, sizeof(PyASCIIObject), &PyUnicode_Type)) {
        return NULL;
    }
    const PyASCIIObject *string = (const PyASCIIObject *)object;
    uint32_t width = string->state.kind;
    if (!string->state.compact || string->length < 0 || (width != 1 && width != 2 && width != 4)) {
        return NULL;
    }
    uint64_t head = string->state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
    if (!readable(object, head + (uint64_t)string->length * width)) {
        return NULL;
    }
    return (const char *)object + head;
}

static bool is_statement(const PyObject *file_name) {
    static const char wanted[] = "<statement>";
    const char *characters = characters_of(file_name);
    const PyASCIIObject *string = (const PyASCIIObject *)file_name;
    if (characters == NULL || !string->state.ascii || string->length != (Py_ssize_t)(sizeof wanted - 1)) {
        return false;
    }
    for (size_t i = 0; i < sizeof wanted - 1; i++) {
        if (characters[i] != wanted[i]) {
            return false;
        }
    }
    return true;
}

static void put_name(const PyObject *name) {
    const void *characters = characters_of(name);
    if (characters == NULL) {
        put('?');
        return;
    }
    const PyASCIIObject *string = (const PyASCIIObject *)name;
    uint32_t width = string->state.kind;
    Py_ssize_t shown = string->length < NAME_MAX_CHARS ? string->length : NAME_MAX_CHARS;
    for (Py_ssize_t i = 0; i < shown; i++) {
        put_character(width == 1   ? ((const uint8_t *)characters)[i]
                      : width == 2 ? ((const uint16_t *)characters)[i]
                                   : ((const uint32_t *)characters)[i]);
    }
}

/* The signed number in the line table at AT: six bits a byte, least first, 0x40 = more follow; the lowest bit is the sign. */
static int32_t read_signed(const uint8_t *table, Py_ssize_t at, Py_ssize_t length) {
    uint32_t value = 0;
    for (uint32_t shift = 0; at < length && shift < 30; shift += 6) {
        uint8_t part = table[at++];
        value |= (uint32_t)(part & 0x3f) << shift;
        if ((part & 0x40) == 0) {
            break;
        }
    }
    return (value & 1) != 0 ? -(int32_t)(value >> 1) : (int32_t)(value >> 1);
}

/* Line of the instruction at byte OFFSET of the code. Source: Objects/locations.md of CPython 3.11. */
static uint32_t line_at(const PyCodeObject *code, int32_t offset) {
    int32_t line = code->co_firstlineno, shown = line;
    const PyBytesObject *bytes = (const PyBytesObject *)code->co_linetable;
    if (offset < 0 || !is_object(bytes, sizeof *bytes, &PyBytes_Type)) {
        return (uint32_t)line;
    }
    Py_ssize_t length = bytes->ob_base.ob_size;
    if (length < 0 || length > TABLE_MAX || !readable(bytes, sizeof *bytes + (uint64_t)length)) {
        return (uint32_t)line;
    }
    const uint8_t *table = (const uint8_t *)bytes->ob_sval;
    int32_t start = 0;
    for (Py_ssize_t at = 0; at < length && start <= offset;) {
        uint8_t first = table[at];
        uint32_t kind = first >> 3 & 15;
        if (kind == PY_CODE_LOCATION_INFO_NO_COLUMNS || kind == PY_CODE_LOCATION_INFO_LONG) {
            line += read_signed(table, at + 1, length);
        } else if (kind >= PY_CODE_LOCATION_INFO_ONE_LINE0 && kind <= PY_CODE_LOCATION_INFO_ONE_LINE2) {
            line += (int32_t)kind - PY_CODE_LOCATION_INFO_ONE_LINE0;
        }
        if (kind != PY_CODE_LOCATION_INFO_NONE) {
            shown = line;
        }
        start += ((first & 7) + 1) * (int32_t)sizeof(_Py_CODEUNIT);
        do {
            at++;
        } while (at < length && (table[at] & 0x80) == 0);
    }
    return shown > 0 ? (uint32_t)shown : 0;
}

static void put_frame(const _PyInterpreterFrame *frame, const PyCodeObject *code, bool first) {
    uint32_t before = used;
    uintptr_t start = (uintptr_t)code + offsetof(PyCodeObject, co_code_adaptive);
    put_text(first ? "{\"line\":" : ",{\"line\":");
    put_number(line_at(code, (int32_t)((uintptr_t)frame->prev_instr - start)));
    put_text(",\"function\":\"");
    put_name(code->co_name);
    put_text("\"}");
    if (full || used == CAPACITY) {
        used = before; /* room for the closing bracket */
        full = true;
    }
}

/* The only thread there is. While it blocks in the host (time.sleep) it has let go of the GIL, and none is current. */
static const PyThreadState *only_thread(void) {
    const PyThreadState *current = (const PyThreadState *)_PyRuntime.gilstate.tstate_current._value;
    if (current != NULL) {
        return current;
    }
    const PyInterpreterState *interpreter = _PyRuntime.interpreters.main;
    return readable(interpreter, sizeof *interpreter) ? interpreter->threads.head : NULL;
}

static const _PyInterpreterFrame *innermost(void) {
    const PyThreadState *thread = only_thread();
    if (!readable(thread, sizeof *thread) || !readable(thread->cframe, sizeof *thread->cframe)) {
        return NULL;
    }
    return thread->cframe->current_frame;
}

/* Writes [{"line": n, "function": name}, ...], innermost first, and returns the length. May be asked in any state of the guest. */
WX_EXPORT(wx_where) int32_t wx_where(void) {
    used = 0;
    full = false;
    put('[');
    const _PyInterpreterFrame *frame = innermost();
    int32_t found = 0;
    for (int32_t visits = 0; visits < VISITS_MAX && found < FRAMES_MAX && !full && readable(frame, sizeof *frame); visits++) {
        const PyCodeObject *code = frame->f_code;
        if (is_object(code, sizeof *code, &PyCode_Type) && is_statement(code->co_filename)) {
            put_frame(frame, code, found == 0);
            found++;
        }
        frame = frame->previous;
    }
    if (used == CAPACITY) {
        used--;
    }
    text[used++] = ']';
    wx_header[WX_WHERE_LEN] = used;
    return (int32_t)used;
}
