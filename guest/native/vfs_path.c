/* Where the mounts meet: the tree is "/", over it lie /tmp and /dev. */
#include "vfs.h"

#include <string.h>

/* A date of our own choosing for what has none: fixed, so that images are reproducible, and after 1980, which zip archives need. */
static const __wasi_timestamp_t IMAGE_TIME = 946684800ull * 1000000000ull;

static const struct mount {
    const char *name;
    uint32_t length;
    enum wx_kind kind;
} root_mounts[] = {{"tmp", 3, WX_TMP}, {"dev", 3, WX_DEV}},
  devices[] = {{"null", 4, WX_NULL}, {"random", 6, WX_RANDOM}, {"urandom", 7, WX_RANDOM}};

enum { ROOT_MOUNTS = 2, DEVICES = 3 };

/* Listing cookies of the mounts, above every cookie of the tree, which are 32-bit indices. */
static const uint64_t MOUNT_COOKIE = 1ull << 40;

static struct wx_inode mounted(enum wx_kind kind) {
    struct wx_inode inode = {.kind = kind};
    if (kind == WX_TMP) {
        inode.node = wx_tmp_root();
    }
    return inode;
}

static const struct mount *find_mount(const struct mount *mounts, uint32_t count, const char *name, uint32_t length) {
    for (uint32_t i = 0; i < count; i++) {
        if (mounts[i].length == length && memcmp(mounts[i].name, name, length) == 0) {
            return &mounts[i];
        }
    }
    return NULL;
}

static bool is_root(struct wx_inode inode) {
    return inode.kind == WX_TREE && inode.entry == 0;
}

bool wx_is_dir(struct wx_inode inode) {
    return inode.kind == WX_DEV || (inode.kind == WX_TREE && wx_tree_is_dir(inode.entry)) ||
           (inode.kind == WX_TMP && wx_tmp_is_dir(inode.node));
}

/* The size of a file that can be read at an offset; false for streams, devices and directories. */
bool wx_size(struct wx_inode inode, uint32_t *size) {
    const uint8_t *data;
    if (wx_is_dir(inode) || (inode.kind != WX_TREE && inode.kind != WX_TMP)) {
        return false;
    }
    *size = inode.kind == WX_TMP ? wx_tmp_size(inode.node) : wx_tree_data(inode.entry, &data);
    return true;
}

/* Copies what a file that has a size holds at OFFSET, at most LENGTH bytes; returns how many. */
uint32_t wx_read(struct wx_inode inode, uint64_t offset, void *data, uint32_t length) {
    if (inode.kind == WX_TMP) {
        return wx_tmp_read(inode.node, offset, data, length);
    }
    const uint8_t *contents;
    uint32_t size = wx_tree_data(inode.entry, &contents);
    if (offset >= size) {
        return 0;
    }
    uint32_t left = size - (uint32_t)offset;
    length = length < left ? length : left;
    memcpy(data, contents + offset, length);
    return length;
}

bool wx_same(struct wx_inode one, struct wx_inode other) {
    if (one.kind != other.kind) {
        return false;
    }
    return one.kind == WX_TREE ? one.entry == other.entry : one.kind != WX_TMP || one.node == other.node;
}

__wasi_filetype_t wx_filetype(struct wx_inode inode) {
    switch (inode.kind) {
        case WX_NULL:
        case WX_RANDOM:
            return __WASI_FILETYPE_CHARACTER_DEVICE;
        case WX_STREAM:
            /* Not a character device: isatty() must be false for the standard streams. */
            return __WASI_FILETYPE_SOCKET_STREAM;
        default:
            return wx_is_dir(inode) ? __WASI_FILETYPE_DIRECTORY : __WASI_FILETYPE_REGULAR_FILE;
    }
}

void wx_stat(struct wx_inode inode, __wasi_filestat_t *stat) {
    *stat = (__wasi_filestat_t){
        .dev = (uint64_t)inode.kind,
        .ino = (uint64_t)inode.kind,
        .filetype = wx_filetype(inode),
        .nlink = 1,
        .atim = IMAGE_TIME,
        .mtim = IMAGE_TIME,
        .ctim = IMAGE_TIME,
    };
    if (inode.kind == WX_TREE) {
        const uint8_t *data;
        /* Inode 0 would make readdir ask again for each entry. */
        stat->ino = inode.entry + 1ull;
        stat->size = wx_is_dir(inode) ? 0 : wx_tree_data(inode.entry, &data);
    } else if (inode.kind == WX_TMP) {
        wx_tmp_stat(inode.node, stat);
    }
}

static struct wx_inode parent_of(struct wx_inode dir) {
    struct wx_inode root = {.kind = WX_TREE, .entry = 0};
    if (dir.kind == WX_TMP && dir.node != wx_tmp_root()) {
        struct wx_node *parent = wx_tmp_parent(dir.node);
        return parent == NULL ? (struct wx_inode){.kind = WX_NONE} : (struct wx_inode){.kind = WX_TMP, .node = parent};
    }
    if (dir.kind == WX_TREE) {
        root.entry = wx_tree_parent(dir.entry);
    }
    return root;
}

/* Kind WX_NONE when DIR has no such entry. */
static struct wx_inode child_of(struct wx_inode dir, const char *name, uint32_t length) {
    struct wx_inode child = {.kind = WX_NONE};
    if (dir.kind == WX_TMP) {
        child.node = wx_tmp_child(dir.node, name, length);
        child.kind = child.node == NULL ? WX_NONE : WX_TMP;
        return child;
    }
    const struct mount *mount = NULL;
    if (dir.kind == WX_DEV) {
        mount = find_mount(devices, DEVICES, name, length);
    } else if (is_root(dir)) {
        mount = find_mount(root_mounts, ROOT_MOUNTS, name, length);
    }
    if (mount != NULL) {
        return mounted(mount->kind);
    }
    if (dir.kind == WX_TREE && wx_tree_child(dir.entry, name, length, &child.entry) == 0) {
        child.kind = WX_TREE;
    }
    return child;
}

/* Resolves PATH from START (a directory), as far as a last component that may be missing. A leading slash means the root. */
__wasi_errno_t wx_walk(struct wx_inode start, const char *path, uint32_t length, struct wx_target *target) {
    if (length == 0) {
        return __WASI_ERRNO_NOENT;
    }
    if (length >= WX_PATH_MAX) {
        return __WASI_ERRNO_NAMETOOLONG;
    }
    *target = (struct wx_target){.inode = start};
    if (path[0] == '/') {
        target->inode = (struct wx_inode){.kind = WX_TREE, .entry = 0};
    }
    uint32_t at = 0;
    for (;;) {
        while (at < length && path[at] == '/') {
            at++;
        }
        if (at == length) {
            break;
        }
        const char *name = path + at;
        while (at < length && path[at] != '/') {
            at++;
        }
        uint32_t part = (uint32_t)(path + at - name);
        struct wx_inode here = target->inode;
        if (here.kind == WX_NONE) {
            return __WASI_ERRNO_NOENT;
        }
        if (!wx_is_dir(here)) {
            return __WASI_ERRNO_NOTDIR;
        }
        if (part > WX_NAME_MAX) {
            return __WASI_ERRNO_NAMETOOLONG;
        }
        if (part == 1 && name[0] == '.') {
            target->name = NULL;
        } else if (part == 2 && name[0] == '.' && name[1] == '.') {
            target->name = NULL;
            target->inode = parent_of(here);
            if (target->inode.kind == WX_NONE) {
                return __WASI_ERRNO_NOENT;
            }
        } else {
            target->parent = here;
            target->name = name;
            target->length = part;
            target->inode = child_of(here, name, part);
        }
    }
    target->must_be_dir = path[length - 1] == '/';
    if (target->must_be_dir && target->inode.kind != WX_NONE && !wx_is_dir(target->inode)) {
        return __WASI_ERRNO_NOTDIR;
    }
    return 0;
}

static bool list_mounts(const struct mount *mounts, uint32_t count, uint64_t cookie, struct wx_listed *listed) {
    uint64_t index = cookie <= MOUNT_COOKIE ? 0 : cookie - MOUNT_COOKIE;
    if (index >= count) {
        return false;
    }
    const struct mount *mount = &mounts[index];
    *listed = (struct wx_listed){mounted(mount->kind), mount->name, mount->length, MOUNT_COOKIE + index + 1};
    return true;
}

/* The entry of DIR that follows the cookie; 0 starts with ".", 1 is "..", the rest is the mount's own cookie plus 2. */
__wasi_errno_t wx_list(struct wx_inode dir, uint64_t cookie, struct wx_listed *listed, bool *found) {
    *found = true;
    if (!wx_is_dir(dir)) {
        return __WASI_ERRNO_NOTDIR;
    }
    if (cookie < 2) {
        struct wx_inode parent = parent_of(dir);
        struct wx_inode inode = cookie == 0 || parent.kind == WX_NONE ? dir : parent;
        *listed = (struct wx_listed){inode, "..", (uint32_t)cookie + 1, cookie + 1};
        /* The mount's own listing starts at its cookie 0. */
        return 0;
    }
    cookie -= 2;
    if (dir.kind == WX_TMP) {
        *found = wx_tmp_next(dir.node, cookie, listed);
    } else if (dir.kind == WX_DEV) {
        *found = list_mounts(devices, DEVICES, cookie, listed);
    } else {
        *found = false;
        while (cookie < MOUNT_COOKIE && !*found) {
            *found = wx_tree_next(dir.entry, cookie, listed);
            cookie = *found ? listed->cookie : MOUNT_COOKIE;
            if (*found && is_root(dir) && find_mount(root_mounts, ROOT_MOUNTS, listed->name, listed->length) != NULL) {
                *found = false; /* a mount lies over this entry */
            }
        }
        if (!*found && is_root(dir)) {
            *found = list_mounts(root_mounts, ROOT_MOUNTS, cookie, listed);
        }
    }
    listed->cookie += 2;
    return 0;
}
