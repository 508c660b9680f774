/*
 * api: what every public header stands between: C linkage in C++, and symbols that a shared library
 * exports. Everything else in the library is its own.
 */
#ifndef MPIVF_API_H
#define MPIVF_API_H

#ifdef __cplusplus
#define MPIVF_API_BEGIN                                                                            \
    extern "C" {                                                                                   \
    _Pragma("GCC visibility push(default)")
#define MPIVF_API_END                                                                              \
    _Pragma("GCC visibility pop")                                                                  \
    }
#else
#define MPIVF_API_BEGIN _Pragma("GCC visibility push(default)")
#define MPIVF_API_END _Pragma("GCC visibility pop")
#endif

#endif
