/* Boot and step: starts the interpreter once, while the image is made, and enters the guest's Python for every frame. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>

#include "channel.h"
#include "module.h"

/* Every extension module linked into this image, by its dotted name; written by the build. */
extern struct _inittab wx_inittab[];

static struct _inittab own_inittab[] = {{"_wasmexec", PyInit__wasmexec}, {NULL, NULL}};

static const wchar_t *const module_search_paths[] = {
    L"/lib/python3.11",
    L"/lib/site-packages",
    L"/lib/wasmexec",
    L"/lib/wasmexec/wasmexec_guest/shims",
};

static PyObject *step;

static PyStatus configure(PyConfig *config) {
    /* There is no environment, no user, no command line and no signal in here. */
    PyConfig_InitIsolatedConfig(config);
    config->site_import = 0;
    config->install_signal_handlers = 0;
    config->pathconfig_warnings = 0;
    config->write_bytecode = 0;
    config->parse_argv = 0;
    config->buffered_stdio = 1;
    /* Any seed would be frozen into the image and shared by every run, so a random one buys nothing: a fixed one makes the build
     * reproducible and every execution iterate over its sets in the same order. Colliding keys cost only the statement's own time. */
    config->use_hash_seed = 1;
    config->hash_seed = 0;

    const struct {
        wchar_t **field;
        const wchar_t *value;
    } strings[] = {
        {&config->program_name, L"python3"},
        {&config->executable, L""},
        {&config->base_executable, L""},
        {&config->home, L"/"},
        {&config->prefix, L"/"},
        {&config->base_prefix, L"/"},
        {&config->exec_prefix, L"/"},
        {&config->base_exec_prefix, L"/"},
        {&config->stdlib_dir, L"/lib/python3.11"},
        {&config->platlibdir, L"lib"},
        {&config->filesystem_encoding, L"utf-8"},
        {&config->filesystem_errors, L"surrogateescape"},
        {&config->stdio_encoding, L"utf-8"},
        {&config->stdio_errors, L"backslashreplace"},
    };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        PyStatus status = PyConfig_SetString(config, strings[i].field, strings[i].value);
        if (PyStatus_Exception(status)) {
            return status;
        }
    }
    config->module_search_paths_set = 1;
    for (size_t i = 0; i < sizeof module_search_paths / sizeof module_search_paths[0]; i++) {
        PyStatus status = PyWideStringList_Append(&config->module_search_paths, module_search_paths[i]);
        if (PyStatus_Exception(status)) {
            return status;
        }
    }
    return PyStatus_Ok();
}

static PyStatus start_interpreter(void) {
    PyPreConfig preconfig;
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    preconfig.parse_argv = 0;
    PyStatus status = Py_PreInitialize(&preconfig);
    if (PyStatus_Exception(status)) {
        return status;
    }
    PyConfig config;
    status = configure(&config);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    return status;
}

static void flush(const char *stream) {
    PyObject *file = PySys_GetObject(stream);
    PyObject *done = file == NULL || file == Py_None ? NULL : PyObject_CallMethod(file, "flush", NULL);
    Py_XDECREF(done);
    PyErr_Clear();
}

/* Prints the pending exception. Not PyErr_Print, which ends the process for SystemExit. */
static void display_exception(const char *where) {
    PyObject *type, *value, *trace;
    wx_complain(where);
    wx_complain("\n");
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace != NULL && value != NULL) {
        (void)PyException_SetTraceback(value, trace);
    }
    PyErr_Display(type, value, trace);
    PyErr_Clear();
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    flush("stderr");
}

/* Runs wasmexec_guest.boot.prepare() and keeps wasmexec_guest.boot.step. */
static bool prepare(void) {
    PyObject *boot = PyImport_ImportModule("wasmexec_guest.boot");
    if (boot == NULL) {
        return false;
    }
    PyObject *done = PyObject_CallMethod(boot, "prepare", NULL);
    if (done != NULL) {
        step = PyObject_GetAttrString(boot, "step");
    }
    Py_XDECREF(done);
    Py_DECREF(boot);
    return step != NULL;
}

/* Once, while the image is made. Returns 0, or 1 with the reason on standard error. */
WX_EXPORT(wx_boot) int32_t wx_boot(void) {
    if (PyImport_ExtendInittab(own_inittab) < 0 || PyImport_ExtendInittab(wx_inittab) < 0) {
        wx_complain("wx_boot: no memory for the table of modules\n");
        return 1;
    }
    PyStatus status = start_interpreter();
    if (PyStatus_Exception(status)) {
        wx_complain("wx_boot: ");
        wx_complain(status.err_msg != NULL ? status.err_msg : "the interpreter ended while it started");
        wx_complain("\n");
        return 1;
    }
    bool fine = prepare();
    if (!fine) {
        display_exception("wx_boot:");
    }
    flush("stdout");
    flush("stderr");
    wx_booting = false;
    return fine ? 0 : 1;
}

/* Lets the guest work on the frame in its inbox until it has one in its outbox. Returns the state, which is also in the header. */
WX_EXPORT(wx_step) int32_t wx_step(void) {
    uint32_t state = wx_header[WX_STATE];
    if (state == WX_EXITED || state == WX_FATAL) {
        return (int32_t)state;
    }
    if (step == NULL || (state != WX_READY && state != WX_WAITING)) {
        wx_header[WX_STATE] = WX_FATAL;
        wx_complain("wx_step: the guest is not waiting for a frame\n");
        return WX_FATAL;
    }
    wx_header[WX_STATE] = WX_RUNNING;
    wx_header[WX_OUTBOX_LEN] = 0;
    PyObject *result = PyObject_CallNoArgs(step);
    long answer = result == NULL ? -1 : PyLong_AsLong(result);
    Py_XDECREF(result);
    if (PyErr_Occurred()) {
        display_exception("wx_step: an exception left the guest's own code");
        answer = WX_FATAL;
    } else if ((answer != WX_WAITING && answer != WX_DONE) || wx_header[WX_OUTBOX_LEN] == 0) {
        wx_complain("wx_step: the guest's own code gave no frame\n");
        answer = WX_FATAL;
    }
    wx_header[WX_STATE] = (uint32_t)answer;
    return (int32_t)answer;
}
