/*
 * kernel: the inner loops, once per instruction set.
 *
 * The set is chosen at run time by what the processor has; MPIVF_KERNEL=portable|avx2|avx512|vnni
 * forces one. Every set gives the same bits where bits count: float64 sums run in 16 lanes (element
 * i in lane i mod 16) that are folded by halves, without fused multiply-add, whatever the width.
 *
 * Products of many rows with many rows are register-blocked: 8 queries against a panel of 48 rows,
 * 24 accumulators of 16 lanes with AVX-512. Whatever the element type, a step takes 4 bytes of
 * every row, a word: four int8, two int16 or one float. So there is one layout and one loop.
 */
#ifndef MPIVF_MATH_KERNEL_H
#define MPIVF_MATH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MPIVF_PANEL = 48, MPIVF_GROUP = 8, MPIVF_APART = 16 };

/* Panels that so many rows take; the last may not be full. */
static inline size_t
mpivf_whole_panels(size_t rows)
{
    return (rows + MPIVF_PANEL - 1) / MPIVF_PANEL;
}

/* Panels of prepared rows, one after the other; columns past the last row have an infinite term. */
struct mpivf_panels {
    const void *word;                            /* [panels, steps, MPIVF_PANEL] words */
    const float *term, *scale, *norm, *residual; /* [panels * MPIVF_PANEL] each */
    size_t panels, steps;
    size_t stride; /* steps from one panel to the next: more than `steps` where rows go in parts */
    const float *reach; /* [panels * MPIVF_PANEL], where rows are queries too; else NULL */
};

/* Up to MPIVF_GROUP queries and what the comparison finds. */
struct mpivf_group {
    const void *word[MPIVF_GROUP]; /* [steps] words each; those past n repeat another */
    size_t n;
    int32_t start[MPIVF_GROUP]; /* integer sums begin here */
    float scale[MPIVF_GROUP], per_norm[MPIVF_GROUP], per_residual[MPIVF_GROUP], limit[MPIVF_GROUP];
    float across[MPIVF_GROUP]; /* of each query, where rows have a reach */
    size_t survivors[MPIVF_GROUP];
    uint32_t *survivor[MPIVF_GROUP]; /* [panels * MPIVF_PANEL] columns, ascending in each panel */
    float *value[MPIVF_GROUP];       /* their values */
    /* [panels] each, bit j of column j, of all MPIVF_GROUP instead of the three; NULL: all three */
    uint64_t *mask[MPIVF_GROUP];

    /* Rows in parts: sums go on from those of the part before, and are left for the next. */
    bool goes_on, left;
    char *sums; /* [MPIVF_GROUP, panels * MPIVF_PANEL] words */
};

/*
 * For query i and column j: the value
 *     term_j - scale_i (scale_j P) - per_norm_i norm_j - per_residual_i residual_j
 *
 * with P = start_i + <query, row>;
 * appends the columns where value > limit_i is not true (so not-a-number stays), or, where rows
 * have a reach, value > reach_j + across_i is not.
 */
typedef void (*mpivf_compare)(const struct mpivf_panels *panels, struct mpivf_group *group);

/*
 * The same pair by pair, of rows that lie one after the other, MPIVF_APART words or a multiple
 * (of 7 bits, an even one): of the survivors of query i those stay that this leaves by their own
 * value.
 */
typedef void (*mpivf_refine)(const struct mpivf_panels *rows, struct mpivf_group *group, size_t i);

struct mpivf_kernel {
    const char *name;

    /* sum (a_i - b_i)^2 in float64. */
    double (*square)(const float *a, const float *b, size_t dim);

    /* sum a_i b_i in float64. */
    double (*dot)(const float *a, const float *b, size_t dim);

    /* The same of float64 values: of values that are float32 too, the same bits. */
    double (*square64)(const double *a, const double *b, size_t dim);
    double (*dot64)(const double *a, const double *b, size_t dim);

    /* sum (a_i - b_i)^2 in float32: 64 lanes, element i in lane i mod 64, folded by halves. */
    float (*square32)(const float *a, const float *b, size_t dim);

    /* max |x_i|; x is finite. */
    float (*largest)(const float *x, size_t dim);

    /*
     * out_i = x_i * inverse rounded to an integer, |x_i * inverse| <= 127 or 32767. Returns the sum
     * of squares of what rounding took away, in float32: 16 lanes, each dim / 16 + 1 additions.
     */
    float (*round8)(const float *x, size_t dim, float inverse, int8_t *out);
    float (*round16)(const float *x, size_t dim, float inverse, int16_t *out);

    /*
     * sum_i += x_i * scale rounded to the nearest integer, ties to even; |x_i * scale| < 2^51. Sums
     * of integers are the same in any order.
     */
    void (*add)(const float *x, size_t dim, double scale, int64_t *sum);

    /*
     * The columns j < n for which term[j] - scale * product[j] - per_norm * norm[j] > limit is not
     * true (so not-a-number stays), ascending into keep. How many.
     */
    size_t (*filter)(const float *product, const float *term, const float *norm, size_t n,
                     float scale, float per_norm, float limit, uint32_t *survivor);

    /*
     * The columns whose bits are set, ascending; room for all. How many.
     */
    size_t (*columns)(const uint64_t *mask, size_t panels, uint32_t *column);

    /*
     * Bytes of 7 bits: rows of 0..127 (value + 64), queries of -63..63; start = -64 sum of the
     * query. Steps are even: two products of bytes at a time fit a sum of 16 bits.
     */
    mpivf_compare compare7;

    /*
     * Rows as unsigned bytes (value + 128) with queries as signed ones: start = -128 sum of the
     * query.
     */
    mpivf_compare compare8; /* NULL where the processor has no such dot product */
    /* Sums of int16 products wrap; right when the final one fits int32. */
    mpivf_compare compare16;
    /* float32 sums in any order. */
    mpivf_compare compare32;

    /* Of the same words. */
    mpivf_refine refine7, refine8, refine16;
};

/* The set in use. The first call chooses; make it before threads start. Local. */
const struct mpivf_kernel *
mpivf_kernel(void);

/*
 * Bytes of the second-level cache of a core, asked from the system; 1 MiB where it does not tell,
 * and from 256 KiB to 2 MiB in any case. Made like mpivf_kernel. Local.
 */
size_t
mpivf_kernel_cache(void);

enum { MPIVF_KERNELS = 4 }; /* instruction sets, at most */

/* Set number i, fastest last, NULL past the end or where this processor cannot run it. Local. */
const struct mpivf_kernel *
mpivf_kernel_at(int i);

#endif
