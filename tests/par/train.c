/* Sample and k-means: the same on any number of ranks, and what they promise. */
#include "checks.h"

#include "build/kmeans.h"
#include "build/draw.h"
#include "index/format.h"
#include "math/distance.h"

#include <mpivf/generate.h>

#include <math.h>

enum { ROWS = 4000, DIM = 7 };

static struct mpivf_train_options
options_of(enum mpivf_metric metric)
{
    return (struct mpivf_train_options){.seed = 5,
                                        .iterations = 6,
                                        .tolerance = 0,
                                        .metric = metric,
                                        .bad_rows = MPIVF_BAD_ROWS_FAIL};
}

static void
make_file(struct checks *t, char path[128], uint64_t rows)
{
    struct mpivf_generate_options options = {.rows = rows,
                                             .queries = 1,
                                             .dim = DIM,
                                             .clusters = 9,
                                             .intrinsic = 3,
                                             .seed = 4,
                                             .noise = 0.2,
                                             .type = MPIVF_F32};
    snprintf(path, 128, "%s/rows", t->folder);
    CHECK(t, generate_all(&t->par, path, true, &options) == MPIVF_OK);
}

/*
 * Sample `wanted` rows of the file with the ranks of `par`, in levels of a tenth, a third and all.
 */
static mpivf_status
sample_all(const struct mpivf_par *par, const char *path, const struct mpivf_train_options *options,
           uint64_t wanted, size_t memory, struct mpivf_sample *sample)
{
    struct mpivf_source source;
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    struct mpivf_draw draw = {{wanted / 10, wanted / 3, wanted}, memory, path};
    uint64_t rowsum = 0, again = 1;
    memset(sample, 0, sizeof *sample);
    mpivf_status status =
        mpivf_source_open_all(&source, par, path, "train", (struct mpivf_reading){0});
    mpivf_phase_begin(&progress, par, &report, "sample", "rows", wanted);
    if (status == MPIVF_OK)
        status = mpivf_draw_all(par, &source, options, &draw, &progress, sample, &rowsum);
    if (status == MPIVF_OK)
        status = mpivf_draw_rowsum_all(&source, options, &draw, &progress, &again);
    if (status == MPIVF_OK && rowsum != again)
        status = mpivf_fail(par->ctx, MPIVF_INTERNAL, "the same rows have two checksums");
    mpivf_phase_end(&progress);
    mpivf_source_close_all(&source);
    return status;
}

/* The keys of all levels, one after the other, into `key`; how many. */
static size_t
keys_of(const struct mpivf_sample *sample, uint64_t *key)
{
    size_t rows = mpivf_sample_rows(sample, MPIVF_SAMPLE_ALL);
    for (size_t i = 0; i < rows; i++)
        key[i] = sample->key[mpivf_sample_place(sample, i)];
    return rows;
}

static int
by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The union over the ranks is exactly the rows with the smallest hashes. */
static void
check_union(struct checks *t, const char *path, uint64_t rows, uint64_t wanted)
{
    struct mpivf_train_options options = options_of(MPIVF_L2);
    struct mpivf_sample sample;
    static uint64_t hash[ROWS], found[4 * ROWS], mine[ROWS];
    mpivf_status status = sample_all(&t->par, path, &options, wanted, SIZE_MAX, &sample);
    CHECK(t, status == MPIVF_OK);
    for (uint64_t i = 0; i < rows; i++)
        hash[i] = mpivf_random(options.seed, MPIVF_FOR_SAMPLE, i);
    qsort(hash, rows, sizeof *hash, by_value);
    uint64_t max = wanted < rows ? wanted : rows;
    size_t rows_here = keys_of(&sample, mine);
    uint64_t total = mpivf_sum_u64_all(&t->par, rows_here);
    CHECK(t, total == (status ? 0 : max));
    if (status == MPIVF_OK && total == max) {
        mpivf_allgather_all(&t->par, mine, rows_here * sizeof *mine, found);
        qsort(found, total, sizeof *found, by_value);
        CHECK(t, memcmp(found, hash, total * sizeof *hash) == 0);
    }
    mpivf_clear_error(&t->ctx);
    mpivf_sample_clear(&sample);
}

static void
sample_is_the_smallest_hashes(struct checks *t)
{
    static const uint64_t wanted[] = {1, 2, 50, 700, ROWS - 1, ROWS, ROWS + 9};
    char path[128];
    make_file(t, path, ROWS);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        check_union(t, path, ROWS, wanted[i]);
}

static void
sample_of_hardly_any_rows(struct checks *t)
{
    char path[128];
    for (uint64_t rows = 1; rows < 4; rows++) {
        make_file(t, path, rows);
        for (uint64_t wanted = 1; wanted <= rows; wanted++)
            check_union(t, path, rows, wanted);
    }
}

/* Each key has the row it was drawn for. */
static void
sample_rows_fit_their_keys(struct checks *t)
{
    char path[128];
    struct mpivf_train_options options = options_of(MPIVF_L2);
    struct mpivf_sample sample;
    struct mpivf_source source;
    float *all = NULL;
    make_file(t, path, ROWS);
    CHECK(t, sample_all(&t->par, path, &options, 300, SIZE_MAX, &sample) == MPIVF_OK);
    CHECK(t, mpivf_source_open_all(&source, &t->par, path, "train", (struct mpivf_reading){0}) ==
                 MPIVF_OK);
    CHECK(t, mpivf_source_load_all(&source, source.rows, 0, source.rows, &all) == MPIVF_OK);
    for (size_t s = 0; s < mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL); s++) {
        size_t place = mpivf_sample_place(&sample, s);
        for (uint64_t i = 0; i < ROWS; i++)
            if (mpivf_random(options.seed, MPIVF_FOR_SAMPLE, i) == sample.key[place])
                CHECK(t, memcmp(all + i * DIM, sample.row + place * DIM, DIM * sizeof *all) == 0);
    }
    mpivf_source_close_all(&source);
    mpivf_free(&t->ctx, all);
    mpivf_sample_clear(&sample);
}

/* Rows are drawn evenly from the whole file, and for cosine they have unit length. */
static void
sample_is_unbiased(struct checks *t)
{
    char path[128];
    struct mpivf_train_options options = options_of(MPIVF_COSINE);
    uint64_t low = 0;
    make_file(t, path, ROWS);
    for (options.seed = 0; options.seed < 8; options.seed++) {
        struct mpivf_sample sample;
        CHECK(t, sample_all(&t->par, path, &options, 400, SIZE_MAX, &sample) == MPIVF_OK);
        for (size_t s = 0; s < mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL); s++) {
            size_t place = mpivf_sample_place(&sample, s);
            CHECK(t, fabs(mpivf_square(sample.row + place * DIM, DIM) - 1) < 1e-6);
            for (uint64_t i = 0; i < ROWS / 4; i++)
                low += mpivf_random(options.seed, MPIVF_FOR_SAMPLE, i) == sample.key[place];
        }
        mpivf_sample_clear(&sample);
    }
    low = mpivf_sum_u64_all(&t->par, low);
    CHECK(t, low > 680 && low < 920); /* 800 of 3200 expected, 5 standard deviations */
}

/*
 * Levels follow one another by hash, have about the rows that were asked for, and each is drawn
 * from all of the file. Whether they are in memory or not does not matter.
 */
static void
check_levels(struct checks *t, const char *path, uint64_t seed, size_t memory)
{
    struct mpivf_train_options options = options_of(MPIVF_L2);
    struct mpivf_sample sample;
    double last = -1;
    options.seed = seed;
    CHECK(t, sample_all(&t->par, path, &options, 3000, memory, &sample) == MPIVF_OK);
    CHECK(t, memory == SIZE_MAX || mpivf_sum_u64_all(&t->par, sample.bytes_written) > 0);
    for (int l = 0; l < MPIVF_SAMPLE_LEVELS; l++) {
        static const double wanted[] = {300, 700, 2000};
        double min = 0x1p65, max = -1;
        uint64_t low = 0;
        for (size_t i = 0; i < sample.rows[l]; i++) {
            uint64_t key = sample.key[sample.first[l] + i];
            max = fmax(max, (double)key);
            min = fmin(min, (double)key);
            for (uint64_t row = 0; row < ROWS / 4; row++) /* of the first quarter */
                low += mpivf_random(seed, MPIVF_FOR_SAMPLE, row) == key;
        }
        double rows = (double)mpivf_sum_u64_all(&t->par, sample.rows[l]), part = wanted[l] / 4;
        CHECK(t, fabs(rows - wanted[l]) < 6 * sqrt(wanted[l]));
        CHECK(t, fabs((double)mpivf_sum_u64_all(&t->par, low) - part) < 6 * sqrt(part));
        CHECK(t, -mpivf_max_all(&t->par, -min) > last);
        last = mpivf_max_all(&t->par, max);
    }
    mpivf_sample_clear(&sample);
}

static void
levels_are_samples(struct checks *t)
{
    char path[128];
    size_t little = 65500 + 36000 / (size_t)t->par.size;
    make_file(t, path, ROWS);
    for (uint64_t seed = 0; seed < 4; seed++)
        check_levels(t, path, seed, seed % 2 ? little : SIZE_MAX);
}

/* ---- k-means ---- */

struct model {
    struct mpivf_train_summary trained;
    float *centroid; /* of malloc */
    mpivf_status status;
};

/* Train into a file, which `number` keeps apart from others, and read its centroids. */
static struct model
train(const struct mpivf_par *par, const char *path, int number,
      const struct mpivf_train_options *options)
{
    struct model model = {.centroid = calloc(options->lists * DIM, sizeof(float))};
    struct mpivf_source source;
    struct mpivf_report report = {0};
    struct mpivf_coarse coarse = {0};
    struct mpivf_index index = {0};
    char file[160];
    snprintf(file, sizeof file, "%s.model%d", path, number);
    model.status = mpivf_source_open_all(&source, par, path, "train", (struct mpivf_reading){0});
    if (model.status == MPIVF_OK)
        model.status = mpivf_train_path_all(par, &source, file, options, &report, &model.trained);
    if (model.status == MPIVF_OK)
        model.status = mpivf_index_open_all(par, file, &index);
    if (model.status == MPIVF_OK)
        model.status = mpivf_index_coarse_all(par, &index, &coarse);
    if (model.status == MPIVF_OK)
        memcpy(model.centroid, coarse.centroid, options->lists * DIM * sizeof(float));
    mpivf_coarse_clear(&coarse);
    mpivf_index_close(&index);
    mpivf_source_close_all(&source);
    return model;
}

/* All ranks together and this rank alone come to the same bits. */
static void
check_model(struct checks *t, const char *path, const struct mpivf_train_options *options)
{
    struct mpivf_par self;
    struct mpivf_context ctx;
    struct model together = train(&t->par, path, t->par.size, options);
    mpivf_context_init(&ctx);
    mpivf_par_init_all(&self, MPI_COMM_SELF, &ctx);
    struct model alone = train(&self, path, -1 - t->par.rank, options);
    CHECK(t, together.status == MPIVF_OK && alone.status == MPIVF_OK);
    CHECK(t, memcmp(together.centroid, alone.centroid, options->lists * DIM * sizeof(float)) == 0);
    CHECK(t, memcmp(&together.trained, &alone.trained, sizeof alone.trained) == 0);
    CHECK(t, together.trained.objective <= together.trained.first_objective);
    CHECK(t, together.trained.lists == options->lists && together.trained.iterations >= 1);
    for (uint64_t l = 0; l < options->lists && options->metric != MPIVF_L2; l++)
        CHECK(t, fabs(mpivf_square(together.centroid + l * DIM, DIM) - 1) < 1e-6);
    CHECK(t, ctx.memory.used == 0);
    mpivf_par_clear_all(&self);
    mpivf_clear_error(&t->ctx);
    free(together.centroid);
    free(alone.centroid);
}

static void
same_centroids(struct checks *t)
{
    char path[128];
    make_file(t, path, ROWS);
    for (int metric = 0; metric < MPIVF_METRICS; metric++) {
        struct mpivf_train_options options = options_of((enum mpivf_metric)metric);
        options.lists = 20;
        options.sample = 1000;
        check_model(t, path, &options);
        options.lists = 1;
        check_model(t, path, &options);
    }
}

static void
more_ranks_than_rows(struct checks *t)
{
    char path[128];
    for (uint64_t rows = 1; rows < 4; rows++) {
        struct mpivf_train_options options = options_of(MPIVF_L2);
        make_file(t, path, rows);
        options.lists = rows;
        check_model(t, path, &options);
    }
}

static void
too_few_rows(struct checks *t)
{
    char path[128];
    struct mpivf_train_options options = options_of(MPIVF_L2);
    make_file(t, path, 3);
    options.lists = 4;
    struct model model = train(&t->par, path, 0, &options);
    CHECK(t, model.status == MPIVF_INPUT && strstr(t->ctx.error, "--lists") != NULL);
    free(model.centroid);
}

static void
one_rank_without_memory(struct checks *t)
{
    char path[128];
    struct mpivf_train_options options = options_of(MPIVF_L2);
    make_file(t, path, ROWS);
    options.lists = 20;
    if (t->par.rank == t->par.size - 1)
        t->ctx.memory.limit = 200000;
    struct model model = train(&t->par, path, 0, &options);
    CHECK(t, model.status == MPIVF_MEMORY && strstr(t->ctx.error, "--memory") != NULL);
    t->ctx.memory.limit = 0;
    free(model.centroid);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"sample: the rows with the smallest hashes", sample_is_the_smallest_hashes},
        {"sample: hardly any rows", sample_of_hardly_any_rows},
        {"sample: rows fit their keys", sample_rows_fit_their_keys},
        {"sample: unbiased, of unit length for cosine", sample_is_unbiased},
        {"sample: levels are samples, one after the other", levels_are_samples},
        {"kmeans: the same bits on any number of ranks", same_centroids},
        {"kmeans: more ranks than rows", more_ranks_than_rows},
        {"kmeans: too few rows fail on every rank", too_few_rows},
        {"kmeans: one rank without memory fails on every rank", one_rank_without_memory},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
