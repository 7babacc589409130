/* The packed tree with a way to take another one into use, which the guest has not. */
#include "vfs_tree.c" /* its state is its own */

bool fuzz_tree_set(const uint8_t *data, uint32_t length);

bool fuzz_tree_set(const uint8_t *data, uint32_t length) {
    free(reserved);
    /* Exactly as long as it is: what lies behind it is poisoned. */
    reserved = malloc(length == 0 ? 1 : length);
    memcpy(reserved, data, length);
    reserved_size = length;
    if (wx_fs_commit() == 0) {
        return true;
    }
    reserved_size = 0;
    return false;
}
