/* The file system inside the guest: a packed read-only tree, a capped writable /tmp and four devices.
 *
 * Every function that can fail returns an errno, 0 if it does not: WASI's names, which have Linux' numbers here. Paths are
 * resolved component by component and there are no symbolic links, so an inode is a plain value: which mount, and which
 * entry or node of it.
 */
#ifndef WX_VFS_H
#define WX_VFS_H

#include <stdbool.h>
#include <stdint.h>
#include <wasi/api.h>

enum {
    WX_NAME_MAX = 255,
    WX_PATH_MAX = 4096,
    WX_OPEN_MAX = 512,
    WX_PREOPEN_FD = 3,
};

#define WX_TMP_BYTES (64u << 20)
#define WX_TMP_NODES 4096u
/* How much a file may grow and then be mapped to its new end while an older map of it lives: as much as it has, within these. */
#define WX_MAP_ROOM_LEAST (64u << 10)
#define WX_MAP_ROOM_MOST (1u << 20)

enum wx_kind { WX_NONE, WX_TREE, WX_TMP, WX_DEV, WX_NULL, WX_RANDOM, WX_STREAM };

struct wx_node;

struct wx_inode {
    enum wx_kind kind;
    union {
        uint32_t entry;       /* WX_TREE: index into the packed tree */
        struct wx_node *node; /* WX_TMP */
    };
};

/* One entry of a directory, as a listing gives it. */
struct wx_listed {
    struct wx_inode inode;
    const char *name;
    uint32_t length;
    uint64_t cookie; /* where the listing goes on after this entry */
};

/* Packed tree: entry 0 is the root, which exists also before a tree was committed. */
bool wx_tree_is_dir(uint32_t entry);
uint32_t wx_tree_data(uint32_t entry, const uint8_t **data);
uint32_t wx_tree_parent(uint32_t entry);
__wasi_errno_t wx_tree_child(uint32_t entry, const char *name, uint32_t length, uint32_t *child);
bool wx_tree_next(uint32_t entry, uint64_t cookie, struct wx_listed *listed);

/* /tmp: nodes are kept while they are linked or open. */
struct wx_node *wx_tmp_root(void);
bool wx_tmp_is_dir(const struct wx_node *node);
struct wx_node *wx_tmp_parent(struct wx_node *node);
struct wx_node *wx_tmp_child(struct wx_node *dir, const char *name, uint32_t length);
bool wx_tmp_next(struct wx_node *dir, uint64_t cookie, struct wx_listed *listed);
__wasi_errno_t wx_tmp_create(struct wx_node *dir, const char *name, uint32_t length, bool is_dir, struct wx_node **made);
__wasi_errno_t wx_tmp_remove(struct wx_node *node);
__wasi_errno_t wx_tmp_rename(struct wx_node *node, struct wx_node *dir, const char *name, uint32_t length);
void wx_tmp_opened(struct wx_node *node);
void wx_tmp_closed(struct wx_node *node);
uint32_t wx_tmp_size(const struct wx_node *node);
uint32_t wx_tmp_read(const struct wx_node *node, uint64_t offset, void *data, uint32_t length);
__wasi_errno_t wx_tmp_write(struct wx_node *node, uint64_t offset, const void *data, uint32_t length);
__wasi_errno_t wx_tmp_resize(struct wx_node *node, uint64_t size);
__wasi_errno_t wx_tmp_map(struct wx_node *node, uint64_t offset, uint32_t length, uint8_t **address);
__wasi_errno_t wx_tmp_remap(struct wx_node *node, uint64_t offset, uint32_t length, uint8_t **address);
void wx_tmp_unmap(struct wx_node *node);
void wx_tmp_stat(const struct wx_node *node, __wasi_filestat_t *stat);
void wx_tmp_times(struct wx_node *node, __wasi_timestamp_t atim, __wasi_timestamp_t mtim, __wasi_fstflags_t flags);

/* Paths. */
struct wx_target {
    struct wx_inode parent; /* meaningful only when name is set */
    const char *name;       /* last component; NULL when the path ends in "." or ".." or names the start itself */
    uint32_t length;
    struct wx_inode inode; /* WX_NONE: the parent exists and has no such entry */
    bool must_be_dir;      /* a slash came last */
};

bool wx_is_dir(struct wx_inode inode);
__wasi_filetype_t wx_filetype(struct wx_inode inode);
void wx_stat(struct wx_inode inode, __wasi_filestat_t *stat);
bool wx_size(struct wx_inode inode, uint32_t *size);
uint32_t wx_read(struct wx_inode inode, uint64_t offset, void *data, uint32_t length);
bool wx_same(struct wx_inode one, struct wx_inode other);
__wasi_errno_t wx_walk(struct wx_inode start, const char *path, uint32_t length, struct wx_target *target);
__wasi_errno_t wx_list(struct wx_inode dir, uint64_t cookie, struct wx_listed *listed, bool *found);

/* Descriptors (vfs_fd.c); path_open and poll_oneoff need them too. */
struct wx_file {
    struct wx_inode inode; /* WX_NONE: the descriptor is free */
    bool readable, writable;
    __wasi_fdflags_t flags;
    uint64_t offset;
};

struct wx_file *wx_file(int32_t fd);
__wasi_errno_t wx_file_open(struct wx_inode inode, bool readable, bool writable, __wasi_fdflags_t flags, int32_t *fd);
__wasi_timestamp_t wx_now(void);

/* An address that came as a number: what every WASI function of this libc gets. */
#define WX_AT(type, address) ((type *)(uintptr_t)(uint32_t)(address))

#endif
