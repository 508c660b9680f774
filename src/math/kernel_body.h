/*
 * The loops of kernel.h, compiled once for each instruction set. KERNEL names the set; kernel_*.c
 * say before how its registers are filled and multiplied.
 */

typedef double lanes8 __attribute__((vector_size(64)));
typedef float floats8 __attribute__((vector_size(32)));

static inline lanes8
load8(const float *at)
{
    floats8 f;
    memcpy(&f, at, sizeof f);
    return __builtin_convertvector(f, lanes8);
}

/* Fold 16 lanes by halves. */
static inline double
fold(lanes8 low, lanes8 high)
{
    lanes8 s = low + high;
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

#define SQUARE square
#define DOT dot
#define VALUE float
#define LOAD8 load8
#include "math/kernel_sums.h"

static inline lanes8
load8_f64(const double *at)
{
    lanes8 v;
    memcpy(&v, at, sizeof v);
    return v;
}

#define SQUARE square64
#define DOT dot64
#define VALUE double
#define LOAD8 load8_f64
#include "math/kernel_sums.h"

static size_t
filter(const float *product, const float *term, const float *norm, size_t n, float scale,
       float per_norm, float limit, uint32_t *survivor)
{
    enum { GROUP = 64 };
    size_t survivors = 0, j = 0;
    for (; j + GROUP <= n; j += GROUP) {
        int any = 0; /* most groups have none: one pass without branches to see that */
        for (size_t i = j; i < j + GROUP; i++)
            any |= !(term[i] - scale * product[i] - per_norm * norm[i] > limit);
        if (!any)
            continue;
        for (size_t i = j; i < j + GROUP; i++) {
            survivor[survivors] = (uint32_t)i;
            survivors += !(term[i] - scale * product[i] - per_norm * norm[i] > limit);
        }
    }
    for (; j < n; j++) {
        survivor[survivors] = (uint32_t)j;
        survivors += !(term[j] - scale * product[j] - per_norm * norm[j] > limit);
    }
    return survivors;
}

typedef float floats16 __attribute__((vector_size(64)));
typedef int32_t words16 __attribute__((vector_size(64)));
typedef int16_t shorts16 __attribute__((vector_size(32)));
typedef int8_t bytes16 __attribute__((vector_size(16)));

static float
largest(const float *x, size_t dim)
{
    words16 max = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) { /* without the sign, floats order as integers do */
        words16 bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        words16 more = bits > max;
        max = (bits & more) | (max & ~more);
    }
    int32_t top = 0;
    for (int lane = 0; lane < 16; lane++)
        top = max[lane] > top ? max[lane] : top;
    for (; i < dim; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        top = bits > top ? bits : top;
    }
    float value;
    memcpy(&value, &top, sizeof value);
    return value;
}

/* Adding and taking away 1.5 x 2^23 rounds to the nearest integer. */
static const float ROUNDER = 12582912.0f;

static float
fold_floats(floats16 s)
{
    float lane[16];
    memcpy(lane, &s, sizeof lane);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static inline floats16
difference16(const float *a, const float *b)
{
    floats16 x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x - y;
}

static float
square32(const float *a, const float *b, size_t dim)
{
    floats16 s[4] = {{0}};
    size_t i = 0, k = 0;
    for (; i + 64 <= dim; i += 64)
        for (k = 0; k < 4; k++) {
            floats16 x = difference16(a + i + 16 * k, b + i + 16 * k);
            s[k] += x * x;
        }
    for (k = 0; i + 16 <= dim; i += 16, k++) {
        floats16 x = difference16(a + i, b + i);
        s[k] += x * x;
    }
    for (int lane = 0; i < dim; i++, lane++) {
        float x = a[i] - b[i];
        s[k][lane] += x * x;
    }
    return fold_floats((s[0] + s[2]) + (s[1] + s[3]));
}

#define ROUND_ROW(name, type, types)                                                               \
    static float name(const float *x, size_t dim, float inverse, type *out)                        \
    {                                                                                              \
        floats16 sum = {0};                                                                        \
        size_t i = 0;                                                                              \
        for (; i + 16 <= dim; i += 16) {                                                           \
            floats16 v;                                                                            \
            memcpy(&v, x + i, sizeof v);                                                           \
            v *= inverse;                                                                          \
            floats16 nearest = (v + ROUNDER) - ROUNDER;                                            \
            types packed =                                                                         \
                __builtin_convertvector(__builtin_convertvector(nearest, words16), types);         \
            memcpy(out + i, &packed, sizeof packed);                                               \
            v -= nearest;                                                                          \
            sum += v * v;                                                                          \
        }                                                                                          \
        for (int lane = 0; i < dim; i++, lane++) {                                                 \
            float v = x[i] * inverse, nearest = (v + ROUNDER) - ROUNDER;                           \
            out[i] = (type)nearest;                                                                \
            sum[lane] += (v - nearest) * (v - nearest);                                            \
        }                                                                                          \
        return fold_floats(sum);                                                                   \
    }

ROUND_ROW(round8, int8_t, bytes16)
ROUND_ROW(round16, int16_t, shorts16)

/*
 * Adding 1.5 x 2^52 leaves the nearest integer in the low bits; taken away as integers it is exact.
 */
static const double ROUNDER64 = 6755399441055744.0;

typedef int64_t integers8 __attribute__((vector_size(64)));

static void
add(const float *x, size_t dim, double scale, int64_t *sum)
{
    int64_t bias;
    size_t i = 0;
    memcpy(&bias, &ROUNDER64, sizeof bias);
    for (; i + 8 <= dim; i += 8) {
        lanes8 v = load8(x + i) * scale + ROUNDER64;
        integers8 s;
        memcpy(&s, sum + i, sizeof s);
        s += (integers8)v - bias;
        memcpy(sum + i, &s, sizeof s);
    }
    for (; i < dim; i++) {
        double v = (double)x[i] * scale + ROUNDER64;
        int64_t bits;
        memcpy(&bits, &v, sizeof bits);
        sum[i] += bits - bias;
    }
}

#define TILE compare16
#define SUM words
#define START(x) broadcast_int(x)
#define DOT(sum, rows, one) DOT16(sum, rows, one)
#define TO_FLOAT(sum) to_floats(sum)
#include "math/kernel_tile.h"

#define TILE compare32
#define SUM floats
#define START(x) ((void)(x), broadcast_float(0)) /* integers only begin elsewhere */
#define DOT(sum, rows, one) DOT32(sum, rows, one)
#define TO_FLOAT(sum) (sum)
#include "math/kernel_tile.h"

#ifdef DOT8
#define TILE compare8
#define SUM words
#define START(x) broadcast_int(x)
#define DOT(sum, rows, one) DOT8(sum, rows, one)
#define TO_FLOAT(sum) to_floats(sum)
#include "math/kernel_tile.h"
#else
#define compare8 NULL
#endif

#define KERNEL_NAME_(set) #set
#define KERNEL_NAME(set) KERNEL_NAME_(set)
#define KERNEL_SYMBOL_(set) mpivf_kernel_##set
#define KERNEL_SYMBOL(set) KERNEL_SYMBOL_(set)

const struct mpivf_kernel KERNEL_SYMBOL(KERNEL);
const struct mpivf_kernel KERNEL_SYMBOL(KERNEL) = {KERNEL_NAME(KERNEL),
                                                   square,
                                                   dot,
                                                   square64,
                                                   dot64,
                                                   square32,
                                                   largest,
                                                   round8,
                                                   round16,
                                                   add,
                                                   filter,
                                                   compare8,
                                                   compare16,
                                                   compare32};
