/* Memory and string searches over 16-byte vectors.
 *
 * The compiler's library compares and searches byte by byte, and its strchr() measures the whole string first, which makes CPython's tokenizer take time
 * in the square of the length of a source. A block aligned to 16 bytes never crosses the end of linear memory, so reading past the end of a string
 * inside one is safe here. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

typedef unsigned char byte;
typedef uint64_t __attribute__((may_alias, aligned(1))) u64;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32;

static int order64(const byte *left, const byte *right) {
    uint64_t l = __builtin_bswap64(*(const u64 *)left), r = __builtin_bswap64(*(const u64 *)right);
    return l < r ? -1 : l > r;
}

static int order32(const byte *left, const byte *right) {
    uint32_t l = __builtin_bswap32(*(const u32 *)left), r = __builtin_bswap32(*(const u32 *)right);
    return l < r ? -1 : l > r;
}

static int order128(const byte *left, const byte *right) {
    uint32_t equal = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(left), wasm_v128_load(right)));
    if (equal == 0xffff)
        return 0;
    unsigned at = __builtin_ctz(~equal);
    return left[at] - right[at];
}

/* What is left over after whole blocks is compared in a block that overlaps the one before. */
int memcmp(const void *left, const void *right, size_t n) {
    const byte *l = left, *r = right;
    int order;
    if (n >= 16) {
        for (const byte *last = l + n - 16; l < last; l += 16, r += 16)
            if ((order = order128(l, r)))
                return order;
        size_t rest = (size_t)((const byte *)left + n - l);
        return order128(l + rest - 16, r + rest - 16);
    }
    if (n >= 8)
        return (order = order64(l, r)) ? order : order64(l + n - 8, r + n - 8);
    if (n >= 4)
        return (order = order32(l, r)) ? order : order32(l + n - 4, r + n - 4);
    for (; n; n--, l++, r++)
        if (*l != *r)
            return *l - *r;
    return 0;
}

int bcmp(const void *left, const void *right, size_t n) { return memcmp(left, right, n); }

void *memchr(const void *text, int value, size_t n) {
    const byte *s = text;
    v128_t wanted = wasm_u8x16_splat((byte)value);
    for (; n >= 16; s += 16, n -= 16) {
        uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(s), wanted));
        if (found)
            return (void *)(s + __builtin_ctz(found));
    }
    for (; n; n--, s++)
        if (*s == (byte)value)
            return (void *)s;
    return NULL;
}

void *memrchr(const void *text, int value, size_t n) {
    const byte *s = text;
    v128_t wanted = wasm_u8x16_splat((byte)value);
    for (; n >= 16; n -= 16) {
        uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(s + n - 16), wanted));
        if (found)
            return (void *)(s + n + 15 - __builtin_clz(found));
    }
    while (n--)
        if (s[n] == (byte)value)
            return (void *)(s + n);
    return NULL;
}

static uint32_t value_or_zero(const byte *block, v128_t wanted) {
    v128_t bytes = wasm_v128_load(block);
    return wasm_i8x16_bitmask(wasm_v128_or(wasm_i8x16_eq(bytes, wanted), wasm_i8x16_eq(bytes, wasm_u8x16_splat(0))));
}

static const byte *find_or_end(const char *text, int value) {
    const byte *block = (const byte *)((uintptr_t)text & ~(uintptr_t)15);
    v128_t wanted = wasm_u8x16_splat((byte)value);
    uint32_t found = value_or_zero(block, wanted) & (~0u << ((uintptr_t)text & 15));
    while (!found)
        found = value_or_zero(block += 16, wanted);
    return block + __builtin_ctz(found);
}

size_t strlen(const char *text) { return (size_t)((const char *)find_or_end(text, 0) - text); }

size_t strnlen(const char *text, size_t limit) {
    const char *end = memchr(text, 0, limit);
    return end ? (size_t)(end - text) : limit;
}

char *strchr(const char *text, int value) {
    const byte *at = find_or_end(text, value);
    return *at == (byte)value ? (char *)at : NULL;
}

char *strrchr(const char *text, int value) { return memrchr(text, value, strlen(text) + 1); }

char *strchrnul(const char *text, int value) { return (char *)find_or_end(text, value); }
