/* The clock as files know it. */
#include "vfs.h"

__wasi_timestamp_t wx_now(void) {
    __wasi_timestamp_t now = 0;
    (void)__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1000, &now);
    return now;
}
