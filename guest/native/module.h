/* What the files of the _wasmexec module share. Include after Python.h. */
#ifndef WX_MODULE_H
#define WX_MODULE_H

#include <stdbool.h>
#include <stdint.h>

/* Room before the text of encoded rows, so that put_outbox can write a frame's head there instead of copying the rows. */
enum { WX_ROWS_HEADROOM = 4096 };

/* A frame: u32 length of the head, head (UTF-8 JSON), blob. `owner` holds the memory; NULL when it is static. */
struct wx_frame {
    uint8_t *data;
    uint32_t length;
    PyObject *owner;
};

/* True until wx_boot is done: whatever runs so far becomes part of the image and must not reach a host. */
extern bool wx_booting;

/* The bytes object behind the result of the last encode_rows; NULL once it was sent. */
extern PyObject *wx_last_rows;

extern PyObject *wx_encode_error;
extern PyObject *wx_output_too_large;

PyMODINIT_FUNC PyInit__wasmexec(void);

/* Joins head and blob in SMALL if they fit, else in new memory. Returns false with an exception set. */
bool wx_frame_join(PyObject *head, PyObject *blob, uint8_t *small, uint32_t small_size, struct wx_frame *frame);

/* Decodes the head of a frame and says where its blob starts. Returns NULL with an exception set. */
PyObject *wx_frame_head(const uint8_t *data, uint32_t length, uint32_t *blob_start);

PyObject *wx_take_inbox(PyObject *module, PyObject *unused);
PyObject *wx_put_outbox(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *wx_encode_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
