/* mmap() and its relatives over the guest's own files: what CPython's `mmap` stands on.
 *
 * A shared map of a file in /tmp is the file's own buffer: what is written through the map, another map or the file is seen by
 * all. Private maps, and maps of files of the read-only tree, are copies made at once. Memory cannot be protected here: CPython
 * and numpy refuse what a map does not allow. What stays different from Linux: access beyond the end of a file that was cut
 * shorter is no SIGBUS, but meets what was there; and a file that has grown by more than WX_MAP_ROOM_MOST since its oldest map
 * was made cannot be mapped beyond that until the older maps are gone (ENOMEM).
 */
#define _GNU_SOURCE /* mremap, madvise and its numbers */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vfs.h"

/* Pages of Linux on x86-64, not WebAssembly's: offsets are multiples of it. */
#define PAGE 4096u

struct map {
    struct map *after;
    uint8_t *address;
    uint32_t length;
    uint64_t offset;
    struct wx_inode inode; /* WX_NONE: anonymous */
    bool is_copy, is_private, writable;
};

static struct map *maps;

static int fail(int error) {
    errno = error;
    return -1;
}

/* The map that ADDRESS lies in: two of one file may lie there both, so one that starts there and has LENGTH is preferred. */
static struct map **find(const void *address, size_t length) {
    struct map **found = NULL;
    for (struct map **place = &maps; *place != NULL; place = &(*place)->after) {
        size_t inside = (size_t)((const uint8_t *)address - (*place)->address);
        if (inside == 0 && (*place)->length == length) {
            return place;
        }
        if (inside <= (*place)->length && length <= (*place)->length - inside) {
            found = place;
        }
    }
    return found;
}

/* As find, for a part that must start at a page. */
static struct map *find_part(const void *address, size_t length) {
    struct map **place = find(address, length);
    bool at_page = place != NULL && (size_t)((const uint8_t *)address - (*place)->address) % PAGE == 0;
    return at_page ? *place : NULL;
}

/* Fills a part of a copy as it was when it was mapped: the file's bytes, then zeros. */
static void fill(const struct map *map, uint32_t start, uint32_t length) {
    uint32_t read = map->inode.kind == WX_NONE ? 0 : wx_read(map->inode, map->offset + start, map->address + start, length);
    memset(map->address + start + read, 0, length - read);
}

static __wasi_errno_t attach(struct map *map) {
    if (!map->is_copy) {
        __wasi_errno_t error = wx_tmp_map(map->inode.node, map->offset, map->length, &map->address);
        if (error != 0) {
            return error;
        }
    } else {
        map->address = malloc(map->length);
        if (map->address == NULL) {
            return __WASI_ERRNO_NOMEM;
        }
        fill(map, 0, map->length);
    }
    if (map->inode.kind == WX_TMP) {
        wx_tmp_opened(map->inode.node);
    }
    return 0;
}

/* What may be mapped how, in the order in which Linux finds fault. */
static __wasi_errno_t check(size_t length, int prot, int flags, int fd, off_t offset, const struct wx_file **file) {
    bool is_anonymous = (flags & MAP_ANONYMOUS) != 0;
    int type = flags & MAP_TYPE;
    bool is_shared = type == MAP_SHARED || (type == MAP_SHARED_VALIDATE && !is_anonymous);
    uint32_t size;
    if (offset % PAGE != 0) {
        return __WASI_ERRNO_INVAL;
    }
    *file = is_anonymous ? NULL : wx_file(fd);
    if (!is_anonymous && *file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (length == 0) {
        return __WASI_ERRNO_INVAL;
    }
    if (length >= PTRDIFF_MAX) {
        return __WASI_ERRNO_NOMEM;
    }
    if (offset < 0 || (flags & MAP_FIXED) != 0 || !(is_shared || type == MAP_PRIVATE)) {
        return __WASI_ERRNO_INVAL;
    }
    if (is_anonymous) {
        return 0;
    }
    if (!(*file)->readable || (is_shared && (prot & PROT_WRITE) != 0 && !(*file)->writable)) {
        return __WASI_ERRNO_ACCES;
    }
    return wx_size((*file)->inode, &size) ? 0 : __WASI_ERRNO_NODEV;
}

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset) {
    (void)address;
    const struct wx_file *file;
    int error = check(length, prot, flags, fd, offset, &file);
    struct map *map = error != 0 ? NULL : malloc(sizeof *map);
    if (error == 0 && map == NULL) {
        error = ENOMEM;
    }
    if (error == 0) {
        *map = (struct map){.after = maps, .length = (uint32_t)length, .offset = (uint64_t)offset, .is_copy = true};
        map->is_private = (flags & MAP_TYPE) == MAP_PRIVATE;
        map->writable = (prot & PROT_WRITE) != 0;
        if (file != NULL) {
            map->inode = file->inode;
            map->is_copy = map->is_private || file->inode.kind != WX_TMP;
        }
        error = attach(map);
    }
    if (error != 0) {
        free(map);
        errno = error;
        return MAP_FAILED;
    }
    maps = map;
    return map->address;
}

static void detach(struct map *map) {
    if (map->is_copy) {
        free(map->address);
    } else {
        wx_tmp_unmap(map->inode.node);
    }
    if (map->inode.kind == WX_TMP) {
        wx_tmp_closed(map->inode.node);
    }
}

/* Whole maps only. */
int munmap(void *address, size_t length) {
    struct map **place = find(address, length);
    if (place == NULL || (*place)->address != address || (*place)->length != length) {
        return fail(EINVAL);
    }
    struct map *map = *place;
    *place = map->after;
    detach(map);
    free(map);
    return 0;
}

/* Nothing to do: a shared map is the file. */
int msync(void *address, size_t length, int flags) {
    (void)flags;
    return find_part(address, length) != NULL ? 0 : fail(EINVAL);
}

static __wasi_errno_t resize_copy(struct map *map, uint32_t length) {
    uint8_t *moved = realloc(map->address, length);
    if (moved == NULL) {
        return __WASI_ERRNO_NOMEM;
    }
    uint32_t before = map->length;
    map->address = moved;
    map->length = length;
    if (length > before) {
        fill(map, before, length - before);
    }
    return 0;
}

static __wasi_errno_t resize_shared(struct map *map, uint32_t length) {
    __wasi_errno_t error = wx_tmp_remap(map->inode.node, map->offset, length, &map->address);
    if (error == 0) {
        map->length = length;
    }
    return error;
}

void *mremap(void *address, size_t before, size_t length, int flags, ...) {
    (void)flags;
    struct map **place = find(address, before);
    int error = length >= PTRDIFF_MAX ? ENOMEM : length == 0 ? EINVAL : 0;
    if (place == NULL || (*place)->address != address || (*place)->length != before) {
        error = EFAULT;
    }
    if (error == 0) {
        error = ((*place)->is_copy ? resize_copy : resize_shared)(*place, (uint32_t)length);
    }
    if (error != 0) {
        errno = error;
        return MAP_FAILED;
    }
    return (*place)->address;
}

/* Advice changes nothing here, except what Linux answers with fresh pages. */
int madvise(void *address, size_t length, int advice) {
    struct map *map = find_part(address, length);
    if (map == NULL) {
        return fail(EINVAL);
    }
    uint32_t start = (uint32_t)((uint8_t *)address - map->address);
    uint32_t left = map->length - start;
    uint32_t pages = (uint32_t)(length + PAGE - 1) / PAGE * PAGE;
    pages = pages < left ? pages : left;
    switch (advice) {
        case MADV_DONTNEED:
            if (map->is_private) {
                fill(map, start, pages);
            }
            return 0;
        case MADV_REMOVE:
            if (map->is_private) {
                return fail(EINVAL);
            }
            if (!map->writable) {
                return fail(EACCES);
            }
            memset(address, 0, pages);
            return 0;
        case MADV_FREE:
            return map->is_private && map->inode.kind == WX_NONE ? 0 : fail(EINVAL);
        case MADV_HWPOISON:
            return fail(EPERM);
        case MADV_NORMAL:
        case MADV_RANDOM:
        case MADV_SEQUENTIAL:
        case MADV_WILLNEED:
        case MADV_DONTFORK:
        case MADV_DOFORK:
        case MADV_MERGEABLE:
        case MADV_UNMERGEABLE:
        case MADV_HUGEPAGE:
        case MADV_NOHUGEPAGE:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
            return 0;
        default:
            return fail(EINVAL);
    }
}

/* A second descriptor of the same file, with a position of its own: as much of dup() as a map needs for its size. */
int wx_descriptor_again(int fd) {
    const struct wx_file *file = wx_file(fd);
    int32_t made;
    int error = file == NULL ? EBADF : wx_file_open(file->inode, file->readable, file->writable, file->flags, &made);
    return error != 0 ? fail(error) : made;
}
