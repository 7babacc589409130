/* The part of libffi that cffi compiles against. libffi has no port to this target: calls to C functions whose type is known only at run
 * time, and C functions made at run time, do not exist in WebAssembly. patches/0001 refuses both, so only sizes and alignments remain. */
#ifndef WX_FFI_H
#define WX_FFI_H

#include <stddef.h>

typedef enum { FFI_FIRST_ABI, FFI_DEFAULT_ABI } ffi_abi;
typedef enum { FFI_OK, FFI_BAD_TYPEDEF, FFI_BAD_ABI } ffi_status;

enum { FFI_TYPE_PLAIN, FFI_TYPE_STRUCT };

typedef struct _ffi_type {
    size_t size;
    unsigned short alignment;
    unsigned short type;
    struct _ffi_type **elements;
} ffi_type;

typedef struct {
    ffi_abi abi;
    unsigned nargs;
    ffi_type **arg_types;
    ffi_type *rtype;
} ffi_cif;

typedef unsigned long ffi_arg;

typedef struct { void *user_data; } ffi_closure;

#define WX_FFI_TYPE(name, type) \
    static ffi_type ffi_type_##name __attribute__((unused)) = {sizeof(type), _Alignof(type), FFI_TYPE_PLAIN, NULL}

static ffi_type ffi_type_void __attribute__((unused)) = {1, 1, FFI_TYPE_PLAIN, NULL};
WX_FFI_TYPE(uint8, unsigned char);
WX_FFI_TYPE(sint8, signed char);
WX_FFI_TYPE(uint16, unsigned short);
WX_FFI_TYPE(sint16, short);
WX_FFI_TYPE(uint32, unsigned int);
WX_FFI_TYPE(sint32, int);
WX_FFI_TYPE(uint64, unsigned long long);
WX_FFI_TYPE(sint64, long long);
WX_FFI_TYPE(float, float);
WX_FFI_TYPE(double, double);
WX_FFI_TYPE(longdouble, long double);
WX_FFI_TYPE(pointer, void *);
WX_FFI_TYPE(complex_float, float _Complex);
WX_FFI_TYPE(complex_double, double _Complex);

/* Describes a call: cffi asks for every function type, also for those that nobody calls. */
static inline ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned nargs, ffi_type *rtype, ffi_type **atypes) {
    *cif = (ffi_cif){abi, nargs, atypes, rtype};
    return FFI_OK;
}

#endif
