/* k-means on two levels: the same on any ranks, threads and memory; as good as Lloyd's alone. */
#include "samples.h"

#include "build/kmeans.h"
#include "build/lloyd.h"
#include "build/seeds.h"

#include <math.h>

/* ---- rows ---- */

static void
clustered(uint64_t i, size_t dim, float *row)
{
    uint64_t cluster = draw(1, i) % 150;
    for (size_t j = 0; j < dim; j++)
        row[j] = (float)(4 * mpivf_random_normal(2, MPIVF_FOR_NOISE, cluster * dim + j) +
                         mpivf_random_normal(3, MPIVF_FOR_NOISE, i * dim + j));
}

static void
uniform(uint64_t i, size_t dim, float *row)
{
    for (size_t j = 0; j < dim; j++)
        row[j] = (float)((double)draw(4, i * dim + j) * 0x1p-64);
}

/* A third are one row. */
static void
third_equal(uint64_t i, size_t dim, float *row)
{
    clustered(draw(6, i) % 3 == 0 ? 0 : i, dim, row);
}

static void
third_zero(uint64_t i, size_t dim, float *row)
{
    clustered(i, dim, row);
    if (draw(6, i) % 3 == 0)
        memset(row, 0, dim * sizeof *row);
}

/* A third are one row, and one is far off. */
static void
far_one(uint64_t i, size_t dim, float *row)
{
    third_equal(i, dim, row);
    for (size_t j = 0; j < dim && i == 4711; j++)
        row[j] *= 1e8f;
}

/* All but one in twenty are one of two rows. */
static void
mostly_equal(uint64_t i, size_t dim, float *row)
{
    clustered(draw(5, i) % 20 == 0 ? i : i % 2, dim, row);
}

static void
all_equal(uint64_t i, size_t dim, float *row)
{
    clustered(i - i, dim, row);
}

/* Equal as far as the first guess sees: check_kind makes that of three quarters of the rows. */
static void
odd_rest(uint64_t i, size_t dim, float *row)
{
    bool seen = (double)key_of(i) / 0x1p64 < 0.75;
    clustered(seen ? 0 : i, dim, row);
    for (size_t j = 0; j < dim && !seen; j++)
        row[j] *= 3;
}

static void
constant_column(uint64_t i, size_t dim, float *row)
{
    clustered(i, dim, row);
    row[1] = -7.25f;
}

static void
far_off(uint64_t i, size_t dim, float *row)
{
    clustered(i, dim, row);
    for (size_t j = 0; j < dim; j++)
        row[j] += 1e5f;
}

static void
tiny(uint64_t i, size_t dim, float *row)
{
    clustered(i, dim, row);
    for (size_t j = 0; j < dim; j++)
        row[j] *= 1e-20f;
}

static void
huge(uint64_t i, size_t dim, float *row)
{
    uniform(i, dim, row);
    for (size_t j = 0; j < dim; j++)
        row[j] = (2 * row[j] - 1) * 3.4e38f;
}

/* ---- training ---- */

struct how {
    int threads;
    size_t block; /* rows of the sample in memory; 0 = all */
    bool tight;   /* no more memory than is asked for */
};

struct result {
    mpivf_status status;
    struct mpivf_train_summary trained;
    double objective; /* of the final centroids */
    uint64_t empty;   /* lists of theirs */
    float *centroid;  /* of malloc */
    bool streamed;
};

static struct mpivf_train_options
options_of(const struct rows *rows, uint64_t lists)
{
    return (struct mpivf_train_options){
        .lists = lists, .seed = 5, .iterations = 10, .tolerance = 0.001, .metric = rows->metric};
}

/* The mean distance to the centroids as they are. Collective. */
static mpivf_status
measure_all(const struct mpivf_par *par, struct mpivf_sample *sample, struct mpivf_coarse *coarse,
            struct result *result)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_lloyd_step step = {0};
    struct mpivf_lloyd lloyd = {.par = par,
                                .sample = sample,
                                .coarse = coarse,
                                .progress = &progress,
                                .level = MPIVF_SAMPLE_ALL,
                                .relaxation = 1,
                                .spherical = sample->metric != MPIVF_L2};
    mpivf_phase_begin(&progress, par, &report, "measure", "rows", 0);
    mpivf_status status = mpivf_lloyd_init_all(&lloyd);
    if (status == MPIVF_OK)
        status = mpivf_lloyd_all(&lloyd, 1, &step);
    mpivf_lloyd_clear(&lloyd);
    mpivf_phase_end(&progress);
    result->objective = step.objective;
    result->empty = step.empty;
    return status;
}

/* Collective. */
static struct result
train_all(const struct mpivf_par *par, const struct rows *rows, uint64_t lists,
          const struct how *how, const char *path)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_train_options options = options_of(rows, lists);
    struct result r = {.centroid = calloc(lists * rows->dim, sizeof(float))};
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_sample sample = {0};
    struct mpivf_coarse coarse = {0};
    uint64_t first, end;
    ctx->threads = how->threads;
    share_of(par, rows->rows, &first, &end);
    size_t memory = how->block ? memory_for(ctx, end - first, rows->dim, how->block) : SIZE_MAX;
    if (how->tight)
        ctx->memory.limit =
            ctx->memory.used + memory +
            mpivf_kmeans_bytes(rows->metric, lists, 0, rows->dim, how->threads, par->rank == 0);
    r.status = mpivf_agree_all(par, make_sample(par, rows, memory, path, &sample));
    r.streamed = sample.bytes_written > 0;
    mpivf_phase_begin(&progress, par, &report, "k-means", "rows", 0);
    if (r.status == MPIVF_OK)
        r.status =
            mpivf_agree_all(par, mpivf_coarse_init(ctx, &coarse, rows->metric, lists, rows->dim));
    if (r.status == MPIVF_OK)
        r.status = mpivf_kmeans_all(par, &sample, &options, 0, &progress, &coarse, &r.trained);
    mpivf_phase_end(&progress);
    ctx->memory.limit = 0;
    if (r.status == MPIVF_OK)
        memcpy(r.centroid, coarse.centroid, lists * rows->dim * sizeof(float));
    if (r.status == MPIVF_OK)
        r.status = measure_all(par, &sample, &coarse, &r);
    mpivf_coarse_clear(&coarse);
    mpivf_sample_clear(&sample);
    ctx->threads = 1;
    return r;
}

/* What rank 0 comes to when it is alone, on every rank. Collective. */
static struct result
train_alone_all(struct checks *t, const struct rows *rows, uint64_t lists)
{
    static const struct how plain = {.threads = 1};
    struct mpivf_par self;
    struct mpivf_context ctx;
    struct result r = {.centroid = NULL};
    mpivf_context_init(&ctx);
    mpivf_par_init_all(&self, MPI_COMM_SELF, &ctx);
    if (t->par.rank == 0)
        r = train_all(&self, rows, lists, &plain, t->folder);
    float *centroid = r.centroid ? r.centroid : calloc(lists * rows->dim, sizeof *centroid);
    mpivf_bcast_all(&t->par, &r, sizeof r);
    r.centroid = centroid;
    mpivf_bcast_all(&t->par, centroid, lists * rows->dim * sizeof *centroid);
    CHECK(t, ctx.memory.used == 0);
    mpivf_par_clear_all(&self);
    return r;
}

/* What always holds. */
static void
check_result(struct checks *t, const struct rows *rows, uint64_t lists, const struct result *r)
{
    CHECK(t, r->status == MPIVF_OK);
    CHECK(t, r->trained.lists == lists && r->trained.sample == rows->rows);
    CHECK(t, r->trained.iterations + r->trained.local >= 1 && r->trained.iterations <= 10);
    CHECK(t, r->objective <= r->trained.objective * 1.0001 || r->trained.repaired > 0);
    CHECK(t, mpivf_finite(r->centroid, lists * rows->dim));
    for (uint64_t l = 0; l < lists && rows->metric != MPIVF_L2; l++) {
        double square = mpivf_square(r->centroid + l * rows->dim, rows->dim);
        CHECK(t, fabs(square - 1) < 1e-6 || square == 0);
    }
}

static void
check_same(struct checks *t, const struct rows *rows, uint64_t lists, const struct how *how,
           const struct result *alone)
{
    char path[128];
    snprintf(path, sizeof path, "%s/model", t->folder);
    struct result r = train_all(&t->par, rows, lists, how, path);
    check_result(t, rows, lists, &r);
    CHECK(t, memcmp(r.centroid, alone->centroid, lists * rows->dim * sizeof(float)) == 0);
    CHECK(t, memcmp(&r.trained, &alone->trained, sizeof r.trained) == 0);
    CHECK(t, mpivf_sum_u64_all(&t->par, r.streamed) > 0 || how->block == 0 || rows->rows < 1000);
    free(r.centroid);
    mpivf_clear_error(&t->ctx);
}

static void
same_everywhere(struct checks *t)
{
    static const struct how ways[] = {
        {.threads = 1}, {.threads = 3, .block = 300}, {.threads = 1, .block = 256, .tight = true}};
    for (int metric = 0; metric < MPIVF_METRICS; metric++) {
        struct rows rows = {"clustered", (enum mpivf_metric)metric, 4000, 1500, 2500, 8, clustered};
        struct result alone = train_alone_all(t, &rows, 650);
        check_result(t, &rows, 650, &alone);
        CHECK(t, alone.trained.local > 0);
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
            check_same(t, &rows, 650, &ways[w], &alone);
        free(alone.centroid);
    }
}

/* What training says it needs beside the sample is enough, on one level and on two. */
static void
memory_is_as_told(struct checks *t)
{
    static const struct {
        uint64_t lists;
        size_t dim;
    } shape[] = {{20, 3}, {511, 40}, {513, 2}, {600, 70}, {1700, 4}};
    for (size_t s = 0; s < sizeof shape / sizeof shape[0]; s++)
        for (int threads = 1; threads < 4; threads += 2) {
            struct rows rows = {"clustered", MPIVF_L2, 2500, 1000, 2000, shape[s].dim, clustered};
            struct how how = {.threads = threads, .block = 300, .tight = true};
            struct result r = train_all(&t->par, &rows, shape[s].lists, &how, t->folder);
            CHECK(t, r.status == MPIVF_OK);
            mpivf_clear_error(&t->ctx);
            free(r.centroid);
        }
}

/* ---- quality ---- */

/*
 * The mean distance of this sample's rows to the nearest centroid, by the definition. Collective.
 */
static double
brute_all(struct checks *t, struct mpivf_sample *sample, const struct mpivf_coarse *coarse)
{
    double total = 0, sum = 0, rows = (double)mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL);
    float *row = malloc(coarse->dim * sizeof *row);
    for (size_t i = 0; i < (size_t)rows; i++) {
        double min = INFINITY;
        CHECK(t, mpivf_sample_row(sample, mpivf_sample_place(sample, i), row) == MPIVF_OK);
        for (size_t l = 0; l < coarse->lists; l++) {
            const float *centroid = coarse->centroid + l * coarse->dim;
            min = fmin(min, coarse->metric == MPIVF_L2
                                ? mpivf_distance(MPIVF_L2, row, 0, centroid, coarse->dim)
                                : 1 + mpivf_distance(MPIVF_IP, row, 0, centroid, coarse->dim));
        }
        total += min;
    }
    free(row);
    MPI_Allreduce(&total, &sum, 1, MPI_DOUBLE, MPI_SUM, t->par.comm);
    return sum / (double)mpivf_sum_u64_all(&t->par, (uint64_t)rows);
}

/*
 * Eleven iterations from random rows, the objective after ten. The objective, which comes from sums
 * alone, is that of the definition, and falls however far centroids go. Collective.
 */
static double
flat_all(struct checks *t, const struct rows *rows, uint64_t lists, double relaxation)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_lloyd_step step = {0};
    struct mpivf_sample sample;
    struct mpivf_coarse coarse;
    uint64_t first[2] = {0, lists};
    CHECK(t, make_sample(&t->par, rows, SIZE_MAX, t->folder, &sample) == MPIVF_OK);
    CHECK(t, mpivf_coarse_init(&t->ctx, &coarse, rows->metric, lists, rows->dim) == MPIVF_OK);
    struct mpivf_seeds seeds = {&sample, MPIVF_SAMPLE_ALL, 5, 1, NULL, first};
    struct mpivf_lloyd lloyd = {.par = &t->par,
                                .sample = &sample,
                                .coarse = &coarse,
                                .progress = &progress,
                                .level = MPIVF_SAMPLE_ALL,
                                .relaxation = relaxation,
                                .spherical = rows->metric != MPIVF_L2};
    mpivf_phase_begin(&progress, &t->par, &report, "flat", "rows", 0);
    CHECK(t, mpivf_lloyd_init_all(&lloyd) == MPIVF_OK);
    CHECK(t, mpivf_seeds_all(&t->par, &seeds, coarse.centroid) == MPIVF_OK);
    mpivf_bcast_all(&t->par, coarse.centroid, lists * rows->dim * sizeof(float));
    memcpy(coarse.centre, sample.centre, rows->dim * sizeof(float));
    mpivf_coarse_refill(&coarse);
    for (int i = 0; i < 11; i++) {
        double last = i > 0 ? step.objective : INFINITY;
        bool told = i % 5 == 3 && rows->rows <= 5000;
        double objective = told ? brute_all(t, &sample, &coarse) : 0;
        CHECK(t, mpivf_lloyd_all(&lloyd, 1, &step) == MPIVF_OK);
        CHECK(t, !told || fabs(step.objective / objective - 1) < 1e-6);
        CHECK(t, step.objective <= last * (1 + 1e-9) || step.repaired > 0);
        CHECK(t, step.rows == rows->rows);
    }
    mpivf_phase_end(&progress);
    mpivf_lloyd_clear(&lloyd);
    mpivf_coarse_clear(&coarse);
    mpivf_sample_clear(&sample);
    return step.objective;
}

static void
check_quality(struct checks *t, const struct rows *rows, uint64_t lists)
{
    static const struct how plain = {.threads = 1};
    struct result r = train_all(&t->par, rows, lists, &plain, t->folder);
    double flat = flat_all(t, rows, lists, 1);
    check_result(t, rows, lists, &r);
    if (t->par.rank == 0)
        printf("       %s, %s, %zu columns, %llu of %llu rows: %.4f of flat; %llu global and %llu "
               "local iterations\n",
               rows->name, mpivf_metric_name(rows->metric), rows->dim,
               (unsigned long long)rows->part, (unsigned long long)rows->rows, r.objective / flat,
               (unsigned long long)r.trained.iterations, (unsigned long long)r.trained.local);
    CHECK(t, r.objective <= 1.02 * flat);
    free(r.centroid);
}

static void
as_good_as_flat(struct checks *t)
{
    static const struct rows kinds[] = {
        {"clustered", MPIVF_L2, 40000, 6000, 38000, 12, clustered},
        {"clustered", MPIVF_COSINE, 40000, 6000, 30000, 8, clustered},
        {"uniform", MPIVF_L2, 100000, 6000, 25000, 2,
         uniform}, /* the guess fits other rows worse */
        {"uniform", MPIVF_L2, 40000, 6000, 38000, 20, uniform},
    };
    /* on other numbers of ranks it is the same */
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && t->par.size == 2; k++)
        check_quality(t, &kinds[k], 600);
}

/* Centroids that go farther end no worse, and their sums are those of the rows. */
static void
over_relaxed(struct checks *t)
{
    for (int metric = 0; metric < MPIVF_METRICS; metric++) {
        struct rows rows = {"clustered", (enum mpivf_metric)metric, 4000, 1500, 2500, 8, clustered};
        double plain = flat_all(t, &rows, 60, 1), far = flat_all(t, &rows, 60, 1.5);
        CHECK(t, far < 1.01 * plain && plain > 0);
    }
    struct rows away = {"far off", MPIVF_L2, 4000, 1500, 2500, 8, far_off};
    CHECK(t, flat_all(t, &away, 60, 1.5) > 0);
}

/* ---- rows that are hard on it ---- */

static void
check_kind(struct checks *t, const char *name, enum mpivf_metric metric, uint64_t n, uint64_t lists,
           void (*value)(uint64_t i, size_t dim, float *row))
{
    static const struct how streamed = {.threads = 3, .block = 256};
    struct rows rows = {name, metric, n, n / 2, n / 4 * 3, 6, value};
    struct result alone = train_alone_all(t, &rows, lists);
    check_result(t, &rows, lists, &alone);
    check_same(t, &rows, lists, &streamed, &alone);
    free(alone.centroid);
}

static void
equal_rows(struct checks *t)
{
    check_kind(t, "mostly equal", MPIVF_L2, 1000, 513, mostly_equal);
    check_kind(t, "mostly equal", MPIVF_COSINE, 600, 513, mostly_equal);
    check_kind(t, "all equal", MPIVF_L2, 540, 513, all_equal);
    check_kind(t, "all equal", MPIVF_IP, 540, 513, all_equal);
    check_kind(t, "all zero", MPIVF_L2, 540, 513, all_zero);
    check_kind(t, "all zero", MPIVF_COSINE, 540, 513, all_zero);
}

/* They take one list, and no list is left empty for them, nor given to one row that is far off. */
static void
equal_rows_waste_no_lists(struct checks *t)
{
    static const struct how plain = {.threads = 2};
    static const struct {
        const char *name;
        void (*value)(uint64_t i, size_t dim, float *row);
    } kind[] = {{"third equal", third_equal}, {"third zero", third_zero}, {"far one", far_one}};
    for (size_t k = 0; k < sizeof kind / sizeof kind[0]; k++)
        for (int metric = 0; metric < MPIVF_METRICS; metric++) {
            struct rows rows = {kind[k].name, (enum mpivf_metric)metric, 6000, 3000, 4500, 8,
                                kind[k].value};
            struct result r = train_all(&t->par, &rows, 600, &plain, t->folder);
            check_result(t, &rows, 600, &r);
            CHECK(t, r.empty <= 3); /* of the last iteration, which nobody repairs */
            free(r.centroid);
        }
}

/* Cells that no row of the first guess is in have no lists, and yet rows. */
static void
an_odd_rest(struct checks *t)
{
    check_kind(t, "odd rest", MPIVF_L2, 720, 513, odd_rest);
}

/* Every row gets a list of its own. */
static void
as_many_lists_as_rows(struct checks *t)
{
    static const struct how plain = {.threads = 1};
    struct rows rows = {"clustered", MPIVF_L2, 620, 620, 620, 6, clustered};
    struct result r = train_all(&t->par, &rows, 620, &plain, t->folder);
    check_result(t, &rows, 620, &r);
    CHECK(t, r.objective == 0);
    free(r.centroid);
    check_kind(t, "clustered", MPIVF_COSINE, 700, 690, clustered);
}

static void
just_above_one_level(struct checks *t)
{
    for (uint64_t lists = 511; lists < 515; lists++)
        check_kind(t, "clustered", MPIVF_L2, 3000, lists, clustered);
}

static void
odd_values(struct checks *t)
{
    check_kind(t, "constant column", MPIVF_L2, 700, 513, constant_column);
    check_kind(t, "far off", MPIVF_L2, 700, 513, far_off);
    check_kind(t, "far off", MPIVF_COSINE, 700, 513, far_off);
    check_kind(t, "tiny", MPIVF_L2, 700, 513, tiny);
    check_kind(t, "tiny", MPIVF_IP, 700, 513, tiny);
    check_kind(t, "huge", MPIVF_L2, 700, 513, huge);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"kmeans: two levels, the same on any ranks, threads and memory", same_everywhere},
        {"kmeans: memory is as told", memory_is_as_told},
        {"kmeans: as good as one level", as_good_as_flat},
        {"kmeans: centroids that go farther than to the mean", over_relaxed},
        {"kmeans: equal rows", equal_rows},
        {"kmeans: equal rows waste no lists", equal_rows_waste_no_lists},
        {"kmeans: rows unlike those of the first guess", an_odd_rest},
        {"kmeans: as many lists as rows", as_many_lists_as_rows},
        {"kmeans: just above one level", just_above_one_level},
        {"kmeans: values that are odd", odd_values},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
