/* WASI's fd_* functions over the guest's own files.
 *
 * The C library calls these under the names of its imports; defining them here makes the linker take ours and leaves nothing of
 * the kind to ask the host for. Addresses come as int32_t because that is how the library declares the imports.
 * Source: lib/libc/wasi/libc-bottom-half/sources/__wasilibc_real.c of the compiler's package.
 */
#include <string.h>

#include "channel.h"
#include "vfs.h"

#define WASI(name) __imported_wasi_snapshot_preview1_##name

static struct wx_file files[WX_OPEN_MAX] = {
    [0] = {.inode = {.kind = WX_STREAM}, .readable = true},
    [1] = {.inode = {.kind = WX_STREAM}, .writable = true, .flags = __WASI_FDFLAGS_APPEND},
    [2] = {.inode = {.kind = WX_STREAM}, .writable = true, .flags = __WASI_FDFLAGS_APPEND},
    [WX_PREOPEN_FD] = {.inode = {.kind = WX_TREE}, .readable = true},
};

struct wx_file *wx_file(int32_t fd) {
    return fd >= 0 && fd < WX_OPEN_MAX && files[fd].inode.kind != WX_NONE ? &files[fd] : NULL;
}

__wasi_errno_t wx_file_open(struct wx_inode inode, bool readable, bool writable, __wasi_fdflags_t flags, int32_t *fd) {
    for (int32_t free = 0; free < WX_OPEN_MAX; free++) {
        if (files[free].inode.kind == WX_NONE) {
            files[free] = (struct wx_file){inode, readable, writable, flags, 0};
            if (inode.kind == WX_TMP) {
                wx_tmp_opened(inode.node);
            }
            *fd = free;
            return 0;
        }
    }
    return __WASI_ERRNO_MFILE;
}

static void release(struct wx_file *file) {
    struct wx_inode inode = file->inode;
    file->inode.kind = WX_NONE;
    if (inode.kind == WX_TMP) {
        wx_tmp_closed(inode.node);
    }
}

int32_t WASI(fd_close)(int32_t fd) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (fd == WX_PREOPEN_FD) {
        return __WASI_ERRNO_NOTSUP; /* the library's table of roots holds this number for good */
    }
    release(file);
    return 0;
}

/* close() of this C library is written in Zig, which imports the same function under a symbol name of its own. */
int32_t wx_zig_fd_close(int32_t fd) __asm__("fd_close|wasi_snapshot_preview1");

int32_t wx_zig_fd_close(int32_t fd) {
    return WASI(fd_close)(fd);
}

int32_t WASI(fd_renumber)(int32_t from, int32_t to) {
    struct wx_file *source = wx_file(from);
    if (source == NULL || to < 0 || to >= WX_OPEN_MAX) {
        return __WASI_ERRNO_BADF;
    }
    if (from == WX_PREOPEN_FD || to == WX_PREOPEN_FD) {
        return __WASI_ERRNO_NOTSUP;
    }
    if (from != to) {
        struct wx_file moved = *source;
        source->inode.kind = WX_NONE;
        release(&files[to]);
        files[to] = moved;
    }
    return 0;
}

static __wasi_errno_t read_at(const struct wx_file *file, int32_t iovs, int32_t count, uint64_t offset, uint32_t *total) {
    const __wasi_iovec_t *vector = WX_AT(const __wasi_iovec_t, iovs);
    uint32_t size;
    *total = 0;
    if (!file->readable) {
        return __WASI_ERRNO_BADF;
    }
    if (wx_is_dir(file->inode)) {
        return __WASI_ERRNO_ISDIR;
    }
    if (file->inode.kind == WX_RANDOM) {
        for (int32_t i = 0; i < count; i++) {
            __wasi_errno_t error = __wasi_random_get(vector[i].buf, vector[i].buf_len);
            if (error != 0) {
                return error;
            }
            *total += vector[i].buf_len;
        }
        return 0;
    }
    if (!wx_size(file->inode, &size)) {
        return 0; /* standard input and /dev/null are at their end */
    }
    for (int32_t i = 0; i < count && offset < size; i++) {
        uint32_t length = wx_read(file->inode, offset, vector[i].buf, vector[i].buf_len);
        offset += length;
        *total += length;
    }
    return 0;
}

static __wasi_errno_t write_at(int32_t fd, const struct wx_file *file, int32_t iovs, int32_t count, uint64_t offset, uint32_t *total) {
    const __wasi_ciovec_t *vector = WX_AT(const __wasi_ciovec_t, iovs);
    *total = 0;
    if (!file->writable) {
        return __WASI_ERRNO_BADF;
    }
    for (int32_t i = 0; i < count; i++) {
        uint32_t length = vector[i].buf_len;
        if (file->inode.kind == WX_STREAM) {
            (void)wx_host_stdio(fd == 1 ? 1 : 2, vector[i].buf, (int32_t)length);
        } else if (file->inode.kind == WX_TMP) {
            __wasi_errno_t error = wx_tmp_write(file->inode.node, offset + *total, vector[i].buf, length);
            if (error != 0) {
                /* What was written counts; the error comes again with the rest. */
                return *total > 0 ? 0 : error;
            }
        }
        *total += length;
    }
    return 0;
}

int32_t WASI(fd_read)(int32_t fd, int32_t iovs, int32_t count, int32_t result) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    uint32_t total;
    __wasi_errno_t error = read_at(file, iovs, count, file->offset, &total);
    file->offset += total;
    *WX_AT(uint32_t, result) = total;
    return error;
}

int32_t WASI(fd_pread)(int32_t fd, int32_t iovs, int32_t count, int64_t offset, int32_t result) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (file->inode.kind == WX_STREAM) {
        return __WASI_ERRNO_SPIPE;
    }
    return offset < 0 ? __WASI_ERRNO_INVAL : read_at(file, iovs, count, (uint64_t)offset, WX_AT(uint32_t, result));
}

int32_t WASI(fd_write)(int32_t fd, int32_t iovs, int32_t count, int32_t result) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    uint32_t size, total;
    bool appends = (file->flags & __WASI_FDFLAGS_APPEND) != 0 && wx_size(file->inode, &size);
    uint64_t offset = appends ? size : file->offset;
    __wasi_errno_t error = write_at(fd, file, iovs, count, offset, &total);
    if (total > 0) {
        file->offset = offset + total;
    }
    *WX_AT(uint32_t, result) = total;
    return error;
}

int32_t WASI(fd_pwrite)(int32_t fd, int32_t iovs, int32_t count, int64_t offset, int32_t result) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (file->inode.kind == WX_STREAM) {
        return __WASI_ERRNO_SPIPE;
    }
    return offset < 0 ? __WASI_ERRNO_INVAL : write_at(fd, file, iovs, count, (uint64_t)offset, WX_AT(uint32_t, result));
}

int32_t WASI(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t result) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (file->inode.kind == WX_STREAM) {
        return __WASI_ERRNO_SPIPE;
    }
    uint32_t size = 0;
    if (!wx_size(file->inode, &size) && wx_is_dir(file->inode)) {
        return __WASI_ERRNO_ISDIR;
    }
    if (whence > __WASI_WHENCE_END || whence < 0) {
        return __WASI_ERRNO_INVAL;
    }
    int64_t base = whence == __WASI_WHENCE_SET ? 0 : whence == __WASI_WHENCE_CUR ? (int64_t)file->offset : (int64_t)size;
    int64_t position;
    if (__builtin_add_overflow(base, offset, &position) || position < 0) {
        return __WASI_ERRNO_INVAL;
    }
    file->offset = (uint64_t)position;
    *WX_AT(uint64_t, result) = file->offset;
    return 0;
}

int32_t WASI(fd_tell)(int32_t fd, int32_t result) {
    return WASI(fd_seek)(fd, 0, __WASI_WHENCE_CUR, result);
}

int32_t WASI(fd_fdstat_get)(int32_t fd, int32_t result) {
    const struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    __wasi_rights_t rights = ~(__wasi_rights_t)(__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_READDIR);
    rights |= file->readable ? __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_READDIR : 0;
    rights |= file->writable ? __WASI_RIGHTS_FD_WRITE : 0;
    *WX_AT(__wasi_fdstat_t, result) = (__wasi_fdstat_t){
        .fs_filetype = wx_filetype(file->inode),
        .fs_flags = file->flags,
        .fs_rights_base = rights,
        /* The library intersects what it asks of path_open with this; path_open decides. */
        .fs_rights_inheriting = ~(__wasi_rights_t)0,
    };
    return 0;
}

int32_t WASI(fd_fdstat_set_flags)(int32_t fd, int32_t flags) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    file->flags = (__wasi_fdflags_t)flags;
    return 0;
}

int32_t WASI(fd_fdstat_set_rights)(int32_t fd, int64_t base, int64_t inheriting) {
    (void)base;
    (void)inheriting;
    return wx_file(fd) == NULL ? __WASI_ERRNO_BADF : 0;
}

int32_t WASI(fd_filestat_get)(int32_t fd, int32_t result) {
    const struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    wx_stat(file->inode, WX_AT(__wasi_filestat_t, result));
    return 0;
}

int32_t WASI(fd_filestat_set_size)(int32_t fd, int64_t size) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (size < 0 || !file->writable || file->inode.kind != WX_TMP) {
        return __WASI_ERRNO_INVAL;
    }
    return wx_tmp_resize(file->inode.node, (uint64_t)size);
}

int32_t WASI(fd_allocate)(int32_t fd, int64_t offset, int64_t length) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL || !file->writable) {
        return __WASI_ERRNO_BADF;
    }
    int64_t end;
    if (offset < 0 || length <= 0 || __builtin_add_overflow(offset, length, &end)) {
        return __WASI_ERRNO_INVAL;
    }
    if (file->inode.kind != WX_TMP) {
        return __WASI_ERRNO_NODEV;
    }
    return (uint64_t)end <= wx_tmp_size(file->inode.node) ? 0 : wx_tmp_resize(file->inode.node, (uint64_t)end);
}

int32_t WASI(fd_filestat_set_times)(int32_t fd, int64_t atim, int64_t mtim, int32_t flags) {
    struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    if (file->inode.kind != WX_TMP) {
        return __WASI_ERRNO_ROFS;
    }
    wx_tmp_times(file->inode.node, (__wasi_timestamp_t)atim, (__wasi_timestamp_t)mtim, (__wasi_fstflags_t)flags);
    return 0;
}

/* Nothing here is ever written to a disk. */
int32_t WASI(fd_sync)(int32_t fd) {
    return wx_file(fd) == NULL ? __WASI_ERRNO_BADF : 0;
}

int32_t WASI(fd_datasync)(int32_t fd) {
    return WASI(fd_sync)(fd);
}

int32_t WASI(fd_advise)(int32_t fd, int64_t offset, int64_t length, int32_t advice) {
    (void)offset;
    (void)length;
    (void)advice;
    return WASI(fd_sync)(fd);
}

int32_t WASI(fd_prestat_get)(int32_t fd, int32_t result) {
    /* The library counts up from 3 until it meets this error. */
    if (fd != WX_PREOPEN_FD) {
        return __WASI_ERRNO_BADF;
    }
    *WX_AT(__wasi_prestat_t, result) = (__wasi_prestat_t){.tag = __WASI_PREOPENTYPE_DIR, .u.dir.pr_name_len = 1};
    return 0;
}

int32_t WASI(fd_prestat_dir_name)(int32_t fd, int32_t path, int32_t length) {
    if (fd != WX_PREOPEN_FD || length < 1) {
        return __WASI_ERRNO_BADF;
    }
    *WX_AT(char, path) = '/';
    return 0;
}

/* Fills the buffer to its last byte while entries are left: a buffer that is not full tells the library that the listing ends. */
int32_t WASI(fd_readdir)(int32_t fd, int32_t buffer, int32_t capacity, int64_t cookie, int32_t result) {
    const struct wx_file *file = wx_file(fd);
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    uint8_t *out = WX_AT(uint8_t, buffer);
    uint32_t room = (uint32_t)capacity, used = 0;
    uint64_t at = (uint64_t)cookie;
    while (used < room) {
        struct wx_listed listed;
        bool found;
        __wasi_errno_t error = wx_list(file->inode, at, &listed, &found);
        if (error != 0) {
            return error;
        }
        if (!found) {
            break;
        }
        __wasi_filestat_t stat;
        wx_stat(listed.inode, &stat);
        at = listed.cookie;
        __wasi_dirent_t entry = {.d_next = at, .d_ino = stat.ino, .d_namlen = listed.length, .d_type = stat.filetype};
        uint32_t left = room - used;
        uint32_t head = sizeof entry < left ? sizeof entry : left;
        memcpy(out + used, &entry, head);
        uint32_t tail = listed.length < left - head ? listed.length : left - head;
        memcpy(out + used + head, listed.name, tail);
        used += head + tail;
    }
    *WX_AT(uint32_t, result) = used;
    return 0;
}
