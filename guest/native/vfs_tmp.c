/* /tmp: a writable file system in memory, capped, gone with the instance.
 *
 * A node lives while it is linked into a directory or open; its bytes count against the cap for as long. Children are kept in
 * the order of their serial numbers, which only grow, so a listing goes on correctly while entries come and go.
 */
#include <stdlib.h>
#include <string.h>

#include "vfs.h"

struct wx_node {
    struct wx_node *parent; /* NULL: the root, or no longer linked */
    struct wx_node *first, *last, *before, *after;
    uint8_t *data;
    uint32_t size, capacity;
    uint32_t opened;
    uint32_t inode;
    uint64_t serial; /* position in its directory's listing */
    __wasi_timestamp_t atim, mtim, ctim;
    bool is_dir;
    uint8_t length;
    char *name;
};

static struct wx_node root = {.is_dir = true, .inode = 1};
static uint32_t node_count = 1;
static uint32_t last_inode = 1;
static uint64_t last_serial;
static uint32_t bytes_used;

struct wx_node *wx_tmp_root(void) {
    return &root;
}

bool wx_tmp_is_dir(const struct wx_node *node) {
    return node->is_dir;
}

/* NULL for a removed directory: there is nothing above it any more. The root has its parent outside, see vfs_path.c. */
struct wx_node *wx_tmp_parent(struct wx_node *node) {
    return node->parent;
}

static bool is_linked(const struct wx_node *node) {
    return node == &root || node->parent != NULL;
}

struct wx_node *wx_tmp_child(struct wx_node *dir, const char *name, uint32_t length) {
    for (struct wx_node *child = dir->first; child != NULL; child = child->after) {
        if (child->length == length && memcmp(child->name, name, length) == 0) {
            return child;
        }
    }
    return NULL;
}

/* The first child whose serial number is above the cookie. */
bool wx_tmp_next(struct wx_node *dir, uint64_t cookie, struct wx_listed *listed) {
    for (struct wx_node *child = dir->first; child != NULL; child = child->after) {
        if (child->serial > cookie) {
            *listed = (struct wx_listed){{.kind = WX_TMP, .node = child}, child->name, child->length, child->serial};
            return true;
        }
    }
    return false;
}

static void link_child(struct wx_node *dir, struct wx_node *child) {
    child->parent = dir;
    child->serial = ++last_serial;
    child->after = NULL;
    child->before = dir->last;
    if (dir->last != NULL) {
        dir->last->after = child;
    } else {
        dir->first = child;
    }
    dir->last = child;
    dir->mtim = dir->ctim = wx_now();
}

static void unlink_child(struct wx_node *child) {
    struct wx_node *dir = child->parent;
    *(child->before != NULL ? &child->before->after : &dir->first) = child->after;
    *(child->after != NULL ? &child->after->before : &dir->last) = child->before;
    child->parent = child->before = child->after = NULL;
    dir->mtim = dir->ctim = wx_now();
}

static void free_if_gone(struct wx_node *node) {
    if (is_linked(node) || node->opened > 0) {
        return;
    }
    bytes_used -= node->size;
    node_count--;
    free(node->data);
    free(node->name);
    free(node);
}

void wx_tmp_opened(struct wx_node *node) {
    node->opened++;
}

void wx_tmp_closed(struct wx_node *node) {
    node->opened--;
    free_if_gone(node);
}

static char *copy_name(const char *name, uint32_t length) {
    char *copy = malloc(length == 0 ? 1 : length);
    if (copy != NULL) {
        memcpy(copy, name, length);
    }
    return copy;
}

__wasi_errno_t wx_tmp_create(struct wx_node *dir, const char *name, uint32_t length, bool is_dir, struct wx_node **made) {
    if (!is_linked(dir)) {
        return __WASI_ERRNO_NOENT;
    }
    if (node_count >= WX_TMP_NODES) {
        return __WASI_ERRNO_NOSPC;
    }
    struct wx_node *node = calloc(1, sizeof *node);
    char *copy = copy_name(name, length);
    if (node == NULL || copy == NULL) {
        free(node);
        free(copy);
        return __WASI_ERRNO_NOMEM;
    }
    node->name = copy;
    node->length = (uint8_t)length;
    node->is_dir = is_dir;
    node->inode = ++last_inode;
    node_count++;
    link_child(dir, node);
    node->atim = node->mtim = node->ctim = dir->mtim;
    *made = node;
    return 0;
}

/* Removes a file or an empty directory from its parent. */
__wasi_errno_t wx_tmp_remove(struct wx_node *node) {
    if (node->first != NULL) {
        return __WASI_ERRNO_NOTEMPTY;
    }
    if (node->parent == NULL) {
        return __WASI_ERRNO_BUSY;
    }
    unlink_child(node);
    node->ctim = wx_now();
    free_if_gone(node);
    return 0;
}

static bool is_inside(const struct wx_node *node, const struct wx_node *dir) {
    for (; node != NULL; node = node->parent) {
        if (node == dir) {
            return true;
        }
    }
    return false;
}

/* Moves a node to DIR/NAME, replacing what is there under POSIX's rules. */
__wasi_errno_t wx_tmp_rename(struct wx_node *node, struct wx_node *dir, const char *name, uint32_t length) {
    if (node->parent == NULL || !is_linked(dir)) {
        return node->parent == NULL ? __WASI_ERRNO_BUSY : __WASI_ERRNO_NOENT;
    }
    if (is_inside(dir, node)) {
        return __WASI_ERRNO_INVAL;
    }
    struct wx_node *there = wx_tmp_child(dir, name, length);
    if (there == node) {
        return 0;
    }
    if (there != NULL) {
        if (is_inside(node, there)) {
            return __WASI_ERRNO_NOTEMPTY;
        }
        if (node->is_dir != there->is_dir) {
            return node->is_dir ? __WASI_ERRNO_NOTDIR : __WASI_ERRNO_ISDIR;
        }
        if (there->first != NULL) {
            return __WASI_ERRNO_NOTEMPTY;
        }
    }
    char *copy = copy_name(name, length);
    if (copy == NULL) {
        return __WASI_ERRNO_NOMEM;
    }
    if (there != NULL) {
        (void)wx_tmp_remove(there);
    }
    unlink_child(node);
    free(node->name);
    node->name = copy;
    node->length = (uint8_t)length;
    link_child(dir, node);
    node->ctim = dir->mtim;
    return 0;
}

uint32_t wx_tmp_data(const struct wx_node *node, const uint8_t **data) {
    *data = node->data;
    return node->size;
}

/* Grows geometrically up to the cap, so that a file written in small pieces is copied a logarithmic number of times. */
static __wasi_errno_t reserve(struct wx_node *node, uint32_t size) {
    if (size <= node->capacity) {
        return 0;
    }
    uint32_t wanted = node->capacity + node->capacity / 2;
    wanted = wanted < size ? size : wanted;
    wanted = wanted < 256 ? 256 : wanted > WX_TMP_BYTES ? WX_TMP_BYTES : wanted;
    uint8_t *data = realloc(node->data, wanted);
    if (data == NULL && wanted > size) {
        wanted = size;
        data = realloc(node->data, wanted);
    }
    if (data == NULL) {
        return __WASI_ERRNO_NOMEM;
    }
    node->data = data;
    node->capacity = wanted;
    return 0;
}

__wasi_errno_t wx_tmp_resize(struct wx_node *node, uint64_t size) {
    if (size > node->size && size - node->size > WX_TMP_BYTES - bytes_used) {
        return __WASI_ERRNO_NOSPC;
    }
    __wasi_errno_t error = reserve(node, (uint32_t)size);
    if (error != 0) {
        return error;
    }
    if (size > node->size) {
        memset(node->data + node->size, 0, (uint32_t)size - node->size);
    }
    bytes_used = bytes_used - node->size + (uint32_t)size;
    node->size = (uint32_t)size;
    if (size == 0) {
        free(node->data);
        node->data = NULL;
        node->capacity = 0;
    }
    node->mtim = node->ctim = wx_now();
    return 0;
}

/* Writes LENGTH bytes or none. */
__wasi_errno_t wx_tmp_write(struct wx_node *node, uint64_t offset, const void *data, uint32_t length) {
    if (length == 0) {
        return 0;
    }
    if (offset > WX_TMP_BYTES || offset + length > WX_TMP_BYTES) {
        return __WASI_ERRNO_NOSPC;
    }
    if (offset + length > node->size) {
        __wasi_errno_t error = wx_tmp_resize(node, offset + length);
        if (error != 0) {
            return error;
        }
    }
    memcpy(node->data + offset, data, length);
    node->mtim = node->ctim = wx_now();
    return 0;
}

void wx_tmp_stat(const struct wx_node *node, __wasi_filestat_t *stat) {
    stat->ino = node->inode;
    stat->nlink = !is_linked(node) ? 0 : node->is_dir ? 2 : 1;
    stat->size = node->size;
    stat->atim = node->atim;
    stat->mtim = node->mtim;
    stat->ctim = node->ctim;
}

void wx_tmp_times(struct wx_node *node, __wasi_timestamp_t atim, __wasi_timestamp_t mtim, __wasi_fstflags_t flags) {
    __wasi_timestamp_t now = wx_now();
    if ((flags & __WASI_FSTFLAGS_ATIM) != 0) {
        node->atim = atim;
    }
    if ((flags & __WASI_FSTFLAGS_ATIM_NOW) != 0) {
        node->atim = now;
    }
    if ((flags & __WASI_FSTFLAGS_MTIM) != 0) {
        node->mtim = mtim;
    }
    if ((flags & __WASI_FSTFLAGS_MTIM_NOW) != 0) {
        node->mtim = now;
    }
    node->ctim = now;
}
