/* WASI's path_* functions over the guest's own files, and the rest of WASI that must not reach the host. */
#include <string.h>

#include "channel.h"
#include "vfs.h"

#define WASI(name) __imported_wasi_snapshot_preview1_##name

static __wasi_errno_t walk(int32_t fd, int32_t path, int32_t length, struct wx_target *target) {
    const struct wx_file *file = wx_file(fd);
    *target = (struct wx_target){.inode = {.kind = WX_NONE}};
    if (file == NULL) {
        return __WASI_ERRNO_BADF;
    }
    return wx_is_dir(file->inode) ? wx_walk(file->inode, WX_AT(const char, path), (uint32_t)length, target) : __WASI_ERRNO_NOTDIR;
}

/* As walk, and the target must exist. */
static __wasi_errno_t find(int32_t fd, int32_t path, int32_t length, struct wx_target *target) {
    __wasi_errno_t error = walk(fd, path, length, target);
    return error != 0 ? error : target->inode.kind == WX_NONE ? __WASI_ERRNO_NOENT : 0;
}

static __wasi_errno_t create(const struct wx_target *target, bool is_dir, struct wx_inode *made) {
    if (target->parent.kind != WX_TMP) {
        return __WASI_ERRNO_ROFS;
    }
    made->kind = WX_TMP;
    return wx_tmp_create(target->parent.node, target->name, target->length, is_dir, &made->node);
}

int32_t WASI(path_open)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t oflags, int64_t rights, int64_t inheriting,
                        int32_t flags, int32_t result) {
    (void)lookup;
    (void)inheriting;
    bool wants_read = ((uint64_t)rights & __WASI_RIGHTS_FD_READ) != 0;
    bool wants_write = ((uint64_t)rights & __WASI_RIGHTS_FD_WRITE) != 0;
    bool wants_new = (oflags & __WASI_OFLAGS_CREAT) != 0;
    bool wants_dir = (oflags & __WASI_OFLAGS_DIRECTORY) != 0;
    bool truncates = (oflags & __WASI_OFLAGS_TRUNC) != 0;
    struct wx_target target;
    __wasi_errno_t error = walk(fd, path, length, &target);
    if (wants_new && target.must_be_dir && target.name != NULL) {
        return __WASI_ERRNO_ISDIR; /* whether it exists or not, and if it is a file, too */
    }
    if (error != 0) {
        return error;
    }
    bool made = false;
    if (target.inode.kind == WX_NONE) {
        if (!wants_new) {
            return __WASI_ERRNO_NOENT;
        }
        if (wants_dir) {
            return __WASI_ERRNO_INVAL;
        }
        error = create(&target, false, &target.inode);
        if (error != 0) {
            return error;
        }
        made = true;
    } else if (wants_new && (oflags & __WASI_OFLAGS_EXCL) != 0) {
        return __WASI_ERRNO_EXIST;
    }
    if (wx_is_dir(target.inode)) {
        if (wants_write || truncates || wants_new) {
            return __WASI_ERRNO_ISDIR;
        }
    } else if (wants_dir) {
        return __WASI_ERRNO_NOTDIR;
    } else if ((wants_write || truncates) && target.inode.kind == WX_TREE) {
        return __WASI_ERRNO_ROFS;
    }
    error = wx_file_open(target.inode, wants_read, wants_write, (__wasi_fdflags_t)flags, WX_AT(int32_t, result));
    if (error != 0) {
        if (made) {
            (void)wx_tmp_remove(target.inode.node);
        }
        return error;
    }
    return truncates && target.inode.kind == WX_TMP ? wx_tmp_resize(target.inode.node, 0) : 0;
}

int32_t WASI(path_filestat_get)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t result) {
    (void)lookup;
    struct wx_target target;
    __wasi_errno_t error = find(fd, path, length, &target);
    if (error == 0) {
        wx_stat(target.inode, WX_AT(__wasi_filestat_t, result));
    }
    return error;
}

int32_t WASI(path_filestat_set_times)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int64_t atim, int64_t mtim,
                                      int32_t flags) {
    (void)lookup;
    struct wx_target target;
    __wasi_errno_t error = find(fd, path, length, &target);
    if (error == 0 && target.inode.kind != WX_TMP) {
        error = __WASI_ERRNO_ROFS;
    }
    if (error == 0) {
        wx_tmp_times(target.inode.node, (__wasi_timestamp_t)atim, (__wasi_timestamp_t)mtim, (__wasi_fstflags_t)flags);
    }
    return error;
}

int32_t WASI(path_create_directory)(int32_t fd, int32_t path, int32_t length) {
    struct wx_target target;
    struct wx_inode made;
    __wasi_errno_t error = walk(fd, path, length, &target);
    if (error == __WASI_ERRNO_NOTDIR && target.must_be_dir) {
        return __WASI_ERRNO_EXIST; /* a file with a slash at its end */
    }
    if (error != 0) {
        return error;
    }
    return target.inode.kind != WX_NONE ? __WASI_ERRNO_EXIST : create(&target, true, &made);
}

/* What removal and renaming have in common: a named, existing target in /tmp that is not a mount. A path that ends in "." or ".." has
 * no name: UNNAMED. */
static __wasi_errno_t find_movable(int32_t fd, int32_t path, int32_t length, __wasi_errno_t unnamed, struct wx_target *target) {
    __wasi_errno_t error = find(fd, path, length, target);
    if (error != 0) {
        return error;
    }
    if (target->name == NULL) {
        return unnamed;
    }
    return target->parent.kind == WX_TMP ? 0 : target->inode.kind == WX_TMP ? __WASI_ERRNO_BUSY : __WASI_ERRNO_ROFS;
}

int32_t WASI(path_remove_directory)(int32_t fd, int32_t path, int32_t length) {
    struct wx_target target;
    const char *text = WX_AT(const char, path);
    uint32_t end = (uint32_t)length;
    while (end > 0 && text[end - 1] == '/') {
        end--;
    }
    bool is_parent = end >= 2 && text[end - 1] == '.' && text[end - 2] == '.';
    __wasi_errno_t error = find_movable(fd, path, length, is_parent ? __WASI_ERRNO_NOTEMPTY : __WASI_ERRNO_INVAL, &target);
    if (error != 0) {
        return error;
    }
    return wx_is_dir(target.inode) ? wx_tmp_remove(target.inode.node) : __WASI_ERRNO_NOTDIR;
}

int32_t WASI(path_unlink_file)(int32_t fd, int32_t path, int32_t length) {
    struct wx_target target;
    __wasi_errno_t error = find_movable(fd, path, length, __WASI_ERRNO_ISDIR, &target);
    if (error != 0) {
        return error;
    }
    return wx_is_dir(target.inode) ? __WASI_ERRNO_ISDIR : wx_tmp_remove(target.inode.node);
}

int32_t WASI(path_rename)(int32_t fd, int32_t path, int32_t length, int32_t new_fd, int32_t new_path, int32_t new_length) {
    struct wx_target from, to;
    __wasi_errno_t error = find_movable(fd, path, length, __WASI_ERRNO_BUSY, &from);
    /* Across mounts the answer must be XDEV, not ROFS: shutil.move copies then. */
    if (error != 0 && error != __WASI_ERRNO_ROFS) {
        return error;
    }
    __wasi_errno_t other = walk(new_fd, new_path, new_length, &to);
    if (other != 0) {
        return other;
    }
    if (to.name == NULL) {
        return __WASI_ERRNO_BUSY;
    }
    if (from.parent.kind != to.parent.kind) {
        return __WASI_ERRNO_XDEV;
    }
    if (error != 0) {
        return error;
    }
    if (to.must_be_dir && !wx_is_dir(from.inode)) {
        return __WASI_ERRNO_NOTDIR;
    }
    return wx_tmp_rename(from.inode.node, to.parent.node, to.name, to.length);
}

/* Nothing is a symbolic link: an existing path is the wrong kind of file for this. */
int32_t WASI(path_readlink)(int32_t fd, int32_t path, int32_t length, int32_t buffer, int32_t capacity, int32_t result) {
    (void)buffer;
    (void)capacity;
    struct wx_target target;
    __wasi_errno_t error = find(fd, path, length, &target);
    *WX_AT(uint32_t, result) = 0;
    return error != 0 ? error : __WASI_ERRNO_INVAL;
}

int32_t WASI(path_symlink)(int32_t old, int32_t old_length, int32_t fd, int32_t path, int32_t length) {
    (void)old, (void)old_length, (void)fd, (void)path, (void)length;
    return __WASI_ERRNO_NOTSUP;
}

int32_t WASI(path_link)(int32_t fd, int32_t flags, int32_t path, int32_t length, int32_t new_fd, int32_t new_path, int32_t new_length) {
    (void)fd, (void)flags, (void)path, (void)length, (void)new_fd, (void)new_path, (void)new_length;
    return __WASI_ERRNO_NOTSUP;
}

/* Nanoseconds until a clock subscription is due. */
static uint64_t due_in(const __wasi_subscription_clock_t *clock) {
    if ((clock->flags & __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME) == 0) {
        return clock->timeout;
    }
    __wasi_timestamp_t now = 0;
    (void)__wasi_clock_time_get(clock->id, 1000, &now);
    return clock->timeout > now ? clock->timeout - now : 0;
}

/* Our files are always ready, so only a wait for clocks alone really waits: in the host. */
int32_t WASI(poll_oneoff)(int32_t in, int32_t out, int32_t count, int32_t result) {
    const __wasi_subscription_t *wanted = WX_AT(const __wasi_subscription_t, in);
    __wasi_event_t *events = WX_AT(__wasi_event_t, out);
    if (count <= 0) {
        return __WASI_ERRNO_INVAL;
    }
    uint64_t wait = UINT64_MAX;
    for (int32_t i = 0; i < count; i++) {
        uint64_t due = wanted[i].u.tag == __WASI_EVENTTYPE_CLOCK ? due_in(&wanted[i].u.u.clock) : 0;
        wait = due < wait ? due : wait;
    }
    uint32_t happened = 0;
    for (int32_t i = 0; i < count; i++) {
        __wasi_event_t event = {.userdata = wanted[i].userdata, .type = wanted[i].u.tag};
        if (event.type == __WASI_EVENTTYPE_CLOCK) {
            if (due_in(&wanted[i].u.u.clock) > wait) {
                continue;
            }
        } else if (wx_file(wanted[i].u.u.fd_read.file_descriptor) == NULL) {
            event.error = __WASI_ERRNO_BADF;
        }
        events[happened++] = event;
    }
    if (wait > 0) {
        /* An answer below zero means that the execution is ending: the host interrupts this instance at its next instruction. */
        (void)wx_host_sleep(wait > INT64_MAX ? INT64_MAX : (int64_t)wait);
    }
    *WX_AT(uint32_t, result) = happened;
    return 0;
}

int32_t WASI(sched_yield)(void) {
    return 0;
}

/* No arguments and no environment. */
static int32_t none(int32_t count, int32_t size) {
    *WX_AT(uint32_t, count) = 0;
    *WX_AT(uint32_t, size) = 0;
    return 0;
}

int32_t WASI(args_sizes_get)(int32_t count, int32_t size) {
    return none(count, size);
}

int32_t WASI(environ_sizes_get)(int32_t count, int32_t size) {
    return none(count, size);
}

int32_t WASI(args_get)(int32_t pointers, int32_t buffer) {
    (void)pointers, (void)buffer;
    return 0;
}

int32_t WASI(environ_get)(int32_t pointers, int32_t buffer) {
    (void)pointers, (void)buffer;
    return 0;
}

/* No sockets: HTTP goes through the host's own call. */
int32_t WASI(sock_accept)(int32_t fd, int32_t flags, int32_t result) {
    (void)fd, (void)flags, (void)result;
    return __WASI_ERRNO_NOTSUP;
}

int32_t WASI(sock_recv)(int32_t fd, int32_t iovs, int32_t count, int32_t flags, int32_t size, int32_t result) {
    (void)fd, (void)iovs, (void)count, (void)flags, (void)size, (void)result;
    return __WASI_ERRNO_NOTSUP;
}

int32_t WASI(sock_send)(int32_t fd, int32_t iovs, int32_t count, int32_t flags, int32_t result) {
    (void)fd, (void)iovs, (void)count, (void)flags, (void)result;
    return __WASI_ERRNO_NOTSUP;
}

int32_t WASI(sock_shutdown)(int32_t fd, int32_t how) {
    (void)fd, (void)how;
    return __WASI_ERRNO_NOTSUP;
}
