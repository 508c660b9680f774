#include "build/kmeans.h"

#include "base/compare.h"
#include "base/then.h"
#include "build/balance.h"
#include "build/lloyd.h"
#include "build/near.h"
#include "build/seeds.h"
#include "par/root.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAT_LISTS = 512, /* up to here two levels save nothing */
    TOP_ROWS = 256,   /* a centroid of the upper level */
    PART_ROWS = 64,   /* a list, for the first guess */
    TOP_ITERATIONS = 10,
    FINE_ITERATIONS = 10,
    /* What a row costs beside its comparisons, in comparisons: measured at 128 and 784 columns. */
    GLOBAL_ROW = 400,
    LOCAL_ROW = 600,
    SLACK = 64 << 10 /* bytes of small things */
};
static const double TOP_TOLERANCE = 0.01, FINE_GAIN = 0.06;
static const double RELAXATION = 1.5; /* how far centroids go, lloyd.h */
static const double RICH = 0.02;      /* a global iteration may be expected to gain so much */

struct kmeans {
    const struct mpivf_par *par;
    const struct mpivf_train_options *options;
    struct mpivf_sample *sample;
    struct mpivf_coarse *coarse;
    struct mpivf_lloyd lloyd;
    struct mpivf_train_summary *trained;
    double part;       /* of the sample that the first guess is made from */
    double objective;  /* of the last iteration */
    uint64_t empty;    /* lists in it that had no rows */
    uint64_t repaired; /* of them, in the last global one */
};

static uint64_t
top_lists(uint64_t lists)
{
    return (uint64_t)sqrt((double)lists);
}

void
mpivf_kmeans_wanted(uint64_t lists, uint64_t wanted, uint64_t level[MPIVF_SAMPLE_LEVELS])
{
    bool flat = lists <= FLAT_LISTS;
    const uint64_t rows[MPIVF_SAMPLE_LEVELS] = {TOP_ROWS * top_lists(lists), PART_ROWS * lists,
                                                wanted};
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++)
        level[l] = flat || rows[l] > wanted ? wanted : rows[l];
}

/* A cell and what its share of the lists leaves over. */
struct remainder {
    uint64_t rest, cell;
};

/* The cells of the upper level, while they are cut into lists. */
struct cells {
    int64_t *count;              /* [cells]: rows of the first guess, of all ranks */
    uint64_t *first;             /* [cells + 1]: the first list of each */
    struct remainder *remainder; /* [cells] */
    uint32_t *cell_of;           /* [lists] */
    uint32_t *all;               /* [lists]: 0, 1, ... */
};

static void
lay_out_cells(struct cells *c, struct mpivf_pool *pool, size_t cells, size_t lists)
{
    c->count = mpivf_pool_take(pool, cells, sizeof *c->count);
    c->first = mpivf_pool_take(pool, cells + 1, sizeof *c->first);
    c->remainder = mpivf_pool_take(pool, cells, sizeof *c->remainder);
    c->cell_of = mpivf_pool_take(pool, lists, sizeof *c->cell_of);
    c->all = mpivf_pool_take(pool, lists, sizeof *c->all);
}

/* The first guess, beside the lists themselves. */
static size_t
guess_bytes(size_t lists, size_t dim, int threads, bool root)
{
    struct cells c;
    struct mpivf_pool pool = mpivf_pool_counting();
    size_t cells = top_lists(lists);
    lay_out_cells(&c, &pool, cells, lists);
    size_t top =
        mpivf_coarse_bytes(cells, dim, threads) +
        mpivf_larger(mpivf_seeds_bytes(cells, dim, root), mpivf_lloyd_sums_bytes(cells, dim, root));
    size_t iterate =
        mpivf_lloyd_sums_bytes(lists, dim, root) + mpivf_coarse_subsets_bytes(dim, threads);
    return pool.bytes +
           mpivf_larger(top, mpivf_larger(mpivf_seeds_bytes(lists, dim, root), iterate));
}

size_t
mpivf_kmeans_bytes(enum mpivf_metric metric, size_t lists, size_t added, size_t dim, int threads,
                   bool root)
{
    bool guess = lists > FLAT_LISTS;
    size_t first =
        guess ? guess_bytes(lists, dim, threads, root) : mpivf_seeds_bytes(lists, dim, root);
    size_t refine = mpivf_lloyd_sums_bytes(lists, dim, root) +
                    (guess ? mpivf_near_bytes(metric, lists, dim, threads) : 0);
    size_t cut = added > 0 ? mpivf_balance_bytes(metric, lists, added, dim, threads, root) : 0;
    return mpivf_coarse_bytes(lists, dim, threads) + mpivf_lloyd_bytes(lists) + SLACK +
           mpivf_larger(first, mpivf_larger(refine, cut)); /* one after the other */
}

/* ---- the first centroids ---- */

/* Seeds of the rows up to a level, by group when there are groups, become the centroids. */
static mpivf_status
seed_all(const struct kmeans *km, struct mpivf_coarse *coarse, enum mpivf_sample_level level,
         size_t groups, const uint32_t *group, const uint64_t *first)
{
    struct mpivf_seeds seeds = {km->sample, level, km->options->seed, groups, group, first};
    mpivf_status status = mpivf_seeds_all(km->par, &seeds, coarse->centroid);
    if (status)
        return status;
    mpivf_bcast_all(km->par, coarse->centroid, coarse->lists * coarse->dim * sizeof(float));
    memcpy(coarse->centre, km->sample->centre, coarse->dim * sizeof(float));
    mpivf_coarse_refill(coarse);
    return MPIVF_OK;
}

/* Train the upper level: a small k-means that borrows everything but its centroids and sums. */
static mpivf_status
train_top_all(struct kmeans *km, struct mpivf_coarse *top)
{
    struct mpivf_lloyd lloyd = km->lloyd;
    uint64_t first[2] = {0, top->lists};
    double last = INFINITY;
    lloyd.coarse = top;
    lloyd.level = MPIVF_SAMPLE_TOP;
    mpivf_status status = seed_all(km, top, MPIVF_SAMPLE_TOP, 1, NULL, first);
    for (int i = 0; i < TOP_ITERATIONS && status == MPIVF_OK; i++) {
        struct mpivf_lloyd_step step;
        status = mpivf_lloyd_all(&lloyd, 0, &step);
        if (status || step.objective >= (1 - TOP_TOLERANCE) * last)
            break;
        last = step.objective;
    }
    mpivf_lloyd_forget(&lloyd);
    return status;
}

/* Put all rows into cells of the upper level; count those of the first guess, of all ranks. */
static mpivf_status
find_cells_all(struct kmeans *km, struct mpivf_coarse *top, int64_t *count)
{
    size_t blocks = mpivf_sample_blocks(km->sample, MPIVF_SAMPLE_ALL);
    mpivf_status status = MPIVF_OK;
    memset(count, 0, top->lists * sizeof *count);
    for (size_t b = 0; b < blocks && status == MPIVF_OK; b++) {
        struct mpivf_sample_block block;
        status = mpivf_sample_block(km->sample, b, &block);
        if (status)
            break;
        uint32_t *cell = km->sample->list + block.first;
        mpivf_coarse_reassign(top, block.rows, cell);
        for (size_t i = 0; i < block.rows->rows && block.level <= MPIVF_SAMPLE_PART; i++)
            count[cell[i]]++;
    }
    status = mpivf_agree_all(km->par, status);
    if (status == MPIVF_OK)
        mpivf_sum_all(km->par, count, top->lists);
    return status;
}

static int
by_rest(const void *a, const void *b)
{
    const struct remainder *x = a, *y = b;
    if (x->rest != y->rest)
        return x->rest < y->rest ? 1 : -1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

/*
 * Deal the lists to the cells: one to each that has rows, the others in proportion to the rows
 * beyond the first, by largest remainder. No cell gets more lists than it has rows.
 */
static void
deal_lists(const int64_t *count, size_t cells, uint64_t lists, struct remainder *remainder,
           uint64_t *first)
{
    uint64_t rows = 0, left = lists;
    for (size_t c = 0; c < cells; c++) {
        rows += count[c] > 0 ? (uint64_t)count[c] - 1 : 0;
        left -= count[c] > 0;
    }
    uint64_t spare = left;
    for (size_t c = 0; c < cells; c++) {
        uint64_t more = count[c] > 0 ? (uint64_t)count[c] - 1 : 0;
        __uint128_t share = (__uint128_t)more * left;
        first[c + 1] = (count[c] > 0) + (rows > 0 ? (uint64_t)(share / rows) : 0);
        spare -= first[c + 1] - (count[c] > 0);
        remainder[c] = (struct remainder){rows > 0 ? (uint64_t)(share % rows) : 0, c};
    }
    qsort(remainder, cells, sizeof *remainder, by_rest);
    for (size_t c = 0; c < spare; c++)
        first[remainder[c].cell + 1]++;
    first[0] = 0;
    for (size_t c = 0; c < cells; c++)
        first[c + 1] += first[c];
}

/*
 * Iterations in which a row of a cell is compared with the lists of that cell only: with the rows
 * of the first guess while they gain, the more the less they cost of an iteration over all rows;
 * then one over all.
 */
static mpivf_status
iterate_cells_all(struct kmeans *km, size_t cells, const uint64_t *first, uint32_t *cell_of,
                  uint32_t *all)
{
    struct mpivf_lloyd *lloyd = &km->lloyd;
    struct mpivf_candidates candidates = {cells, first, all};
    size_t rows = mpivf_sample_rows(km->sample, MPIVF_SAMPLE_ALL);
    for (size_t c = 0; c < cells; c++)
        for (uint64_t l = first[c]; l < first[c + 1]; l++) {
            cell_of[l] = (uint32_t)c;
            all[l] = (uint32_t)l;
        }
    /* From the cell to one of its lists, or any if it has none. */
    for (size_t i = 0; i < rows; i++) {
        uint32_t *list = &km->sample->list[mpivf_sample_place(km->sample, i)];
        uint64_t at = first[*list], lists = first[cells];
        *list = (uint32_t)(at < lists ? at : lists - 1);
    }
    mpivf_status status = mpivf_agree_all(km->par, mpivf_coarse_subsets_init(km->coarse));
    /* rows of the first guess, while that gains */
    double last = INFINITY;
    lloyd->level = MPIVF_SAMPLE_PART;
    for (int i = 0; i < FINE_ITERATIONS && status == MPIVF_OK; i++) {
        struct mpivf_lloyd_step step = {0};
        status = mpivf_lloyd_among_all(lloyd, &candidates, cell_of, 0, &step);
        if (i == 0)
            km->trained->first_objective = step.objective;
        km->objective = step.objective;
        if (status || step.objective >= (1 - FINE_GAIN * km->part) * last)
            break;
        last = step.objective;
    }
    /* once over all rows, so that each has a list */
    lloyd->level = MPIVF_SAMPLE_ALL;
    if (status == MPIVF_OK && km->part < 1) {
        struct mpivf_lloyd_step step = {0};
        status = mpivf_lloyd_among_all(lloyd, &candidates, cell_of, 0, &step);
        km->objective = step.objective;
    }
    mpivf_coarse_subsets_clear(km->coarse);
    return status;
}

/* The first guess: cells of the upper level, cut into lists. */
static mpivf_status
guess_all(struct kmeans *km, size_t cells)
{
    const struct mpivf_par *par = km->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_coarse top;
    struct cells c;
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the cells of the training");
    size_t lists = km->coarse->lists;
    lay_out_cells(&c, &pool, cells, lists);
    mpivf_status status = mpivf_coarse_init(ctx, &top, km->coarse->metric, cells, km->coarse->dim);
    status = mpivf_agree_all(par, pool.failed ? MPIVF_MEMORY : status);
    THEN(status, train_top_all(km, &top));
    THEN(status, find_cells_all(km, &top, c.count));
    mpivf_coarse_clear(&top);
    if (status == MPIVF_OK) {
        deal_lists(c.count, cells, lists, c.remainder, c.first);
        status = seed_all(km, km->coarse, MPIVF_SAMPLE_PART, cells, km->sample->list, c.first);
    }
    THEN(status, iterate_cells_all(km, cells, c.first, c.cell_of, c.all));
    mpivf_pool_clear(&pool);
    return status;
}

/* ---- refinement ---- */

/*
 * Note an iteration; the share of the objective that it has gained. INFINITY for the first, and
 * while fewer and fewer lists have to be repaired: some may be empty for good.
 */
static double
gain_of(struct kmeans *km, const struct mpivf_lloyd_step *step)
{
    double last = km->objective, gain = last > 0 ? (last - step->objective) / last : 0;
    bool mended = step->repaired > 0 && step->repaired < km->repaired;
    km->objective = km->trained->objective = step->objective;
    km->empty = step->empty;
    km->trained->repaired += step->repaired;
    return mended || last == INFINITY ? INFINITY : gain;
}

static mpivf_status
global_all(struct kmeans *km, double *gain)
{
    struct mpivf_lloyd_step step;
    mpivf_status status = mpivf_lloyd_all(&km->lloyd, 1, &step);
    if (status)
        return status;
    *gain = gain_of(km, &step);
    km->repaired = step.repaired;
    if (km->trained->iterations++ == 0 && !(km->trained->first_objective > 0))
        km->trained->first_objective = step.objective;
    return MPIVF_OK;
}

/* Local iterations while one gains at least `enough` of the objective. */
static mpivf_status
local_all(struct kmeans *km, struct mpivf_near *near, double work, double enough, double *gain)
{
    mpivf_status status = mpivf_near_find_all(near);
    for (*gain = INFINITY; status == MPIVF_OK && *gain >= enough;) {
        struct mpivf_lloyd_step step;
        status = mpivf_lloyd_among_all(&km->lloyd, &near->candidates, NULL, work, &step);
        if (status)
            break;
        *gain = gain_of(km, &step);
        km->trained->local++;
    }
    return status;
}

/* Cut lists that are too large, and say so when some stay. */
static mpivf_status
cap_all(struct kmeans *km, uint64_t max)
{
    struct mpivf_balanced balanced;
    km->lloyd.relaxation = 1;
    mpivf_status status = mpivf_balance_all(&km->lloyd, km->options->seed, max, &balanced);
    if (status)
        return status;
    km->trained->lists = km->coarse->lists;
    km->trained->split = balanced.added;
    if (balanced.largest > max && km->par->rank == 0)
        mpivf_note(km->par->ctx,
                   "the largest list has %llu of the sampled rows after %llu rounds of "
                   "cutting, %llu were wanted at most: its rows are equal, or nearly",
                   (unsigned long long)balanced.largest, (unsigned long long)balanced.rounds,
                   (unsigned long long)max);
    return MPIVF_OK;
}

/*
 * What a local iteration must gain to be followed by another: what a global one would for its cost.
 * Before the first of those, which brings rows out of wrong cells, that is much.
 */
static double
enough_of(const struct mpivf_train_options *options, uint64_t global, double work, double gain)
{
    return global == 0 ? RICH : work * fmax(fmin(gain, RICH), options->tolerance);
}

/*
 * Local iterations where they are cheaper, then a global one, which also gives empty lists rows,
 * and again, until that gains no more than the tolerance, or the local ones before the first do
 * not. `placed`: every row has a list.
 */
static mpivf_status
refine_all(struct kmeans *km, bool placed)
{
    const struct mpivf_train_options *options = km->options;
    size_t lists = km->coarse->lists;
    double work = (double)(MPIVF_NEAR + LOCAL_ROW) / (double)(lists + GLOBAL_ROW), gain = INFINITY;
    bool local = lists > FLAT_LISTS && work < 0.7;
    struct mpivf_near near = {0};
    km->lloyd.level = MPIVF_SAMPLE_ALL;
    mpivf_status status = local ? mpivf_near_init_all(&near, km->par, km->coarse) : MPIVF_OK;
    for (uint64_t i = 0; status == MPIVF_OK; i++) {
        if (local && placed)
            status = local_all(km, &near, work, enough_of(options, i, work, gain), &gain);
        bool done = i == 0 && gain <= options->tolerance && km->empty == 0;
        if (status || i == options->iterations || done)
            break; /* all ranks hold the same numbers */
        status = global_all(km, &gain);
        placed = true;
        if (gain <= options->tolerance)
            break;
    }
    mpivf_near_clear(&near);
    if (status == MPIVF_OK && km->lloyd.summed > 0)
        km->trained->objective = mpivf_lloyd_settle_all(&km->lloyd);
    return status;
}

mpivf_status
mpivf_kmeans_all(const struct mpivf_par *par, struct mpivf_sample *sample,
                 const struct mpivf_train_options *options, uint64_t max,
                 struct mpivf_progress *progress, struct mpivf_coarse *coarse,
                 struct mpivf_train_summary *trained)
{
    assert(mpivf_same_all(par, coarse->lists) && mpivf_same_all(par, max));
    struct kmeans km = {.par = par,
                        .options = options,
                        .sample = sample,
                        .coarse = coarse,
                        .trained = trained,
                        .objective = INFINITY,
                        .repaired = UINT64_MAX};
    km.lloyd = (struct mpivf_lloyd){.par = par,
                                    .sample = sample,
                                    .coarse = coarse,
                                    .progress = progress,
                                    .level = MPIVF_SAMPLE_ALL,
                                    .relaxation = RELAXATION,
                                    .spherical = options->metric != MPIVF_L2};
    uint64_t lists = coarse->lists, cells = top_lists(lists), first[2] = {0, lists};
    uint64_t total = mpivf_sum_u64_all(par, mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL));
    uint64_t part = mpivf_sum_u64_all(par, mpivf_sample_rows(sample, MPIVF_SAMPLE_PART));
    uint64_t top = mpivf_sum_u64_all(par, mpivf_sample_rows(sample, MPIVF_SAMPLE_TOP));
    *trained = (struct mpivf_train_summary){.lists = lists, .sample = total};
    if (total == 0)
        return mpivf_fail(par->ctx, MPIVF_INPUT,
                          "every row that was sampled has a value that is not "
                          "finite as float32: there is nothing to train on; look at the input, or "
                          "try a larger --sample");
    if (total < lists)
        return mpivf_fail(par->ctx, MPIVF_INPUT,
                          "%llu usable rows were sampled for %llu lists; "
                          "ask for fewer --lists or a larger --sample",
                          (unsigned long long)total, (unsigned long long)lists);
    km.part = (double)part / (double)total;
    mpivf_status status = mpivf_lloyd_init_all(&km.lloyd);
    /* two levels where they save work and the sample has rows for them */
    bool guess = lists > FLAT_LISTS && top >= cells && part >= lists;
    if (status == MPIVF_OK)
        status =
            guess ? guess_all(&km, cells) : seed_all(&km, coarse, MPIVF_SAMPLE_ALL, 1, NULL, first);
    THEN(status, refine_all(&km, guess));
    if (status == MPIVF_OK && max > 0)
        status = cap_all(&km, max);
    mpivf_lloyd_clear(&km.lloyd);
    return status;
}
