/* The loops of kernel.h, compiled once for each instruction set: KERNEL names the set. */
#include "math/kernel.h"

#include <string.h>

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

static double
square(const float *a, const float *b, size_t dim)
{
    lanes8 low = {0}, high = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        lanes8 x = load8(a + i) - load8(b + i), y = load8(a + i + 8) - load8(b + i + 8);
        low += x * x;
        high += y * y;
    }
    for (size_t lane = 0; i < dim; i++, lane++) {
        double x = (double)a[i] - (double)b[i];
        if (lane < 8)
            low[lane] += x * x;
        else
            high[lane - 8] += x * x;
    }
    return fold(low, high);
}

static double
dot(const float *a, const float *b, size_t dim)
{
    lanes8 low = {0}, high = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        low += load8(a + i) * load8(b + i);
        high += load8(a + i + 8) * load8(b + i + 8);
    }
    for (size_t lane = 0; i < dim; i++, lane++) {
        double x = (double)a[i] * (double)b[i];
        if (lane < 8)
            low[lane] += x;
        else
            high[lane - 8] += x;
    }
    return fold(low, high);
}

static size_t
filter(const float *product, const float *term, const float *norm, size_t n, float scale,
       float slope, float limit, uint32_t *keep)
{
    enum { GROUP = 64 };
    size_t kept = 0, j = 0;
    for (; j + GROUP <= n; j += GROUP) {
        int any = 0; /* most groups have none: one pass without branches to see that */
        for (size_t i = j; i < j + GROUP; i++)
            any |= !(term[i] - scale * product[i] - slope * norm[i] > limit);
        if (!any)
            continue;
        for (size_t i = j; i < j + GROUP; i++) {
            keep[kept] = (uint32_t)i;
            kept += !(term[i] - scale * product[i] - slope * norm[i] > limit);
        }
    }
    for (; j < n; j++) {
        keep[kept] = (uint32_t)j;
        kept += !(term[j] - scale * product[j] - slope * norm[j] > limit);
    }
    return kept;
}

#define KERNEL_NAME_(set) #set
#define KERNEL_NAME(set) KERNEL_NAME_(set)
#define KERNEL_SYMBOL_(set) mpivf_kernel_##set
#define KERNEL_SYMBOL(set) KERNEL_SYMBOL_(set)

const struct mpivf_kernel KERNEL_SYMBOL(KERNEL);
const struct mpivf_kernel KERNEL_SYMBOL(KERNEL) = {KERNEL_NAME(KERNEL), square, dot, filter};
