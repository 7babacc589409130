/* The builtin module _wasmexec: what the guest's Python needs of the channel, and what must be fast. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>

#include "channel.h"
#include "module.h"

enum { SMALL_REQUEST = 16 * 1024, SMALL_REPLY = 64 * 1024 };

bool wx_booting = true;
PyObject *wx_encode_error;
PyObject *wx_output_too_large;

extern int wx_fork_id;

static uint8_t small_request[SMALL_REQUEST];
static uint8_t small_reply[SMALL_REPLY];

static PyObject *fail_call(int32_t answer) {
    bool ending = answer == WX_ENDING;
    errno = ending ? ECANCELED : EINVAL;
    PyObject *error = Py_BuildValue("(is)", errno, ending ? "the execution is ending" : "the host refused a malformed request");
    if (error != NULL) {
        PyErr_SetObject(PyExc_OSError, error);
        Py_DECREF(error);
    }
    return NULL;
}

/* Head and blob of a reply, both copied out of the buffer that the next call uses again. */
static PyObject *split_reply(const uint8_t *data, uint32_t length) {
    uint32_t blob_start = 0;
    PyObject *head = wx_frame_head(data, length, &blob_start);
    if (head == NULL) {
        return NULL;
    }
    PyObject *blob = PyBytes_FromStringAndSize((const char *)data + blob_start, (Py_ssize_t)(length - blob_start));
    if (blob == NULL) {
        Py_DECREF(head);
        return NULL;
    }
    return Py_BuildValue("(NN)", head, blob);
}

static PyObject *module_call(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count) {
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "call takes 1 or 2 arguments, not %zd", count);
    }
    struct wx_frame request;
    if (!wx_frame_join(arguments[0], count == 2 ? arguments[1] : NULL, small_request, SMALL_REQUEST, &request)) {
        return NULL;
    }
    int32_t length = wx_host_call(request.data, (int32_t)request.length, small_reply, SMALL_REPLY);
    Py_XDECREF(request.owner);
    if (length < 0) {
        return fail_call(length);
    }
    if (length <= SMALL_REPLY) {
        return split_reply(small_reply, (uint32_t)length);
    }
    PyObject *owner = PyBytes_FromStringAndSize(NULL, length);
    if (owner == NULL) {
        return NULL;
    }
    uint8_t *data = (uint8_t *)PyBytes_AS_STRING(owner);
    int32_t answer = wx_host_reply(data, length);
    PyObject *result = answer < 0 ? fail_call(answer) : split_reply(data, (uint32_t)length);
    Py_DECREF(owner);
    return result;
}

static PyObject *module_log(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2 || !PyUnicode_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "log takes a level and a str");
        return NULL;
    }
    long level = PyLong_AsLong(arguments[0]);
    if (level == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (wx_booting) {
        Py_RETURN_TRUE;
    }
    Py_ssize_t length;
    PyObject *encoded = NULL;
    const char *text = PyUnicode_AsUTF8AndSize(arguments[1], &length);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return NULL;
        }
        PyErr_Clear();
        encoded = PyUnicode_AsEncodedString(arguments[1], "utf-8", "backslashreplace");
        if (encoded == NULL) {
            return NULL;
        }
        text = PyBytes_AS_STRING(encoded);
        length = PyBytes_GET_SIZE(encoded);
    }
    int32_t answer = wx_host_log((int32_t)level, text, (int32_t)length);
    Py_XDECREF(encoded);
    return PyBool_FromLong(answer == 0);
}

static PyObject *module_reseed_crypto(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    wx_fork_id++;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"take_inbox", wx_take_inbox, METH_NOARGS,
     PyDoc_STR("take_inbox() -> (str, memoryview)\nHead and blob of the frame that the host left.")},
    {"put_outbox", (PyCFunction)(void (*)(void))wx_put_outbox, METH_FASTCALL,
     PyDoc_STR("put_outbox(head, blob=b'')\nLeaves a frame for the host.")},
    {"call", (PyCFunction)(void (*)(void))module_call, METH_FASTCALL,
     PyDoc_STR("call(head, blob=b'') -> (str, bytes)\nOne host call, answered before this returns.\n\n"
               "Raises OSError: ECANCELED when the execution is ending, EINVAL for a malformed request.")},
    {"log", (PyCFunction)(void (*)(void))module_log, METH_FASTCALL,
     PyDoc_STR("log(level, message) -> bool\nFalse when the log has no more room for the level. During boot nothing is logged.")},
    {"encode_rows", (PyCFunction)(void (*)(void))wx_encode_rows, METH_FASTCALL,
     PyDoc_STR("encode_rows(rows, convert, max_bytes, max_keys=..., max_depth=...) -> memoryview\nThe rows as JSON.\n\n"
               "Raises EncodeError (pointer, rule, value) and OutputTooLarge (used).")},
    {"reseed_crypto", module_reseed_crypto, METH_NOARGS,
     PyDoc_STR("reseed_crypto()\nMakes OpenSSL draw a new seed from the host before its next random byte.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_wasmexec",
    .m_doc = PyDoc_STR("The channel to the host."),
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__wasmexec(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    wx_encode_error = PyErr_NewExceptionWithDoc(
        "_wasmexec.EncodeError", "A value of the rows has no JSON form: `pointer`, `rule` and `value` say which and why.", NULL, NULL);
    wx_output_too_large = PyErr_NewExceptionWithDoc(
        "_wasmexec.OutputTooLarge", "The rows as JSON exceed the limit; `used` is the size reached, in bytes.", NULL, NULL);
    if (wx_encode_error == NULL || wx_output_too_large == NULL || PyModule_AddObjectRef(module, "EncodeError", wx_encode_error) < 0 ||
        PyModule_AddObjectRef(module, "OutputTooLarge", wx_output_too_large) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
