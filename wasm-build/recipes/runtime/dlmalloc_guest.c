/* The allocator of the guest: dlmalloc 2.8.6 as wasi-libc carries it, under the C library's names.
 *
 * The compiler's own library has an allocator that rounds every large block up to a power of two pages and never joins free ones: a data frame of
 * 65 MiB would take 128. These definitions are strong and come first, so they replace it. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define HAVE_MMAP 0
#define MORECORE_CANNOT_TRIM 1
#define LACKS_TIME_H 1
#define NO_MALLINFO 1
#define NO_MALLOC_STATS 1
#define MALLOC_ALIGNMENT 16
#define USE_LOCKS 0
#define USE_DL_PREFIX 1
#define DLMALLOC_EXPORT static inline
/* A damaged heap ends the guest at once. */
#define ABORT __builtin_trap()
#define USAGE_ERROR_ACTION(m, p) __builtin_trap()

static size_t dlmalloc_usable_size(void *);

#include "upstream_malloc.c"

/* Given back when a small request first fails: Python then has room for the traceback of its MemoryError and for reporting it. A large request
 * that fails leaves room enough by itself. */
enum { RESERVE_BYTES = 256 * 1024, SMALL_BYTES = 64 * 1024 };
static void *reserve;

__attribute__((constructor)) static void keep_reserve(void) { reserve = dlmalloc(RESERVE_BYTES); }

static void *checked(void *block, size_t size) {
    if (__builtin_expect(block == NULL, 0) && size <= SMALL_BYTES && reserve != NULL) {
        dlfree(reserve);
        reserve = NULL;
        errno = ENOMEM;
    }
    return block;
}

void *malloc(size_t size) { return checked(dlmalloc(size), size); }
void free(void *block) { dlfree(block); }
void *calloc(size_t count, size_t size) { return checked(dlcalloc(count, size), count > SMALL_BYTES ? count : count * size); }
void *realloc(void *block, size_t size) { return checked(dlrealloc(block, size), size); }
int posix_memalign(void **block, size_t alignment, size_t size) { return dlposix_memalign(block, alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return dlmemalign(alignment, size); }
void *memalign(size_t alignment, size_t size) { return dlmemalign(alignment, size); }
void *valloc(size_t size) { return dlmemalign(65536, size); }
size_t malloc_usable_size(void *block) { return dlmalloc_usable_size(block); }

void *reallocarray(void *block, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, total);
}
