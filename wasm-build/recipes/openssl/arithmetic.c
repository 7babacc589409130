/* OpenSSL's big numbers and curves for arithmetic.py: hexadecimal operands in, a hexadecimal result out. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdio.h>
#include <wasi/api.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define OPERAND_BYTES 8192

int wx_fork_id = 1;

/* No folder is open: asked here, because the engine's answer is WASI's number, and this library's are Linux'. */
int32_t __imported_wasi_snapshot_preview1_fd_prestat_get(int32_t fd, int32_t result) {
    (void)fd, (void)result;
    return __WASI_ERRNO_BADF;
}

static char operands[3][OPERAND_BYTES];
static char result[4 * OPERAND_BYTES];

EXPORT(operand) char *operand(int number) { return operands[number]; }
EXPORT(answer) char *answer(void) { return result; }

static void show(const BIGNUM *first, const BIGNUM *second) {
    char *left = BN_bn2hex(first), *right = second ? BN_bn2hex(second) : NULL;
    snprintf(result, sizeof result, right ? "%s,%s" : "%s", left, right);
    OPENSSL_free(left);
    OPENSSL_free(right);
}

/* One operation on numbers; 1, or 0 if OpenSSL reports a failure. */
EXPORT(number) int number(int operation) {
    BN_CTX *context = BN_CTX_new();
    BIGNUM *a = NULL, *b = NULL, *m = NULL, *r = BN_new(), *q = BN_new();
    BN_hex2bn(&a, operands[0]);
    BN_hex2bn(&b, operands[1]);
    BN_hex2bn(&m, operands[2]);
    int done = 0;
    switch (operation) {
    case 0: done = BN_mul(r, a, b, context); break;
    case 1: done = BN_sqr(r, a, context); break;
    case 2: done = BN_div(q, r, a, b, context); break;
    case 3: done = BN_div(r, q, a, b, context); break;
    case 4: done = BN_add(r, a, b); break;
    case 5: done = BN_sub(r, a, b); break;
    case 6: done = BN_gcd(r, a, b, context); break;
    case 7: done = BN_mod_exp(r, a, b, m, context); break;
    case 8: done = BN_mod_exp_mont_consttime(r, a, b, m, context, NULL); break;
    case 9: done = BN_mod_inverse(r, a, m, context) != NULL; break;
    case 10: done = BN_mod_mul(r, a, b, m, context); break;
    case 11: done = BN_set_word(r, BN_mod_word(a, BN_get_word(b))); break;
    }
    if (done) show(r, NULL);
    BN_free(a), BN_free(b), BN_free(m), BN_free(r), BN_free(q);
    BN_CTX_free(context);
    return done;
}

/* kG, j(kG) or kG + j(kG) on a curve, k and j being the first two operands; the answer is "x,y". */
EXPORT(point) int point(int curve, int operation) {
    BN_CTX *context = BN_CTX_new();
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve);
    EC_POINT *p = EC_POINT_new(group), *r = EC_POINT_new(group);
    BIGNUM *k = NULL, *j = NULL, *x = BN_new(), *y = BN_new();
    BN_hex2bn(&k, operands[0]);
    BN_hex2bn(&j, operands[1]);
    int done = EC_POINT_mul(group, p, k, NULL, NULL, context);
    if (operation == 0) done = done && EC_POINT_copy(r, p);
    if (operation == 1) done = done && EC_POINT_mul(group, r, NULL, p, j, context);
    if (operation == 2) done = done && EC_POINT_mul(group, r, k, p, j, context);
    done = done && EC_POINT_get_affine_coordinates(group, r, x, y, context);
    if (done) show(x, y);
    BN_free(k), BN_free(j), BN_free(x), BN_free(y);
    EC_POINT_free(p), EC_POINT_free(r), EC_GROUP_free(group);
    BN_CTX_free(context);
    return done;
}
