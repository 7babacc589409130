/* Inbox and outbox: frames in linear memory that the host writes and reads in place.
 *
 * Small frames use static buffers; larger ones live in bytes objects, so that the inbox can be handed to Python without a copy.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "channel.h"
#include "module.h"

enum { SMALL_INBOX = 64 * 1024, SMALL_OUTBOX = 64 * 1024 };

static uint8_t small_inbox[SMALL_INBOX];
static uint8_t small_outbox[SMALL_OUTBOX];
static PyObject *inbox_owner;
static PyObject *outbox_owner;

PyObject *wx_last_rows;

static void use_small_inbox(void) {
    wx_header[WX_INBOX_PTR] = wx_address(small_inbox);
    wx_header[WX_INBOX_LEN] = 0;
    wx_header[WX_INBOX_CAP] = SMALL_INBOX;
}

/* The header must be right before the first instruction of a run, so also in an image that never took a frame. */
__attribute__((constructor)) static void set_header(void) {
    use_small_inbox();
    wx_header[WX_OUTBOX_PTR] = wx_address(small_outbox);
    wx_header[WX_OUTBOX_CAP] = SMALL_OUTBOX;
}

/* Makes the inbox at least LENGTH bytes long. Returns its address, 0 when there is no memory. Only between steps. */
WX_EXPORT(wx_reserve) uint32_t wx_reserve(uint32_t length) {
    if (length <= wx_header[WX_INBOX_CAP]) {
        return wx_header[WX_INBOX_PTR];
    }
    if (length > PY_SSIZE_T_MAX - 64 || !Py_IsInitialized()) {
        return 0;
    }
    PyObject *owner = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
    if (owner == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_XSETREF(inbox_owner, owner);
    wx_header[WX_INBOX_PTR] = wx_address(PyBytes_AS_STRING(owner));
    wx_header[WX_INBOX_LEN] = 0;
    wx_header[WX_INBOX_CAP] = length;
    return wx_header[WX_INBOX_PTR];
}

PyObject *wx_frame_head(const uint8_t *data, uint32_t length, uint32_t *blob_start) {
    uint32_t head_length;
    if (length < sizeof head_length) {
        PyErr_SetString(PyExc_ValueError, "a frame is shorter than its own length");
        return NULL;
    }
    memcpy(&head_length, data, sizeof head_length);
    if (head_length > length - sizeof head_length) {
        PyErr_SetString(PyExc_ValueError, "the head of a frame is longer than the frame");
        return NULL;
    }
    *blob_start = (uint32_t)sizeof head_length + head_length;
    return PyUnicode_DecodeUTF8((const char *)data + sizeof head_length, (Py_ssize_t)head_length, NULL);
}

/* A view of DATA[START:END], which belongs to OWNER. */
static PyObject *view_of(PyObject *owner, uint32_t start, uint32_t end) {
    PyObject *whole = PyMemoryView_FromObject(owner);
    if (whole == NULL) {
        return NULL;
    }
    PyObject *part = PySequence_GetSlice(whole, (Py_ssize_t)start, (Py_ssize_t)end);
    Py_DECREF(whole);
    return part;
}

PyObject *wx_take_inbox(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    const uint8_t *data = (const uint8_t *)(uintptr_t)wx_header[WX_INBOX_PTR];
    uint32_t length = wx_header[WX_INBOX_LEN], blob_start = 0;
    if (length > wx_header[WX_INBOX_CAP]) {
        PyErr_SetString(PyExc_ValueError, "the frame in the inbox is longer than the inbox");
        return NULL;
    }
    PyObject *head = wx_frame_head(data, length, &blob_start);
    if (head == NULL) {
        return NULL;
    }
    PyObject *owner, *blob = NULL;
    if (inbox_owner != NULL) {
        owner = inbox_owner;
        inbox_owner = NULL;
        blob = view_of(owner, blob_start, length);
    } else {
        owner = PyBytes_FromStringAndSize((const char *)data + blob_start, (Py_ssize_t)(length - blob_start));
        blob = owner == NULL ? NULL : PyMemoryView_FromObject(owner);
    }
    Py_XDECREF(owner);
    use_small_inbox();
    if (blob == NULL) {
        Py_DECREF(head);
        return NULL;
    }
    return Py_BuildValue("(NN)", head, blob);
}

/* The bytes of a str (as UTF-8) or of a bytes-like object. */
static bool open_bytes(PyObject *object, Py_buffer *view) {
    if (!PyUnicode_Check(object)) {
        return PyObject_GetBuffer(object, view, PyBUF_SIMPLE) == 0;
    }
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(object, &length);
    return text != NULL && PyBuffer_FillInfo(view, object, (void *)text, length, 1, PyBUF_SIMPLE) == 0;
}

static uint32_t write_head(uint8_t *data, const Py_buffer *head) {
    uint32_t length = (uint32_t)head->len;
    memcpy(data, &length, sizeof length);
    memcpy(data + sizeof length, head->buf, length);
    return (uint32_t)sizeof length + length;
}

static bool join(const Py_buffer *head, const Py_buffer *blob, uint8_t *small, uint32_t small_size, struct wx_frame *frame) {
    uint64_t total = sizeof(uint32_t) + (uint64_t)head->len + (uint64_t)blob->len;
    if (total > PY_SSIZE_T_MAX - 64) {
        PyErr_NoMemory();
        return false;
    }
    frame->length = (uint32_t)total;
    frame->owner = NULL;
    frame->data = small;
    if (total > small_size) {
        frame->owner = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
        if (frame->owner == NULL) {
            return false;
        }
        frame->data = (uint8_t *)PyBytes_AS_STRING(frame->owner);
    }
    uint32_t start = write_head(frame->data, head);
    memcpy(frame->data + start, blob->buf, (size_t)blob->len);
    return true;
}

bool wx_frame_join(PyObject *head, PyObject *blob, uint8_t *small, uint32_t small_size, struct wx_frame *frame) {
    Py_buffer head_view, blob_view = {0};
    if (!open_bytes(head, &head_view)) {
        return false;
    }
    bool fine = blob == NULL || PyObject_GetBuffer(blob, &blob_view, PyBUF_SIMPLE) == 0;
    if (fine) {
        if (blob_view.buf == NULL) {
            blob_view.buf = ""; /* memcpy wants an address even for nothing */
        }
        fine = join(&head_view, &blob_view, small, small_size, frame);
    }
    PyBuffer_Release(&head_view);
    if (blob_view.obj != NULL) {
        PyBuffer_Release(&blob_view);
    }
    return fine;
}

/* Makes a frame of the last encoded rows by writing the head into the room before them; false if that is not what this is. */
static bool join_in_place(PyObject *head, PyObject *blob, struct wx_frame *frame) {
    if (blob == NULL || wx_last_rows == NULL || !PyMemoryView_Check(blob) || PyMemoryView_GET_BASE(blob) != wx_last_rows) {
        return false;
    }
    const Py_buffer *rows = PyMemoryView_GET_BUFFER(blob);
    Py_buffer view;
    if (rows->buf != PyBytes_AS_STRING(wx_last_rows) + WX_ROWS_HEADROOM || rows->ndim != 1 || rows->strides[0] != 1 ||
        !open_bytes(head, &view)) {
        PyErr_Clear(); /* the ordinary way reports it */
        return false;
    }
    bool fits = (size_t)view.len + sizeof(uint32_t) <= WX_ROWS_HEADROOM;
    if (fits) {
        frame->length = (uint32_t)sizeof(uint32_t) + (uint32_t)view.len + (uint32_t)rows->len;
        frame->data = (uint8_t *)rows->buf - sizeof(uint32_t) - view.len;
        frame->owner = wx_last_rows;
        wx_last_rows = NULL;
        write_head(frame->data, &view);
    }
    PyBuffer_Release(&view);
    return fits;
}

PyObject *wx_put_outbox(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count) {
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "put_outbox takes 1 or 2 arguments, not %zd", count);
    }
    PyObject *blob = count == 2 ? arguments[1] : NULL;
    struct wx_frame frame;
    if (!join_in_place(arguments[0], blob, &frame) && !wx_frame_join(arguments[0], blob, small_outbox, SMALL_OUTBOX, &frame)) {
        return NULL;
    }
    Py_XSETREF(outbox_owner, frame.owner);
    wx_header[WX_OUTBOX_PTR] = wx_address(frame.data);
    wx_header[WX_OUTBOX_LEN] = frame.length;
    wx_header[WX_OUTBOX_CAP] = frame.length > SMALL_OUTBOX || frame.owner != NULL ? frame.length : SMALL_OUTBOX;
    Py_RETURN_NONE;
}
