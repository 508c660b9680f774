/*
 * The loops of kernel.h, compiled once for each instruction set. KERNEL names the set; kernel_*.c
 * say before how its registers are filled and multiplied.
 */

/*
 * Vectors are as wide as the set's own. Compilers take wider ones too, but cut them into pieces
 * that they keep in memory: gcc 12 moves such sums through general registers at every step.
 */
enum { VECTOR = 4 * LANES, DOUBLES = LANES / 2, SUMS64 = 16 / DOUBLES, SUMS = 16 / LANES };

typedef double doubles __attribute__((vector_size(VECTOR)));
typedef int64_t integers __attribute__((vector_size(VECTOR)));
typedef int32_t ints __attribute__((vector_size(VECTOR)));

/* For each of a constant number of registers. */
#define EACH(k, n) _Pragma("GCC unroll 16") for (int k = 0; k < (n); k++)

/* Fold 16 lanes by halves. */
static inline double
fold(const double *s)
{
    double t[8];
    for (int i = 0; i < 8; i++)
        t[i] = s[i] + s[i + 8];
    return ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
}

#define SQUARE square
#define DOT dot
#define VALUE float
#define LOAD load_widened
#include "math/kernel_sums.h"

static inline doubles
load_doubles(const double *at)
{
    doubles v;
    memcpy(&v, at, sizeof v);
    return v;
}

#define SQUARE square64
#define DOT dot64
#define VALUE double
#define LOAD load_doubles
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

/* Most panels have one or two, and no branch depends on that; what is too much is overwritten. */
static size_t
columns(const uint64_t *mask, size_t panels, uint32_t *column)
{
    static const uint64_t TOP = (uint64_t)1 << 63;
    size_t found = 0;
    for (size_t p = 0; p < panels; p++) {
        uint64_t left = mask[p];
        uint32_t *to = column + found, first = (uint32_t)(p * MPIVF_PANEL);
        int n = __builtin_popcountll(left);
        to[0] = first + (uint32_t)__builtin_ctzll(left | TOP);
        left &= left - 1;
        to[1] = first + (uint32_t)__builtin_ctzll(left | TOP);
        left &= left - 1;
        for (int i = 2; i < n; i++, left &= left - 1)
            to[i] = first + (uint32_t)__builtin_ctzll(left | TOP);
        found += (size_t)n;
    }
    return found;
}

static float
largest(const float *x, size_t dim)
{
    ints max = {0};
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES) { /* without the sign, floats order as integers do */
        ints bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        ints more = bits > max;
        max = (bits & more) | (max & ~more);
    }
    int32_t top = 0;
    for (int lane = 0; lane < LANES; lane++)
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

/* Fold `lanes` sums by halves, down to one. */
static inline float
fold_floats(float *lane, int lanes)
{
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float
square32(const float *a, const float *b, size_t dim)
{
    enum { ALL = 64, N = ALL / LANES };
    floats sum[N] = {{0}};
    float lane[ALL];
    size_t i = 0, at = 0;
    for (; i + ALL <= dim; i += ALL)
        EACH (k, N) {
            floats x = load_floats(a + i + LANES * k) - load_floats(b + i + LANES * k);
            sum[k] += x * x;
        }
    memcpy(lane, sum, sizeof lane);
    for (; i + LANES <= dim; i += LANES, at += LANES) {
        floats x = load_floats(a + i) - load_floats(b + i), s = load_floats(lane + at);
        s += x * x;
        memcpy(lane + at, &s, sizeof s);
    }
    for (; i < dim; i++, at++) {
        float x = a[i] - b[i];
        lane[at] += x * x;
    }
    return fold_floats(lane, ALL);
}

/* Adding and taking away 1.5 x 2^23 rounds to the nearest integer. */
static const float ROUNDER = 12582912.0f;

#define ROUND_ROW(name, type, store)                                                               \
    static float name(const float *x, size_t dim, float inverse, type *out)                        \
    {                                                                                              \
        floats sum[SUMS] = {{0}};                                                                  \
        float lane[16];                                                                            \
        size_t i = 0;                                                                              \
        for (; i + 16 <= dim; i += 16) {                                                           \
            words whole[SUMS];                                                                     \
            EACH (k, SUMS) {                                                                       \
                floats v = load_floats(x + i + LANES * k) * inverse;                               \
                floats nearest = (v + ROUNDER) - ROUNDER;                                          \
                whole[k] = to_words(nearest);                                                      \
                v -= nearest;                                                                      \
                sum[k] += v * v;                                                                   \
            }                                                                                      \
            store(whole, out + i);                                                                 \
        }                                                                                          \
        memcpy(lane, sum, sizeof lane);                                                            \
        for (int j = 0; i < dim; i++, j++) {                                                       \
            float v = x[i] * inverse, nearest = (v + ROUNDER) - ROUNDER;                           \
            out[i] = (type)nearest;                                                                \
            lane[j] += (v - nearest) * (v - nearest);                                              \
        }                                                                                          \
        return fold_floats(lane, 16);                                                              \
    }

ROUND_ROW(round8, int8_t, store_bytes)
ROUND_ROW(round16, int16_t, store_shorts)

/*
 * Adding 1.5 x 2^52 leaves the nearest integer in the low bits; taken away as integers it is exact.
 */
static const double ROUNDER64 = 6755399441055744.0;

static void
add(const float *x, size_t dim, double scale, int64_t *sum)
{
    int64_t bias;
    size_t i = 0;
    memcpy(&bias, &ROUNDER64, sizeof bias);
    for (; i + DOUBLES <= dim; i += DOUBLES) {
        doubles v = load_widened(x + i) * scale + ROUNDER64;
        integers s;
        memcpy(&s, sum + i, sizeof s);
        s += (integers)v - bias;
        memcpy(sum + i, &s, sizeof s);
    }
    for (; i < dim; i++) {
        double v = (double)x[i] * scale + ROUNDER64;
        int64_t bits;
        memcpy(&bits, &v, sizeof bits);
        sum[i] += bits - bias;
    }
}

/* Some bits of a panel, from bit `at` on. */
static inline void
note_bits(uint64_t *mask, size_t at, uint64_t some)
{
    *mask = (at > 0 ? *mask : 0) | some << at;
}

/* The columns from `at` on whose bits are set survive for query q, behind n others. How many. */
static inline size_t
note_rows(const struct mpivf_group *group, size_t q, size_t n, size_t at, uint64_t some,
          const float *value)
{
    uint32_t *survivor = group->survivor[q];
    float *kept = group->value[q];
    for (; some; some &= some - 1, n++) {
        int j = __builtin_ctzll(some);
        survivor[n] = (uint32_t)(at + (size_t)j);
        kept[n] = value[j];
    }
    return n;
}

#define TILE compare16
#define SUM words
#define START(x) broadcast_int(x)
#define HIGH ROWS
#define BROAD WIDE
#define AT_ONCE 1
#define DOT(sum, rows, c, one) DOT16(sum, rows[0][c], one[0])
#define TO_FLOAT(sum) to_floats(sum)
#include "math/kernel_tile.h"

#define TILE compare32
#define SUM floats
#define START(x) ((void)(x), broadcast_float(0)) /* integers only begin elsewhere */
#define HIGH ROWS
#define BROAD WIDE
#define AT_ONCE 1
#define DOT(sum, rows, c, one) DOT32(sum, rows[0][c], one[0])
#define TO_FLOAT(sum) (sum)
#include "math/kernel_tile.h"

#define TILE compare7
#define SUM words
#define START(x) broadcast_int(x)
#define HIGH ROWS7
#define BROAD WIDE7
#define AT_ONCE 2
#define DOT(sum, rows, c, one) DOT7(sum, rows[0][c], one[0], rows[1][c], one[1])
#define TO_FLOAT(sum) to_floats(sum)
#include "math/kernel_tile.h"

#ifdef DOT8
#define TILE compare8
#define SUM words
#define START(x) broadcast_int(x)
#define HIGH ROWS
#define BROAD WIDE
#define AT_ONCE 1
#define DOT(sum, rows, c, one) DOT8(sum, rows[0][c], one[0])
#define TO_FLOAT(sum) to_floats(sum)
#include "math/kernel_tile.h"
#else
#define compare8 NULL
#endif

#define PAIRS refine16
#define AT_ONCE 1
#define DOT(sum, row, one) DOT16(sum, row[0], one[0])
#include "math/kernel_pairs.h"

#define PAIRS refine7
#define AT_ONCE 2
#define DOT(sum, row, one) DOT7(sum, row[0], one[0], row[1], one[1])
#include "math/kernel_pairs.h"

#ifdef DOT8
#define PAIRS refine8
#define AT_ONCE 1
#define DOT(sum, row, one) DOT8(sum, row[0], one[0])
#include "math/kernel_pairs.h"
#else
#define refine8 NULL
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
                                                   columns,
                                                   compare7,
                                                   compare8,
                                                   compare16,
                                                   compare32,
                                                   refine7,
                                                   refine8,
                                                   refine16};
