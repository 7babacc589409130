/* The header that host and guest share, and the host functions the guest may call.
 *
 * The host reads the header in place, so its layout is part of the interface: 16 little-endian words, see wx_word.
 * Source: guest/PROTOCOL.md.
 */
#ifndef WX_CHANNEL_H
#define WX_CHANNEL_H

#include <stdint.h>

#define WX_EXPORT(name) __attribute__((export_name(#name), used, visibility("default")))
#define WX_HOST(name) __attribute__((import_module("wasmexec"), import_name(#name)))

enum wx_word {
    WX_MAGIC,
    WX_VERSION,
    WX_STATE,
    WX_INBOX_PTR,
    WX_INBOX_LEN,
    WX_INBOX_CAP,
    WX_OUTBOX_PTR,
    WX_OUTBOX_LEN,
    WX_OUTBOX_CAP,
    WX_WHERE_PTR,
    WX_WHERE_LEN,
    WX_WHERE_CAP,
    WX_EXIT_CODE,
    WX_WORDS = 16
};

enum wx_state { WX_READY, WX_RUNNING, WX_WAITING, WX_DONE, WX_EXITED, WX_FATAL };

/* Replies of host functions below zero. */
enum { WX_MALFORMED = -1, WX_ENDING = -2 };

extern uint32_t wx_header[WX_WORDS];

/* Address of an object as the word that goes into the header. */
static inline uint32_t wx_address(const void *pointer) {
    return (uint32_t)(uintptr_t)pointer;
}

WX_HOST(log) int32_t wx_host_log(int32_t level, const char *text, int32_t length);
WX_HOST(call) int32_t wx_host_call(const void *request, int32_t length, void *reply, int32_t capacity);
WX_HOST(reply) int32_t wx_host_reply(void *reply, int32_t capacity);
WX_HOST(sleep) int32_t wx_host_sleep(int64_t nanoseconds);
WX_HOST(stdio) int32_t wx_host_stdio(int32_t fd, const void *text, int32_t length);

/* Writes a text to the host's record of standard error without any buffer, allocation or interpreter in between. */
void wx_complain(const char *text);

#endif
