/* The resolver functions that this platform declares and nobody defines: every look-up fails with "host not found".
 *
 * socketmodule.c needs them to link. Numeric addresses never come here: CPython's own getaddrinfo() parses those itself. */
#include <netdb.h>
#include <stddef.h>

static int host_error = HOST_NOT_FOUND;

int *__h_errno_location(void) { return &host_error; }
const char *hstrerror(int error) { (void)error; return "no name resolution inside the guest"; }

struct hostent *gethostbyname(const char *name) {
    (void)name;
    host_error = HOST_NOT_FOUND;
    return NULL;
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family) {
    (void)address;
    (void)length;
    (void)family;
    host_error = HOST_NOT_FOUND;
    return NULL;
}

struct servent *getservbyname(const char *name, const char *protocol) {
    (void)name;
    (void)protocol;
    return NULL;
}

struct servent *getservbyport(int port, const char *protocol) {
    (void)port;
    (void)protocol;
    return NULL;
}

struct protoent *getprotobyname(const char *name) {
    (void)name;
    return NULL;
}
