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

/* Query q in place of a group; everything is kept, so columns come in order. */
static inline void
put(const struct mpivf_packed_queries *queries, size_t q, uint32_t *survivor, float *value,
    struct mpivf_group *group)
{
    group->word[q] = queries->word + q * queries->steps * 4;
    group->start[q] = queries->bound[q].start;
    group->scale[q] = queries->bound[q].scale;
    group->per_norm[q] = queries->bound[q].per_norm;
    group->per_residual[q] = queries->bound[q].per_residual;
    group->limit[q] = INFINITY;
    group->survivor[q] = survivor;
    group->value[q] = value;
}

static inline void
compare_words(const struct mpivf_packed_queries *queries, const struct mpivf_packed_rows *packed,
              mpivf_compare compare, float value[QUERIES][PADDED])
{
    struct mpivf_panels panels = mpivf_prepare_panels(packed, 0, 2);
    struct mpivf_group group = {.n = QUERIES};
    uint32_t survivor[QUERIES][PADDED];
    for (size_t q = 0; q < QUERIES; q++)
        put(queries, q, survivor[q], value[q], &group);
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
        compare_words(&pair->queries, &pair->packed, compare, pair->value);
    return compare != NULL;
}

/* What share of the interval between the bounds distances have reached, by each filter. */
struct reach {
    double least, most;
};

static struct reach reached[MPIVF_FILTERS] = {{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}};

/*
 * The row's side of the same comparison: a row that may have a neighbour as far as the lower bound
 * reaches the pair, and in the terms of another query the bound is not higher.
 */
static inline void
assert_reached(const char *what, const struct mpivf_packed_queries *queries, size_t q, float value)
{
    size_t other = (q + 1) % QUERIES;
    double lower = mpivf_prepare_lower(queries, q, value);
    float reach = mpivf_prepare_reach(lower) + mpivf_prepare_across(queries, q);
    float again = mpivf_prepare_value(queries, other, lower);
    if (value > reach || mpivf_prepare_lower(queries, other, again) > lower)
        fail_msg("%s, %s, query %zu: value %.9g, reach %.9g of %.17g, value %.9g of %.17g", what,
                 queries->filter->name, q, (double)value, (double)reach, lower, (double)again,
                 mpivf_prepare_lower(queries, other, again));
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
    assert_reached(what, &pair->queries, q, value);
    struct reach *reach = &reached[pair->packed.filter - mpivf_filter(0)];
    double share = (d - lower) / (upper - lower);
    if (isfinite(share)) {
        reach->least = share < reach->least ? share : reach->least;
        reach->most = share > reach->most ? share : reach->most;
    }
}

/* Pair by pair, of rows that lie one after the other: in any order, whatever is left out. */
static inline void
refine_words(struct pair_of *pair, mpivf_refine refine)
{
    struct mpivf_panels rows = mpivf_prepare_panels(&pair->packed, 0, 1);
    struct mpivf_group group = {.n = QUERIES};
    uint32_t survivor[ROWS];
    float value[ROWS];
    for (size_t q = 0; q < QUERIES; q++) {
        put(&pair->queries, q, survivor, value, &group);
        for (size_t every = 1; every < 4; every++) {
            size_t n = 0;
            for (size_t j = ROWS; j-- > 0;)
                if (j % every == 0)
                    survivor[n++] = (uint32_t)j;
            group.survivors[q] = n;
            refine(&rows, &group, q);
            assert_int_equal(group.survivors[q], n);
            for (size_t i = 0; i < n; i++)
                pair->value[q][survivor[i]] = value[i];
        }
    }
}

/* The first look keeps what is near enough, and the second has bounds like those of panels. */
static inline void
check_first(struct mpivf_context *ctx, const char *what, enum mpivf_metric metric, size_t dim,
            const struct mpivf_filter *filter, const struct mpivf_first *first,
            struct mpivf_raw query, struct mpivf_raw row, struct mpivf_raw centre,
            const double distance[QUERIES][ROWS])
{
    static struct pair_of pair;
    static float value[QUERIES][PADDED];
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a test");
    mpivf_packed_queries_lay_out(&pair.queries, &pool, metric, filter, dim, QUERIES, first, 1);
    mpivf_packed_rows_lay_out(&pair.packed, &pool, metric, filter, dim, ROWS, first, 1);
    assert_ok(ctx, mpivf_pool_status(&pool));
    mpivf_packed_queries_fill_raw(&pair.queries, query, QUERIES, centre);
    mpivf_packed_rows_fill_raw(&pair.packed, row, ROWS, centre, NULL, 0);
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
        if (!kernel || !first->filter->compare(kernel) || !filter->refine(kernel))
            continue;
        compare_words(pair.queries.first, pair.packed.first, first->filter->compare(kernel), value);
        refine_words(&pair, filter->refine(kernel));
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t j = 0; j < ROWS; j++) {
                double d = distance[q][j], one = (double)value[q][j];
                float limit = mpivf_prepare_limit(pair.queries.first, q, d);
                if (value[q][j] > limit ||
                    mpivf_prepare_lower(pair.queries.first, q, value[q][j]) > d)
                    fail_msg("%s, %zu axes, %s, set %d, query %zu, row %zu: %.17g is excluded; "
                             "value %.9g, limit %.9g",
                             what, first->projection.axes, first->filter->name, s, q, j, d, one,
                             (double)limit);
                assert_reached(what, pair.queries.first, q, value[q][j]);
                assert_bounds(what, &pair, q, j, s, d);
            }
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t j = ROWS; j < PADDED; j++)
                assert_true(!(value[q][j] < INFINITY));
    }
    mpivf_pool_clear(&pool);
}

/* By axes of the rows, with each filter of integers for the first look. */
static inline void
check_firsts(struct mpivf_context *ctx, const char *what, enum mpivf_metric metric, size_t dim,
             const struct mpivf_filter *filter, struct mpivf_raw query, struct mpivf_raw row,
             struct mpivf_raw centre, const double distance[QUERIES][ROWS])
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a test");
    struct mpivf_projection axes;
    struct mpivf_first first;
    size_t n = mpivf_projection_rows(dim, ROWS);
    if (n == 0 || filter->round == NULL)
        return;
    mpivf_projection_lay_out(&axes, &pool, dim);
    mpivf_projection_lay_out(&first.projection, &pool, dim);
    assert_ok(ctx, mpivf_pool_status(&pool));
    assert_ok(ctx, mpivf_projection_find(ctx, &axes, metric, row, 1, n, centre));
    assert_ok(ctx, mpivf_projection_turn(ctx, &axes, axes.axes, &first.projection));
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        first.filter = mpivf_filter(f);
        if (first.filter->round)
            check_first(ctx, what, metric, dim, filter, &first, query, row, centre, distance);
    }
    mpivf_pool_clear(&pool);
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
