/* The shared header, and the one way out of the guest: proc_exit. Needs no interpreter. */
#include "channel.h"

#include <string.h>

_Static_assert(sizeof(void *) == 4, "the header holds 32-bit addresses");

uint32_t wx_header[WX_WORDS] = {
    [WX_MAGIC] = 0x31435857u, /* "WXC1" */
    [WX_VERSION] = 1,
    [WX_STATE] = WX_READY,
};

WX_EXPORT(wx_channel) uint32_t wx_channel(void) {
    return wx_address(wx_header);
}

void wx_complain(const char *text) {
    (void)wx_host_stdio(2, text, (int32_t)strlen(text));
}

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code);

/* Ends the instance: exit() and os._exit() come here. A trap is the only way to leave every frame of the guest at once. */
_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) {
    wx_header[WX_EXIT_CODE] = (uint32_t)code;
    wx_header[WX_STATE] = WX_EXITED;
    __builtin_trap();
}
