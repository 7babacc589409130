/* The descriptors, without the name of a symbol that only WebAssembly's linker knows. */
#define __asm__(name)
#include "vfs_fd.c" /* the headers that it includes have been read */
