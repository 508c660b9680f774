#include "math/choose.h"

#include "base/then.h"
#include "math/trial.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Seconds that it takes to hold a row: little, and of no use to be measured. */
static const double HELD = 20e-9;

/* What a filter costs and leaves. */
struct cost {
    double pack, pair; /* seconds of one thread for a row, and for a row and a query */
    double survivors;  /* for each neighbour wanted */
};

/* Pack the sample in the words of a filter, and look. Without loops it leaves what another does. */
static mpivf_status
try_filter(struct mpivf_trial *s, const struct mpivf_filter *filter, struct cost *cost)
{
    struct mpivf_sides sides;
    struct mpivf_pool pool = mpivf_pool_taking(s->ctx, "a sample of rows");
    cost->pack = mpivf_trial_pack(s, &sides, &pool, filter, NULL);
    if (!pool.failed) {
        cost->pair = mpivf_trial_pair(s, &sides.queries, &sides.rows);
        if (filter->alike == filter)
            cost->survivors =
                mpivf_trial_left(s, &sides.queries, &sides.rows, 0) / (double)(s->queries * s->k);
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}

/* Seconds of one thread that a query costs. */
static double
cost_of(const struct mpivf_trial *s, const struct cost *cost)
{
    const struct mpivf_choose *of = s->of;
    double rows = (double)of->total_rows, left = (double)of->k * cost->survivors;
    double slabs = of->slab < of->total_rows ? rows / (double)of->slab : 1;
    double held = left < rows ? left * (1 + log(rows / left)) : rows;
    double computed = left * (1 + log(slabs)) < held ? left * (1 + log(slabs)) : held;
    return cost->pack + rows * (cost->pair + cost->pack / (double)of->total_queries) + held * HELD +
           computed * s->canonical;
}

static bool
is_asked(const struct mpivf_choose *of, const struct mpivf_filter *filter)
{
    return mpivf_filter_runs(filter, of->dim) && (of->only == NULL || of->only == filter);
}

/* ---- a first look at projected rows ---- */

enum { LEAST = 16 }; /* axes that are tried */

/* What is found of the filters, and the best so far. */
struct found {
    struct cost cost[MPIVF_FILTERS];
    double refine[MPIVF_FILTERS]; /* seconds of a pair by itself, of integers */
    double best;                  /* seconds of a query */
};

/*
 * The share of all pairs that the first look leaves: of the rows that come when so many were seen,
 * about as many as at the limits of then.
 */
static double
share_left(struct mpivf_trial *s, const struct mpivf_sides *sides)
{
    double pairs = (double)(s->queries * s->rows), share = 0, seen = 1, before = 0;
    for (size_t level = 0; level < MPIVF_TRIAL_LEVELS; level++) {
        double left = mpivf_trial_left(s, sides->queries.first, sides->rows.first, level) / pairs;
        if (level > 0) {
            share += (seen - seen / 4) * (left + before) / 2;
            seen /= 4;
        }
        before = left;
    }
    return share + seen;
}

/* Look first at so many axes: does that make a query cheaper, with one of the filters behind? */
static mpivf_status
try_axes(struct mpivf_trial *s, struct found *found, const struct mpivf_first *first,
         struct mpivf_choice *choice)
{
    struct mpivf_pool pool = mpivf_pool_taking(s->ctx, "a sample of rows");
    struct mpivf_sides sides;
    struct cost cost = {.pack = mpivf_trial_pack(s, &sides, &pool, first->filter, first)};
    if (!pool.failed) {
        double pair = mpivf_trial_pair(s, sides.queries.first, sides.rows.first);
        double share = share_left(s, &sides);
        for (int f = 0; f < MPIVF_FILTERS; f++) {
            cost.pair = pair + share * found->refine[f];
            cost.survivors = found->cost[f].survivors;
            double all = found->refine[f] > 0 ? cost_of(s, &cost) : INFINITY;
            if (all < found->best) {
                found->best = all;
                choice->filter = mpivf_filter(f);
                choice->first.filter = first->filter;
                mpivf_projection_copy(&first->projection, &choice->first.projection);
            }
        }
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}

/* What pairs cost by themselves, and which filter of integers is the fastest for many together. */
static mpivf_status
time_pairs(struct mpivf_trial *s, struct found *found, const struct mpivf_projection *axes,
           struct mpivf_first *first)
{
    static const double FASTER = 0.95; /* else one of more bits is better */
    mpivf_status status = MPIVF_OK;
    double best = INFINITY;
    struct mpivf_projection few = *axes;
    few.axes = LEAST; /* it is about the rows themselves */
    for (int f = 0; f < MPIVF_FILTERS && status == MPIVF_OK; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        if (!filter->round || !is_asked(s->of, filter))
            continue;
        struct mpivf_first with = {filter, few};
        struct mpivf_pool pool = mpivf_pool_taking(s->ctx, "a sample of rows");
        struct mpivf_sides sides;
        (void)mpivf_trial_pack(s, &sides, &pool, filter, &with);
        if (!pool.failed)
            found->refine[f] = mpivf_trial_refine(s, &sides);
        status = mpivf_pool_status(&pool);
        mpivf_pool_clear(&pool);
        if (found->cost[f].pair < FASTER * best) {
            best = found->cost[f].pair;
            first->filter = filter;
        }
    }
    return status;
}

/* Find axes by n of the rows from `first` on. */
static mpivf_status
find_axes(struct mpivf_context *ctx, const struct mpivf_choose *of, size_t first, size_t n,
          struct mpivf_projection *axes)
{
    return mpivf_projection_find(ctx, axes, of->metric, mpivf_raw_at(of->row, first * of->dim),
                                 (of->present - first) / n, n, of->centre);
}

/* Try all of the axes, half of them, a fourth. */
static mpivf_status
try_first(struct mpivf_trial *s, struct found *found, struct mpivf_first *first,
          const struct mpivf_projection *axes, struct mpivf_choice *choice)
{
    enum { TRIES = 3 };
    mpivf_status status = MPIVF_OK;
    size_t n = axes->axes;
    for (int t = 0; t < TRIES && n >= LEAST && status == MPIVF_OK; t++, n = n / 2 / 8 * 8) {
        status = mpivf_projection_turn(s->ctx, axes, n, &first->projection);
        THEN(status, try_axes(s, found, first, choice));
    }
    return status;
}

/* The axes are found by rows that are not those that they are tried on. */
static mpivf_status
choose_first(struct mpivf_trial *s, struct found *found, struct mpivf_choice *choice)
{
    static const double WORTH = 0.5; /* seconds that the truth should take without */
    const struct mpivf_choose *of = s->of;
    struct mpivf_pool pool = mpivf_pool_taking(s->ctx, "the axes of a sample");
    struct mpivf_projection axes;
    struct mpivf_first first = {.filter = NULL};
    size_t n = mpivf_projection_rows(of->dim, of->present - s->rows);
    if (n == 0 || found->best * (double)of->total_queries < WORTH)
        return MPIVF_OK;
    mpivf_projection_lay_out(&axes, &pool, of->dim);
    mpivf_projection_lay_out(&first.projection, &pool, of->dim);
    mpivf_status status = mpivf_pool_status(&pool);
    THEN(status, find_axes(s->ctx, of, s->rows, n, &axes));
    if (status == MPIVF_OK && axes.axes >= LEAST) {
        status = time_pairs(s, found, &axes, &first);
        THEN(status, try_first(s, found, &first, &axes, choice));
    }
    mpivf_pool_clear(&pool);
    return status;
}

static mpivf_status
choose_from(struct mpivf_trial *s, bool first, struct mpivf_choice *choice)
{
    struct found found = {.best = INFINITY};
    mpivf_status status = MPIVF_OK;
    for (int f = 0; f < MPIVF_FILTERS && status == MPIVF_OK; f++) {
        const struct mpivf_filter *filter = mpivf_filter(f);
        struct cost *cost = &found.cost[f];
        if (!is_asked(s->of, filter))
            continue;
        status = try_filter(s, filter, cost);
        cost->survivors = found.cost[filter->alike - mpivf_filter(0)].survivors; /* before */
        double all = cost_of(s, cost);
        if (status == MPIVF_OK && all < found.best) {
            found.best = all;
            choice->filter = filter;
        }
    }
    THEN(status, first ? choose_first(s, &found, choice) : MPIVF_OK);
    return status;
}

/* Without integers there is one bound, and nothing to be counted. */
static bool
has_choice(const struct mpivf_choose *of)
{
    for (int f = 0; f < MPIVF_FILTERS; f++)
        if (mpivf_filter(f)->round && is_asked(of, mpivf_filter(f)))
            return true;
    return false;
}

size_t
mpivf_choose_axes(void)
{
    const char *axes = getenv("MPIVF_AXES");
    return axes ? strtoul(axes, NULL, 10) / 8 * 8 : SIZE_MAX;
}

/* Look first at that many axes, or as many as there are, found by any rows. */
static mpivf_status
force_first(struct mpivf_context *ctx, const struct mpivf_choose *of, size_t most,
            struct mpivf_choice *choice)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the axes of a sample");
    struct mpivf_projection axes;
    size_t n = mpivf_projection_rows(of->dim, of->present);
    if (n == 0 || choice->filter->refine == NULL)
        return MPIVF_OK;
    mpivf_projection_lay_out(&axes, &pool, of->dim);
    mpivf_status status = mpivf_pool_status(&pool);
    THEN(status, find_axes(ctx, of, 0, n, &axes));
    if (status == MPIVF_OK)
        status = mpivf_projection_turn(ctx, &axes, axes.axes < most ? axes.axes : most,
                                       &choice->first.projection);
    choice->first.filter = choice->filter;
    mpivf_pool_clear(&pool);
    return status;
}

size_t
mpivf_choose_rows(size_t dim)
{
    enum { BYTES = 4 << 20 };
    return BYTES / (dim * sizeof(float));
}

size_t
mpivf_filter_choose_bytes(size_t dim, size_t rows, int threads)
{
    struct mpivf_projection axes[2]; /* as they are found, and turned */
    struct mpivf_pool pool = mpivf_pool_counting();
    if (!has_choice(&(struct mpivf_choose){.dim = dim}) || rows == 0)
        return 0;
    rows = rows < MPIVF_CHOOSE_ROWS ? rows : MPIVF_CHOOSE_ROWS;
    mpivf_projection_lay_out(&axes[0], &pool, dim);
    mpivf_projection_lay_out(&axes[1], &pool, dim);
    size_t find = mpivf_projection_find_bytes(dim); /* before sides are taken */
    size_t sides = mpivf_trial_sides_bytes(dim, rows, threads);
    return mpivf_trial_bytes(rows) + pool.bytes + (sides > find ? sides : find);
}

mpivf_status
mpivf_filter_choose(struct mpivf_context *ctx, const struct mpivf_choose *choose,
                    struct mpivf_choice *choice)
{
    struct mpivf_trial trial;
    size_t axes = mpivf_choose_axes();
    choice->filter = choose->only ? choose->only : mpivf_filter_best(choose->dim);
    if (choose->queries == 0 || choose->rows == 0 || !has_choice(choose))
        return MPIVF_OK;
    if (axes > 0 && axes < SIZE_MAX)
        return force_first(ctx, choose, axes, choice);
    if (mpivf_filter_forced(choose->dim))
        return MPIVF_OK;
    mpivf_status status = mpivf_trial_init(ctx, &trial, choose);
    THEN(status, choose_from(&trial, axes > 0, choice));
    mpivf_trial_clear(&trial);
    return status;
}
