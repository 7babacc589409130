/* The packed read-only tree: reserved and filled by the host once, before boot, and part of the image from then on.
 *
 * The index is validated whole in wx_fs_commit, so the functions below need no check of their own.
 */
#include "vfs.h"

#include <stdlib.h>
#include <string.h>

#include "channel.h"

enum { FLAG_DIRECTORY = 1 };

struct head {
    char magic[8];
    uint32_t count, names, data, total;
};

struct entry {
    uint32_t name, name_length, data, data_length, flags;
};

static uint8_t *reserved;
static uint32_t reserved_size;

/* Before a tree is committed, and in a guest without one, the root is an empty directory. */
static const struct entry empty_root = {0, 0, 0, 0, FLAG_DIRECTORY};
static const struct entry *entries = &empty_root;
static uint32_t count = 1;
static const char *names = "";
static const uint8_t *contents;

WX_EXPORT(wx_fs_reserve) uint32_t wx_fs_reserve(uint32_t size) {
    if (reserved != NULL) {
        return 0;
    }
    reserved = aligned_alloc(16, (size + 15u) & ~15u);
    reserved_size = reserved == NULL ? 0 : size;
    return wx_address(reserved);
}

/* The order of the index: bytewise, a prefix first. */
static int compare(const char *one, uint32_t one_length, const char *other, uint32_t other_length) {
    uint32_t shorter = one_length < other_length ? one_length : other_length;
    int order = memcmp(one, other, shorter);
    if (order != 0) {
        return order;
    }
    return one_length < other_length ? -1 : one_length > other_length;
}

/* Orders an entry against the path DIR + "/" + NAME without building it; no slash when DIR is the root. */
static int compare_joined(const struct entry *entry, const struct entry *dir, const char *name, uint32_t length) {
    const char *path = names + entry->name;
    uint32_t rest = entry->name_length;
    if (dir->name_length != 0) {
        uint32_t shorter = rest < dir->name_length ? rest : dir->name_length;
        int order = memcmp(path, names + dir->name, shorter);
        if (order != 0) {
            return order;
        }
        if (rest <= dir->name_length) {
            return -1;
        }
        if (path[dir->name_length] != '/') {
            return (uint8_t)path[dir->name_length] < '/' ? -1 : 1;
        }
        path += dir->name_length + 1;
        rest -= dir->name_length + 1;
    }
    return compare(path, rest, name, length);
}

/* First entry that is not before DIR + "/" + NAME. */
static uint32_t lower_bound(const struct entry *dir, const char *name, uint32_t length) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_joined(&entries[middle], dir, name, length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool wx_tree_is_dir(uint32_t entry) {
    return (entries[entry].flags & FLAG_DIRECTORY) != 0;
}

uint32_t wx_tree_data(uint32_t entry, const uint8_t **data) {
    *data = contents + entries[entry].data;
    return entries[entry].data_length;
}

__wasi_errno_t wx_tree_child(uint32_t entry, const char *name, uint32_t length, uint32_t *child) {
    const struct entry *dir = &entries[entry];
    uint32_t found = lower_bound(dir, name, length);
    /* Entry 0 is the root itself: the empty name would find it. */
    if (found == 0 || found == count || compare_joined(&entries[found], dir, name, length) != 0) {
        return __WASI_ERRNO_NOENT;
    }
    *child = found;
    return 0;
}

static uint32_t parent_length(const struct entry *entry) {
    uint32_t length = entry->name_length;
    while (length > 0 && names[entry->name + length - 1] != '/') {
        length--;
    }
    return length > 0 ? length - 1 : 0;
}

uint32_t wx_tree_parent(uint32_t entry) {
    uint32_t length = parent_length(&entries[entry]);
    return length == 0 ? 0 : lower_bound(&entries[0], names + entries[entry].name, length);
}

/* Lists DIR from the cookie on, which is the index of the next entry to look at; 0 starts. */
bool wx_tree_next(uint32_t entry, uint64_t cookie, struct wx_listed *listed) {
    const struct entry *dir = &entries[entry];
    uint32_t prefix = dir->name_length == 0 ? 0 : dir->name_length + 1;
    uint32_t index = cookie == 0 ? lower_bound(dir, "", 0) : cookie > count ? count : (uint32_t)cookie;
    if (index == 0) {
        index = 1; /* the root is before its children and not one of them */
    }
    while (index < count) {
        const struct entry *candidate = &entries[index];
        const char *name = names + candidate->name + prefix;
        if (candidate->name_length <= prefix ||
            (prefix != 0 && (memcmp(names + candidate->name, names + dir->name, prefix - 1) != 0 || name[-1] != '/'))) {
            return false;
        }
        uint32_t length = candidate->name_length - prefix;
        const char *slash = memchr(name, '/', length);
        if (slash == NULL) {
            *listed = (struct wx_listed){{.kind = WX_TREE, .entry = index}, name, length, index + 1};
            return true;
        }
        /* Everything below the sub-directory S sorts before "S0", '0' being the character after the slash. */
        char above[WX_NAME_MAX + 1];
        uint32_t above_length = (uint32_t)(slash - name);
        memcpy(above, name, above_length);
        above[above_length] = '/' + 1;
        index = lower_bound(dir, above, above_length + 1);
    }
    return false;
}

static bool name_is_sound(const char *name, uint32_t length) {
    uint32_t start = 0;
    for (uint32_t i = 0; i <= length; i++) {
        if (i < length && name[i] == '\0') {
            return false;
        }
        if (i == length || name[i] == '/') {
            uint32_t part = i - start;
            bool dots = (part == 1 && name[start] == '.') || (part == 2 && name[start] == '.' && name[start + 1] == '.');
            if (part == 0 || part > WX_NAME_MAX || dots) {
                return false;
            }
            start = i + 1;
        }
    }
    return true;
}

static int32_t reject(const char *reason) {
    wx_complain("wx_fs_commit: ");
    wx_complain(reason);
    wx_complain("\n");
    entries = &empty_root;
    count = 1;
    names = "";
    return 1;
}

/* Takes the tree into use. Returns 0, or 1 with the reason on standard error: the tree is then empty. */
WX_EXPORT(wx_fs_commit) int32_t wx_fs_commit(void) {
    const struct head *head = (const struct head *)reserved;
    if (reserved_size < sizeof *head || memcmp(head->magic, "WXFS0001", 8) != 0) {
        return reject("no packed tree in the reserved memory");
    }
    uint64_t index_end = sizeof *head + (uint64_t)head->count * sizeof(struct entry);
    if (head->count == 0 || head->total > reserved_size || index_end > head->names || head->names > head->data ||
        head->data > head->total) {
        return reject("the head contradicts itself");
    }
    entries = (const struct entry *)(head + 1);
    count = head->count;
    names = (const char *)reserved + head->names;
    contents = reserved + head->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        if ((uint64_t)entry->name + entry->name_length > head->data - head->names ||
            (uint64_t)entry->data + entry->data_length > head->total - head->data || (entry->flags & ~1u) != 0) {
            return reject("an entry lies outside the tree");
        }
        if (i == 0) {
            if (entry->name_length != 0 || !wx_tree_is_dir(0)) {
                return reject("the first entry is not the root directory");
            }
            continue;
        }
        const struct entry *before = &entries[i - 1];
        if (!name_is_sound(names + entry->name, entry->name_length)) {
            return reject("a path has an empty, overlong or dotted part");
        }
        if (compare(names + before->name, before->name_length, names + entry->name, entry->name_length) >= 0) {
            return reject("the paths are not sorted");
        }
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t parent = wx_tree_parent(i);
        if (parent >= count || entries[parent].name_length != parent_length(&entries[i]) || !wx_tree_is_dir(parent) ||
            memcmp(names + entries[parent].name, names + entries[i].name, entries[parent].name_length) != 0) {
            return reject("a path has no parent directory");
        }
    }
    return 0;
}
