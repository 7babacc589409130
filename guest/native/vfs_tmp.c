/* /tmp: a writable file system in memory, capped, gone with the instance.
 *
 * A node lives while it is linked into a directory or open; its bytes count against the cap for as long. Children are kept in
 * the order of their serial numbers, which only grow, so a listing goes on correctly while entries come and go.
 *
 * A file's bytes are one buffer, into which shared maps point (vfs_map.c). It cannot move while there is one: what does not fit
 * is then kept in a second buffer, the tail, and both are joined when the last map goes.
 */
#include <stdlib.h>
#include <string.h>

#include "vfs.h"

struct wx_node {
    struct wx_node *parent; /* NULL: the root, or no longer linked */
    struct wx_node *first, *last, *before, *after;
    uint8_t *data, *tail; /* the first `capacity` bytes, and those after them */
    uint32_t size, capacity, tail_capacity;
    uint32_t opened, mapped;
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
    free(node->tail);
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

uint32_t wx_tmp_size(const struct wx_node *node) {
    return node->size;
}

/* The file's bytes from OFFSET on, as far as they lie together: *RUN is at most LENGTH. */
static uint8_t *bytes_at(const struct wx_node *node, uint32_t offset, uint32_t length, uint32_t *run) {
    if (offset >= node->capacity) {
        *run = length;
        return node->tail + (offset - node->capacity);
    }
    uint32_t left = node->capacity - offset;
    *run = length < left ? length : left;
    return node->data + offset;
}

/* Copies what the file has at OFFSET, at most LENGTH bytes; returns how many. DATA may lie in a map of the file itself. */
uint32_t wx_tmp_read(const struct wx_node *node, uint64_t offset, void *data, uint32_t length) {
    if (offset >= node->size) {
        return 0;
    }
    uint32_t left = node->size - (uint32_t)offset;
    length = length < left ? length : left;
    for (uint32_t done = 0, run; done < length; done += run) {
        const uint8_t *from = bytes_at(node, (uint32_t)offset + done, length - done, &run);
        memmove((uint8_t *)data + done, from, run);
    }
    return length;
}

/* The size to reserve for SIZE bytes: grows geometrically up to the cap, so that a file written in small pieces is copied a
 * logarithmic number of times. */
static uint32_t with_room(uint32_t present, uint32_t size) {
    uint32_t wanted = present + present / 2;
    wanted = wanted < size ? size : wanted;
    return wanted < 256 ? 256 : wanted > WX_TMP_BYTES ? WX_TMP_BYTES : wanted;
}

static __wasi_errno_t enlarge(uint8_t **data, uint32_t *capacity, uint32_t size, uint32_t wanted) {
    uint8_t *larger = realloc(*data, wanted);
    if (larger == NULL && wanted > size) {
        wanted = size;
        larger = realloc(*data, wanted);
    }
    if (larger == NULL) {
        return __WASI_ERRNO_NOMEM;
    }
    *data = larger;
    *capacity = wanted;
    return 0;
}

static void drop_tail(struct wx_node *node) {
    free(node->tail);
    node->tail = NULL;
    node->tail_capacity = 0;
}

/* Moves the tail behind the first buffer, which has to be free to move. */
static __wasi_errno_t join_tail(struct wx_node *node) {
    if (node->size <= node->capacity) {
        drop_tail(node);
        return 0;
    }
    uint32_t first = node->capacity;
    __wasi_errno_t error = enlarge(&node->data, &node->capacity, node->size, node->size);
    if (error == 0) {
        memcpy(node->data + first, node->tail, node->size - first);
        drop_tail(node);
    }
    return error;
}

static __wasi_errno_t reserve(struct wx_node *node, uint32_t size) {
    if (size <= node->capacity) {
        return 0;
    }
    if (node->mapped > 0 || (node->tail != NULL && join_tail(node) != 0)) {
        uint32_t rest = size - node->capacity;
        return rest <= node->tail_capacity ? 0 : enlarge(&node->tail, &node->tail_capacity, rest, with_room(node->tail_capacity, rest));
    }
    return size <= node->capacity ? 0 : enlarge(&node->data, &node->capacity, size, with_room(node->capacity, size));
}

static void drop_unused(struct wx_node *node) {
    if (node->size == 0 && node->mapped == 0) {
        free(node->data);
        node->data = NULL;
        node->capacity = 0;
    }
    if (node->size <= node->capacity) {
        drop_tail(node);
    }
}

__wasi_errno_t wx_tmp_resize(struct wx_node *node, uint64_t size) {
    if (size > node->size && size - node->size > WX_TMP_BYTES - bytes_used) {
        return __WASI_ERRNO_NOSPC;
    }
    __wasi_errno_t error = reserve(node, (uint32_t)size);
    if (error != 0) {
        return error;
    }
    for (uint32_t run; node->size < size; node->size += run, bytes_used += run) {
        uint8_t *new = bytes_at(node, node->size, (uint32_t)size - node->size, &run);
        memset(new, 0, run);
    }
    bytes_used -= node->size - (uint32_t)size;
    node->size = (uint32_t)size;
    drop_unused(node);
    node->mtim = node->ctim = wx_now();
    return 0;
}

/* Writes LENGTH bytes or none. DATA may lie in a map of the file itself. */
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
    uint32_t run, rest;
    uint8_t *first = bytes_at(node, (uint32_t)offset, length, &run);
    if (run < length) {
        /* Before the first part, which may overwrite what DATA has for the tail. */
        uint8_t *tail = bytes_at(node, (uint32_t)offset + run, length - run, &rest);
        memcpy(tail, (const uint8_t *)data + run, rest);
    }
    memmove(first, data, run);
    node->mtim = node->ctim = wx_now();
    return 0;
}

static bool has(const struct wx_node *node, uint64_t offset, uint32_t length) {
    return length <= node->size && offset <= node->size - length;
}

/* Holds the first buffer where it is until wx_tmp_unmap, and gives the address of the bytes at OFFSET. Beyond the file's end is
 * INVAL. The first map makes room for the file to grow: what lies in the tail cannot be mapped, which is NOMEM. */
__wasi_errno_t wx_tmp_map(struct wx_node *node, uint64_t offset, uint32_t length, uint8_t **address) {
    if (!has(node, offset, length)) {
        return __WASI_ERRNO_INVAL;
    }
    if (node->mapped == 0) {
        if (node->tail != NULL && join_tail(node) != 0) {
            return __WASI_ERRNO_NOMEM;
        }
        uint32_t room = node->size < WX_MAP_ROOM_LEAST ? WX_MAP_ROOM_LEAST : node->size;
        uint32_t roomy = node->size + (room < WX_MAP_ROOM_MOST ? room : WX_MAP_ROOM_MOST);
        roomy = roomy < WX_TMP_BYTES ? roomy : WX_TMP_BYTES;
        if (roomy > node->capacity) {
            (void)enlarge(&node->data, &node->capacity, node->capacity, roomy);
        }
    }
    if (offset + length > node->capacity) {
        return __WASI_ERRNO_NOMEM;
    }
    node->mapped++;
    *address = node->data + offset;
    return 0;
}

/* The address of a map that gets another length: what is the only one may move. */
__wasi_errno_t wx_tmp_remap(struct wx_node *node, uint64_t offset, uint32_t length, uint8_t **address) {
    if (!has(node, offset, length)) {
        return __WASI_ERRNO_INVAL;
    }
    if (offset + length > node->capacity && (node->mapped > 1 || join_tail(node) != 0)) {
        return __WASI_ERRNO_NOMEM;
    }
    *address = node->data + offset;
    return 0;
}

void wx_tmp_unmap(struct wx_node *node) {
    if (--node->mapped == 0 && node->tail != NULL) {
        (void)join_tail(node); /* tried again when it is needed */
    }
    drop_unused(node);
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
