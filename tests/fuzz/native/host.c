/* What the guest's C asks of the host, answered here, and the ways into it that the targets use. */
#include "before.h"

#undef mmap
#undef strftime

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdlib.h>

#include "vfs.h"

#define WASI(name) __imported_wasi_snapshot_preview1_##name
#define PUBLIC __attribute__((visibility("default")))

int32_t WASI(path_open)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t oflags, int64_t rights, int64_t inheriting,
                        int32_t flags, int32_t result);
int32_t WASI(path_filestat_get)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int32_t result);
int32_t WASI(path_filestat_set_times)(int32_t fd, int32_t lookup, int32_t path, int32_t length, int64_t atim, int64_t mtim,
                                      int32_t flags);
int32_t WASI(path_create_directory)(int32_t fd, int32_t path, int32_t length);
int32_t WASI(path_remove_directory)(int32_t fd, int32_t path, int32_t length);
int32_t WASI(path_unlink_file)(int32_t fd, int32_t path, int32_t length);
int32_t WASI(path_rename)(int32_t fd, int32_t path, int32_t length, int32_t new_fd, int32_t new_path, int32_t new_length);
int32_t WASI(path_readlink)(int32_t fd, int32_t path, int32_t length, int32_t buffer, int32_t capacity, int32_t result);
int32_t WASI(poll_oneoff)(int32_t in, int32_t out, int32_t count, int32_t result);
int32_t WASI(fd_close)(int32_t fd);
int32_t WASI(fd_renumber)(int32_t from, int32_t to);
int32_t WASI(fd_read)(int32_t fd, int32_t iovs, int32_t count, int32_t result);
int32_t WASI(fd_pread)(int32_t fd, int32_t iovs, int32_t count, int64_t offset, int32_t result);
int32_t WASI(fd_write)(int32_t fd, int32_t iovs, int32_t count, int32_t result);
int32_t WASI(fd_pwrite)(int32_t fd, int32_t iovs, int32_t count, int64_t offset, int32_t result);
int32_t WASI(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t result);
int32_t WASI(fd_tell)(int32_t fd, int32_t result);
int32_t WASI(fd_allocate)(int32_t fd, int64_t offset, int64_t length);
int32_t WASI(fd_filestat_get)(int32_t fd, int32_t result);
int32_t WASI(fd_filestat_set_size)(int32_t fd, int64_t size);
int32_t WASI(fd_fdstat_get)(int32_t fd, int32_t result);
int32_t WASI(fd_fdstat_set_flags)(int32_t fd, int32_t flags);
int32_t WASI(fd_readdir)(int32_t fd, int32_t buffer, int32_t capacity, int64_t cookie, int32_t result);

int32_t WASI(fd_datasync)(int32_t fd);
int32_t WASI(fd_advise)(int32_t fd, int64_t offset, int64_t length, int32_t advice);
int32_t WASI(fd_fdstat_set_rights)(int32_t fd, int64_t base, int64_t inheriting);
int32_t WASI(fd_filestat_set_times)(int32_t fd, int64_t atim, int64_t mtim, int32_t flags);
int32_t WASI(fd_prestat_get)(int32_t fd, int32_t result);
int32_t WASI(fd_prestat_dir_name)(int32_t fd, int32_t path, int32_t length);
int32_t WASI(path_symlink)(int32_t old, int32_t old_length, int32_t fd, int32_t path, int32_t length);
int32_t WASI(path_link)(int32_t fd, int32_t flags, int32_t path, int32_t length, int32_t new_fd, int32_t new_path, int32_t new_length);
int32_t WASI(args_sizes_get)(int32_t count, int32_t size);
int32_t WASI(environ_sizes_get)(int32_t count, int32_t size);
int32_t WASI(args_get)(int32_t pointers, int32_t buffer);
int32_t WASI(environ_get)(int32_t pointers, int32_t buffer);
int32_t WASI(sock_accept)(int32_t fd, int32_t flags, int32_t result);
int32_t WASI(sock_recv)(int32_t fd, int32_t iovs, int32_t count, int32_t flags, int32_t size, int32_t result);
int32_t WASI(sock_send)(int32_t fd, int32_t iovs, int32_t count, int32_t flags, int32_t result);
int32_t WASI(sock_shutdown)(int32_t fd, int32_t how);
int32_t WASI(sched_yield)(void);
int wx_descriptor_again(int fd);

enum { PATHS = 24, PATH_SIZE = 512, BUFFER_SIZE = 64 * 1024, MAPS = 8, OPERATIONS = 60 };

uintptr_t wx_header[WX_WORDS] = {[WX_MAGIC] = 0x31435857u, [WX_VERSION] = 1, [WX_STATE] = WX_READY};

/* The answer to the next call of the guest. */
static const uint8_t *answer;
static int32_t answer_length;

int32_t wx_host_log(int32_t level, const char *text, int32_t length) {
    volatile char last = length > 0 ? text[length - 1] : 0;
    (void)last;
    return level < 0 ? -1 : 0;
}

int32_t wx_host_call(const void *request, int32_t length, void *reply, int32_t capacity) {
    volatile char last = length > 0 ? ((const char *)request)[length - 1] : 0;
    (void)last;
    if (answer_length >= 0 && answer_length <= capacity) {
        memcpy(reply, answer, (size_t)answer_length);
    }
    return answer_length;
}

int32_t wx_host_reply(void *reply, int32_t capacity) {
    if (answer_length < 0 || answer_length > capacity) {
        return WX_MALFORMED;
    }
    memcpy(reply, answer, (size_t)answer_length);
    return answer_length;
}

int32_t wx_host_sleep(int64_t nanoseconds) {
    return nanoseconds < 0 ? WX_ENDING : 0;
}

int32_t wx_host_stdio(int32_t fd, const void *text, int32_t length) {
    return wx_host_log(fd, text, length);
}

void wx_complain(const char *text) {
    (void)text;
}

__wasi_errno_t __wasi_random_get(uint8_t *buffer, __wasi_size_t length) {
    memset(buffer, 7, length);
    return 0;
}

__wasi_errno_t __wasi_clock_time_get(__wasi_clockid_t id, __wasi_timestamp_t precision, __wasi_timestamp_t *time) {
    (void)id;
    (void)precision;
    static __wasi_timestamp_t now = 1000;
    *time = ++now;
    return 0;
}

PUBLIC void fuzz_answer(const uint8_t *data, int32_t length) {
    answer = data;
    answer_length = length;
}

/* A frame for take_inbox, of which the header says that it has so many bytes. */
PUBLIC bool fuzz_inbox(const uint8_t *data, uintptr_t length, uintptr_t told) {
    extern uint32_t wx_reserve(uint32_t size);
    (void)wx_reserve((uint32_t)length);
    if (length > wx_header[WX_INBOX_CAP]) {
        return false;
    }
    memcpy((uint8_t *)wx_header[WX_INBOX_PTR], data, length);
    wx_header[WX_INBOX_LEN] = told;
    return true;
}

PUBLIC const char *fuzz_where(void) {
    extern int32_t wx_where(void);
    (void)wx_where();
    return (const char *)wx_header[WX_WHERE_PTR];
}

PUBLIC uintptr_t fuzz_where_length(void) {
    return wx_header[WX_WHERE_LEN];
}

/* Length of a time as text by the guest's function, in memory of so many bytes. */
PUBLIC uintptr_t fuzz_time(char *text, uintptr_t room, const char *format, const int32_t *fields) {
    struct tm time = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7], 0};
    return fuzz_strftime(text, room, format, &time);
}

/* The same in wide characters, of which only the length is looked at. */
PUBLIC uintptr_t fuzz_wide_time(uintptr_t room, const wchar_t *format, const int32_t *fields) {
    struct tm time = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7], 0};
    wchar_t *text = malloc((room + 1) * sizeof *text);
    uintptr_t length = fuzz_wcsftime(text, room, format, &time);
    free(text);
    return length;
}

/* The same by the C library of this machine. */
PUBLIC uintptr_t fuzz_time_here(char *text, uintptr_t room, const char *format, const int32_t *fields) {
    struct tm time = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7], 0};
    return strftime(text, room, format, &time);
}

/* What the guest's C library has for its own gmtime_r, which is not looked at here. */
int __secs_to_tm(long long seconds, struct tm *time);

int __secs_to_tm(long long seconds, struct tm *time) {
    (void)seconds;
    (void)time;
    return -1;
}

/* A program of file operations: bytes that are read from the front; zeros follow. */
struct program {
    const uint8_t *data;
    size_t length, at;
};

static uint8_t byte(struct program *program) {
    return program->at < program->length ? program->data[program->at++] : 0;
}

static uint64_t number(struct program *program) {
    static const uint64_t edges[] = {0,          1,         255,       256, 4096, 65536, WX_TMP_BYTES - 1, WX_TMP_BYTES, WX_TMP_BYTES + 1,
                                     UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint8_t kind = byte(program);
    if (kind < 128) {
        return kind;
    }
    return kind < 192 ? (uint64_t)(kind - 128) * 997 : edges[kind % (sizeof edges / sizeof *edges)];
}

/* Memory with an address of 32 bits, for what a WASI call points at. */
static uint8_t *low;
static char (*paths)[PATH_SIZE];

static void start(void) {
    if (low != NULL) {
        return;
    }
    size_t size = BUFFER_SIZE + PATHS * PATH_SIZE;
    low = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) {
        abort();
    }
    paths = (char (*)[PATH_SIZE])(low + BUFFER_SIZE);
}

static int32_t at(const void *pointer) {
    return (int32_t)(uintptr_t)pointer;
}

static const char *path(struct program *program, int32_t *length) {
    static const char *const parts[] = {"tmp", "a", "b", "d", "/", "..", ".", "dev", "null", "random", "lib", "x", "", "//", "f", "tmp/"};
    char *text = paths[byte(program) % PATHS];
    int32_t used = 0;
    ASAN_UNPOISON_MEMORY_REGION(text, PATH_SIZE);
    uint8_t kind = byte(program);
    if (kind % 8 == 7) {
        used = 1 + kind * 2 % (PATH_SIZE - 1);
        memset(text, 'n', (size_t)used);
    } else {
        memcpy(text, "tmp/", 4);
        used = kind % 4 == 3 ? 0 : 4;
        for (int i = 0; i < 1 + kind % 3; i++) {
            const char *part = parts[byte(program) % (sizeof parts / sizeof *parts)];
            size_t size = strlen(part);
            memcpy(text + used, part, size);
            used += (int32_t)size;
            text[used++] = '/';
        }
        used -= kind >= 32;
    }
    /* What is behind the path must not be read. */
    ASAN_POISON_MEMORY_REGION(text + used, (size_t)(PATH_SIZE - used) & ~(size_t)7);
    *length = used;
    return text;
}

static uint8_t *buffer(uint32_t length) {
    uint8_t *start_at = low + 1024;
    ASAN_UNPOISON_MEMORY_REGION(start_at, BUFFER_SIZE - 1024);
    ASAN_POISON_MEMORY_REGION(start_at + length, BUFFER_SIZE - 1024 - length);
    return start_at;
}

/* What there is not in here, or what does nothing. */
static void refuse(struct program *program, int32_t fd, int32_t result) {
    int32_t length;
    const char *one = path(program, &length);
    (void)WASI(path_symlink)(at(one), length, 3, at(one), length);
    (void)WASI(path_link)(3, 0, at(one), length, 3, at(one), length);
    (void)WASI(args_sizes_get)(result, result + 4);
    (void)WASI(environ_sizes_get)(result, result + 4);
    (void)WASI(args_get)(result, result);
    (void)WASI(environ_get)(result, result);
    (void)WASI(sock_accept)(fd, 0, result);
    (void)WASI(sock_recv)(fd, result, 1, 0, result, result);
    (void)WASI(sock_send)(fd, result, 1, 0, result);
    (void)WASI(sock_shutdown)(fd, 0);
    (void)WASI(sched_yield)();
    (void)WASI(fd_datasync)(fd);
    (void)WASI(fd_advise)(fd, 0, 1, byte(program) % 8);
    (void)WASI(fd_fdstat_set_rights)(fd, -1, -1);
    (void)WASI(fd_filestat_set_times)(fd, (int64_t)number(program), 2, byte(program) % 16);
    (void)WASI(fd_prestat_get)(fd, result);
    (void)WASI(fd_prestat_dir_name)(fd, result, 1);
    (void)wx_descriptor_again(fd);
}

static void operate(struct program *program, void **maps, size_t *sizes) {
    int32_t fd = byte(program) % 10, length, other;
    uint32_t size = (uint32_t)(number(program) % (BUFFER_SIZE - 1024));
    __wasi_iovec_t *vectors = (__wasi_iovec_t *)low;
    uint8_t *result = low + 512, which = byte(program) % MAPS;
    vectors[0] = (__wasi_iovec_t){buffer(size), size / 2};
    vectors[1] = (__wasi_iovec_t){buffer(size) + size / 2, size - size / 2};
    const char *one, *two;
    switch (byte(program) % 25) {
        case 0:
        case 1:
            one = path(program, &length);
            (void)WASI(path_open)(3, 0, at(one), length, byte(program) % 16, (int64_t)(byte(program) % 4 != 0 ? ~0ull : 2u), -1,
                                  byte(program) % 2, at(result));
            break;
        case 2:
            (void)WASI(fd_close)(fd);
            break;
        case 3:
            (void)WASI(fd_read)(fd, at(vectors), 2, at(result));
            break;
        case 4:
            (void)WASI(fd_pread)(fd, at(vectors), 2, (int64_t)number(program), at(result));
            break;
        case 5:
        case 6:
            (void)WASI(fd_write)(fd, at(vectors), 2, at(result));
            break;
        case 7:
            (void)WASI(fd_pwrite)(fd, at(vectors), 2, (int64_t)number(program), at(result));
            break;
        case 8:
            (void)WASI(fd_seek)(fd, (int64_t)number(program), byte(program) % 4, at(result));
            break;
        case 9:
            (void)WASI(fd_filestat_set_size)(fd, (int64_t)(number(program) % (1 << 20)));
            break;
        case 10:
            (void)WASI(fd_allocate)(fd, (int64_t)(number(program) % (1 << 20)), (int64_t)(number(program) % (1 << 20)));
            break;
        case 11:
            (void)WASI(fd_readdir)(fd, at(buffer(size)), (int32_t)size, (int64_t)number(program), at(result));
            break;
        case 12:
            one = path(program, &length);
            (void)WASI(path_create_directory)(3, at(one), length);
            break;
        case 13:
            one = path(program, &length);
            (void)(byte(program) % 2 ? WASI(path_unlink_file) : WASI(path_remove_directory))(3, at(one), length);
            break;
        case 14:
        case 15:
            one = path(program, &length);
            two = path(program, &other);
            if (one != two) {
                (void)WASI(path_rename)(3, at(one), length, 3, at(two), other);
            }
            break;
        case 16:
            one = path(program, &length);
            (void)WASI(path_filestat_get)(3, 0, at(one), length, at(result));
            (void)WASI(path_filestat_set_times)(3, 0, at(one), length, 1, 2, byte(program) % 16);
            (void)WASI(path_readlink)(3, at(one), length, 0, 0, at(result));
            break;
        case 17:
            (void)WASI(fd_renumber)(fd, byte(program) % 10);
            (void)WASI(fd_fdstat_set_flags)(byte(program) % 10, byte(program) % 2);
            break;
        case 18:
        case 19:
            if (maps[which] == NULL) {
                void *made = fuzz_mmap(NULL, size, byte(program) % 4, byte(program) % 4 | (byte(program) % 8 == 7 ? MAP_ANONYMOUS : 0),
                                       fd, (off_t)(number(program) % 4 * 4096));
                maps[which] = made == MAP_FAILED ? NULL : made;
                sizes[which] = size;
            } else {
                void *moved = fuzz_mremap(maps[which], sizes[which], size, 1);
                if (moved != MAP_FAILED) {
                    maps[which] = moved;
                    sizes[which] = size;
                }
            }
            break;
        case 20:
            if (maps[which] != NULL && fuzz_munmap(maps[which], sizes[which]) == 0) {
                maps[which] = NULL;
            }
            break;
        case 21:
            if (maps[which] != NULL) {
                (void)fuzz_msync(maps[which], size, 0);
                (void)fuzz_madvise(maps[which], size % (sizes[which] + 1), byte(program) % 26);
                ((volatile uint8_t *)maps[which])[sizes[which] - 1] = 1;
            }
            break;
        case 22:
            if (maps[which] != NULL) {
                /* A map of a file written to the file itself. */
                vectors[0] = (__wasi_iovec_t){maps[which], sizes[which]};
                (void)(byte(program) % 2 ? WASI(fd_write) : WASI(fd_read))(fd, at(vectors), 1, at(result));
            }
            break;
        case 23:
            refuse(program, fd, at(result));
            break;
        default: {
            __wasi_subscription_t *wanted = (__wasi_subscription_t *)(low + 128);
            *wanted = (__wasi_subscription_t){.userdata = 1};
            wanted->u.tag = byte(program) % 3;
            wanted->u.u.clock.timeout = number(program);
            (void)WASI(poll_oneoff)(at(wanted), at(buffer(256)), 1, at(result));
            (void)WASI(fd_filestat_get)(fd, at(buffer(64)));
            (void)WASI(fd_fdstat_get)(fd, at(buffer(24)));
            (void)WASI(fd_tell)(fd, at(result));
        }
    }
}

/* Closes, unmaps and removes everything. */
static void clear(void **maps, size_t *sizes) {
    for (int i = 0; i < MAPS; i++) {
        if (maps[i] != NULL) {
            (void)fuzz_munmap(maps[i], sizes[i]);
        }
    }
    for (int32_t fd = 0; fd < 40; fd++) {
        (void)WASI(fd_close)(fd);
    }
    struct wx_listed listed;
    struct wx_node *dir = wx_tmp_root();
    while (dir != NULL) {
        if (wx_tmp_next(dir, 0, &listed)) {
            dir = listed.inode.node;
            continue;
        }
        struct wx_node *parent = wx_tmp_parent(dir);
        if (dir == wx_tmp_root()) {
            break;
        }
        (void)wx_tmp_remove(dir);
        dir = parent;
    }
}

PUBLIC void fuzz_files(const uint8_t *data, uintptr_t length) {
    struct program program = {data, length, 0};
    void *maps[MAPS] = {NULL};
    size_t sizes[MAPS] = {0};
    start();
    for (int count = 0; program.at < program.length && count < OPERATIONS; count++) {
        operate(&program, maps, sizes);
        ASAN_UNPOISON_MEMORY_REGION(low, BUFFER_SIZE + PATHS * PATH_SIZE);
    }
    clear(maps, sizes);
}

/* A packed tree, which the guest takes into use once: whatever it is, it is refused or it can be walked. */
PUBLIC int32_t fuzz_tree(const uint8_t *data, uintptr_t length) {
    extern bool fuzz_tree_set(const uint8_t *data, uint32_t length);
    if (!fuzz_tree_set(data, (uint32_t)length)) {
        return 1;
    }
    struct wx_inode root = {.kind = WX_TREE, .entry = 0};
    struct wx_listed listed;
    bool found;
    uint64_t cookie = 0;
    for (int count = 0; count < 100 && wx_list(root, cookie, &listed, &found) == 0 && found; count++) {
        cookie = listed.cookie;
        struct wx_target target;
        char *name = malloc(listed.length);
        memcpy(name, listed.name, listed.length);
        (void)wx_walk(root, name, listed.length, &target);
        free(name);
        if (listed.inode.kind == WX_TREE && count > 1) {
            uint8_t *read = malloc(64);
            uint32_t size = 0;
            if (wx_size(listed.inode, &size)) {
                (void)wx_read(listed.inode, size / 2, read, 64);
            }
            free(read);
            (void)wx_list(listed.inode, 2, &listed, &found);
        }
    }
    return 0;
}
