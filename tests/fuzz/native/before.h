/* Comes before every file of the guest's C when it is built for this machine.
 *
 * The header's words hold addresses, which are longer here: channel.h is read with another type for them. WASI's own header says
 * that it is for 32-bit WebAssembly and checks that sizes are as there. What the C library has under the same names is renamed.
 */
#ifndef FUZZ_BEFORE_H
#define FUZZ_BEFORE_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <wchar.h>

#define uint32_t uintptr_t
#include "channel.h"
#undef uint32_t

#define __wasi__ 1
#define __wasm32__ 1
#define _Static_assert(...) struct fuzz_no_assertion
#include <wasi/api.h>
#undef _Static_assert

#define __builtin_wasm_memory_size(index) (((uint64_t)1 << 47) / 65536u)

#define mmap fuzz_mmap
#define munmap fuzz_munmap
#define msync fuzz_msync
#define mremap fuzz_mremap
#define madvise fuzz_madvise
#define strftime fuzz_strftime
#define wcsftime fuzz_wcsftime
#define strftime_l fuzz_strftime_l
#define wcsftime_l fuzz_wcsftime_l
#define gmtime_r fuzz_gmtime_r

void *fuzz_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
int fuzz_munmap(void *address, size_t length);
int fuzz_msync(void *address, size_t length, int flags);
void *fuzz_mremap(void *address, size_t before, size_t length, int flags, ...);
int fuzz_madvise(void *address, size_t length, int advice);
size_t fuzz_strftime(char *restrict text, size_t room, const char *restrict form, const struct tm *restrict time);
size_t fuzz_wcsftime(wchar_t *restrict text, size_t room, const wchar_t *restrict form, const struct tm *restrict time);
struct tm *fuzz_gmtime_r(const time_t *restrict seconds, struct tm *restrict time);

#endif
