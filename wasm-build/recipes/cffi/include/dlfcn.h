/* Shared libraries for a module that has none: nothing can be opened, and the reason is told. */
#ifndef WX_DLFCN_H
#define WX_DLFCN_H

#include <stddef.h>

enum { RTLD_LAZY = 1, RTLD_NOW = 2, RTLD_NOLOAD = 4, RTLD_GLOBAL = 256, RTLD_LOCAL = 0, RTLD_NODELETE = 4096 };

static inline void *dlopen(const char *file, int flags) { return NULL; }
static inline void *dlsym(void *handle, const char *name) { return NULL; }
static inline int dlclose(void *handle) { return 0; }
static inline char *dlerror(void) { return "a WebAssembly guest has no shared libraries"; }

#endif
