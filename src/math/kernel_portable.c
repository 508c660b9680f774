/* Four lanes of plain C: what every compiler turns into the vectors of its machine. */
#include "math/kernel.h"

#include <string.h>

typedef float floats __attribute__((vector_size(16)));
typedef float halves __attribute__((vector_size(8)));
typedef double widened __attribute__((vector_size(16)));
typedef int32_t words __attribute__((vector_size(16)));
typedef uint32_t unsigneds __attribute__((vector_size(16)));
enum { LANES = 4, WIDE = 2, ROWS = 4, WIDE7 = 2, ROWS7 = 2 };
#define UNROLL _Pragma("GCC unroll 4")

static inline floats
load_floats(const float *at)
{
    floats v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline widened
load_widened(const float *at)
{
    halves v;
    memcpy(&v, at, sizeof v);
    return __builtin_convertvector(v, widened);
}

static inline words
load_words(const char *at)
{
    words v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline words
broadcast_int(int32_t x)
{
    return (words){x, x, x, x};
}

static inline words
broadcast_word(const char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return broadcast_int(word);
}

static inline floats
broadcast_float(float x)
{
    return (floats){x, x, x, x};
}

static inline unsigned
survive(floats v, floats limit)
{
    words not_above = ~(v > limit);
    return (not_above[0] & 1) | (not_above[1] & 2) | (not_above[2] & 4) | (not_above[3] & 8);
}

static inline floats
as_floats(words x)
{
    floats v;
    memcpy(&v, &x, sizeof v);
    return v;
}

/* Sums wrap, so they are unsigned; shifts of signed words keep the sign. */
static inline words
add_products(words sum, words a, words b)
{
    return (words)((unsigneds)sum + (unsigneds)a * (unsigneds)b);
}

/* The sum of all words, which wraps. */
static inline int32_t
add_words(words x)
{
    unsigneds all = (unsigneds)x;
    return (int32_t)(all[0] + all[1] + all[2] + all[3]);
}

static inline words
high_half(words x)
{
    return x >> 16;
}

static inline words
low_half(words x)
{
    return (words)((unsigneds)x << 16) >> 16;
}

static inline words
dot8(words sum, words rows, words one)
{
    for (int byte = 0; byte < 4; byte++) {
        words row = (words)(((unsigneds)rows >> (8 * byte)) & 255);
        sum = add_products(sum, row, (words)((unsigneds)one << (24 - 8 * byte)) >> 24);
    }
    return sum;
}

#define STORE(name, type)                                                                          \
    static inline void name(const words whole[4], type *out)                                       \
    {                                                                                              \
        int32_t word[16];                                                                          \
        memcpy(word, whole, sizeof word);                                                          \
        for (int i = 0; i < 16; i++)                                                               \
            out[i] = (type)word[i];                                                                \
    }

STORE(store_bytes, int8_t)
STORE(store_shorts, int16_t)

#define to_words(x) __builtin_convertvector(x, words)
#define to_floats(x) __builtin_convertvector(x, floats)
#define less_product(c, a, b) ((c) - (a) * (b))
#define DOT8(sum, rows, one) (sum = dot8(sum, rows, one))
#define DOT7(sum, rows, one, more_rows, more) (sum = dot8(dot8(sum, rows, one), more_rows, more))
#define DOT16(sum, rows, one)                                                                      \
    (sum = add_products(add_products(sum, low_half(rows), low_half(one)), high_half(rows),         \
                        high_half(one)))
#define DOT32(sum, rows, one) (sum = (sum) + as_floats(rows) * as_floats(one))

#define KERNEL portable
#include "math/kernel_body.h"
