/* pair: both sides of a comparison prepared, and their bounds against canonical distances. */
#ifndef MPIVF_TESTS_PAIR_H
#define MPIVF_TESTS_PAIR_H

#include "testing.h"

#include "math/blas.h"
#include "math/distance.h"
#include "math/nearest.h"

#include <math.h>

enum { ROWS = 60, QUERIES = 8, PADDED = 2 * MPIVF_PANEL };

/* A query side and a row side of one shape. */
struct pair_of {
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    float value[QUERIES][PADDED];
};

static inline void
compare_words(struct pair_of *pair, mpivf_compare compare)
{
    const struct mpivf_packed_rows *packed = &pair->packed;
    struct mpivf_panels panels = {packed->word,  packed->term,     packed->scale,
                                  packed->norm,  packed->residual, 2,
                                  packed->steps, packed->steps};
    struct mpivf_group group = {.n = QUERIES};
    uint32_t survivor[QUERIES][PADDED];
    for (size_t q = 0; q < QUERIES; q++) {
        group.word[q] = pair->queries.word + q * pair->queries.steps * 4;
        group.start[q] = pair->queries.bound[q].start;
        group.scale[q] = pair->queries.bound[q].scale;
        group.per_norm[q] = pair->queries.bound[q].per_norm;
        group.per_residual[q] = pair->queries.bound[q].per_residual;
        group.limit[q] = INFINITY; /* everything is kept, so columns come in order */
        group.survivor[q] = survivor[q];
        group.value[q] = pair->value[q];
    }
    compare(&panels, &group);
    for (size_t q = 0; q < QUERIES; q++)
        assert_int_equal(group.survivors[q], PADDED);
}

static inline void
compare_products(struct pair_of *pair)
{
    const struct mpivf_packed_queries *queries = &pair->queries;
    const struct mpivf_packed_rows *packed = &pair->packed;
    float product[QUERIES * ROWS];
    mpivf_blas_products((const float *)(const void *)queries->word, QUERIES,
                        (const float *)(const void *)packed->word, ROWS, packed->dim, product,
                        ROWS);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t j = 0; j < ROWS; j++)
            pair->value[q][j] = packed->term[j] - queries->bound[q].scale * product[q * ROWS + j] -
                                queries->bound[q].per_norm * packed->norm[j];
}

/* Way s is set s; sgemm has but one. Is there such a way? */
static inline bool
compute(struct pair_of *pair, int s)
{
    const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
    const struct mpivf_filter *filter = pair->packed.filter;
    if (!filter->panels) {
        compare_products(pair);
        return s == 0;
    }
    mpivf_compare compare = kernel ? filter->compare(kernel) : NULL;
    if (compare)
        compare_words(pair, compare);
    return compare != NULL;
}

static inline void
assert_bounds(const char *what, const struct pair_of *pair, size_t q, size_t j, int set, double d)
{
    float value = pair->value[q][j];
    double lower = mpivf_prepare_lower(&pair->queries, q, value);
    double upper = mpivf_prepare_upper(&pair->queries, q, &pair->packed, j, value);
    double limit = mpivf_prepare_limit(&pair->queries, q, d);
    if (lower > d || !(upper >= d) || value > limit)
        fail_msg("%s, %s, set %d, query %zu, row %zu: %.17g is not within [%.17g, %.17g]; value "
                 "%.9g, limit %.9g",
                 what, pair->packed.filter->name, set, q, j, d, lower, upper, (double)value, limit);
}

/* Every pair, by every set that the processor has. */
static inline void
check_pair(const char *what, struct pair_of *pair, const double distance[QUERIES][ROWS])
{
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        if (!compute(pair, s))
            continue;
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t j = 0; j < ROWS; j++)
                assert_bounds(what, pair, q, j, s, distance[q][j]);
        for (size_t q = 0; q < QUERIES && pair->packed.filter->panels; q++)
            for (size_t j = ROWS; j < PADDED; j++)
                assert_true(!(pair->value[q][j] < INFINITY)); /* padding is never a neighbour */
    }
}

#endif
