#include "math/kernel_512.h"

/* Not the intrinsics: with them gcc 12 moves the sums in and out of memory at half the rate. */
#define DOT8(sum, rows, one) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(rows), "v"(one))
#define DOT7(sum, rows, one, more_rows, more)                                                      \
    do {                                                                                           \
        DOT8(sum, rows, one);                                                                      \
        DOT8(sum, more_rows, more);                                                                \
    } while (0)
#define DOT16(sum, rows, one) __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(rows), "v"(one))

#define KERNEL vnni
#include "math/kernel_body.h"
