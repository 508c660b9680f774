/* Shuffling: the bytes do not depend on ranks or nodes, and a bucket of others is noticed. */
#include "checks.h"

#include <mpivf/generate.h>
#include <mpivf/shuffle.h>

#include "io/checksum.h"
#include "source/order.h"

enum { ROWS = 3001, DIM = 7 };

static void
make_input(struct checks *t, char path[128])
{
    struct mpivf_generate_options options = {.rows = ROWS,
                                             .queries = 1,
                                             .dim = DIM,
                                             .clusters = 4,
                                             .intrinsic = 2,
                                             .seed = 9,
                                             .noise = 0.1,
                                             .type = MPIVF_F32};
    snprintf(path, 128, "%s/input", t->folder);
    CHECK(t, generate_all(&t->par, path, true, &options) == MPIVF_OK);
}

static uint64_t
checksum_of_file(struct checks *t, const char *path)
{
    uint64_t bytes = 0;
    struct mpivf_file file = {.fd = -1};
    CHECK(t, mpivf_file_size(&t->ctx, path, &bytes) == MPIVF_OK);
    char *content = calloc(bytes + 1, 1);
    CHECK(t, mpivf_file_open(&t->ctx, path, &file) == MPIVF_OK);
    CHECK(t, mpivf_file_read(&t->ctx, &file, content, bytes, 0) == MPIVF_OK);
    mpivf_file_drop(&file);
    uint64_t sum = mpivf_checksum_of(content, bytes);
    free(content);
    return sum;
}

static mpivf_status
shuffle_all(const struct mpivf_par *par, const char *input, const char *path,
            struct mpivf_report *report)
{
    struct mpivf_shuffle_options options = {.seed = 5};
    struct mpivf_shuffle_summary made = {.rows = 0};
    struct mpivf_outputs outputs;
    mpivf_outputs_init(&outputs, par);
    mpivf_outputs_read(&outputs, input);
    struct mpivf_output *output = mpivf_outputs_write(&outputs, path);
    mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
    if (status == MPIVF_OK)
        status = mpivf_shuffle_all(par, input, output, &options, report, &made);
    mpivf_outputs_end(&outputs);
    if (status == MPIVF_OK && (made.rows != ROWS || made.dim != DIM || made.type != MPIVF_F32 ||
                               strcmp(made.name, "train") != 0 || made.buckets < 1))
        status = mpivf_fail(par->ctx, MPIVF_INTERNAL, "made what was not asked for");
    return status;
}

/* All ranks together, as if each were a node of its own, and one alone. */
static void
same_bytes(struct checks *t)
{
    char input[128], together[128], apart[128], alone[128];
    struct mpivf_report report = {0};
    make_input(t, input);
    snprintf(together, sizeof together, "%s/together", t->folder);
    snprintf(apart, sizeof apart, "%s/apart", t->folder);
    snprintf(alone, sizeof alone, "%s/alone-%d", t->folder, t->par.rank);
    CHECK(t, shuffle_all(&t->par, input, together, &report) == MPIVF_OK);
    CHECK(t, report.phases == 2 && strcmp(report.phase[0].name, "scatter") == 0);
    for (int p = 0; p < 2; p++) {
        uint64_t rows = mpivf_sum_u64_all(&t->par, report.phase[p].rows);
        uint64_t written = mpivf_sum_u64_all(&t->par, report.phase[p].bytes_written);
        CHECK(t, rows == ROWS && written == ROWS * (DIM * sizeof(float) + sizeof(int64_t)));
    }
    struct mpivf_par nodes = t->par;
    nodes.node_rank = 0;
    nodes.node_size = 1;
    CHECK(t, shuffle_all(&nodes, input, apart, &report) == MPIVF_OK);
    struct mpivf_par self;
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    mpivf_par_init_all(&self, MPI_COMM_SELF, &ctx);
    CHECK(t, shuffle_all(&self, input, alone, &report) == MPIVF_OK);
    CHECK(t, ctx.memory.used == 0);
    mpivf_par_clear_all(&self);
    uint64_t sum = checksum_of_file(t, alone);
    CHECK(t, checksum_of_file(t, together) == sum && checksum_of_file(t, apart) == sum);
    CHECK(t, mpivf_file_remove(&t->ctx, alone) == MPIVF_OK);
    mpivf_sum_u64_all(&t->par, 0); /* nobody reads the others any more */
}

/* A file of ids and one-byte rows in four buckets, in which every id is its place's. */
static void
write_buckets(struct checks *t, struct mpivf_shuffling *s, uint64_t wrong, int64_t id)
{
    enum { N = 1000, BUCKET = 300 };
    struct mpivf_buckets buckets = {.total = N,
                                    .row_bytes = 1,
                                    .rows = BUCKET,
                                    .count = 4,
                                    .batch_rows = 1,
                                    .row_slots = 1,
                                    .id_slots = 1,
                                    .piece_rows = 70};
    *s = (struct mpivf_shuffling){.par = &t->par,
                                  .buckets = buckets,
                                  .row_offset = N * sizeof(int64_t),
                                  .file = {.fd = -1, .path = s->file.path}};
    mpivf_random_order_init(&s->order, 1, MPIVF_FOR_SHUFFLE, N);
    static int64_t ids[N];
    unsigned char row[N];
    uint64_t fill[4] = {0};
    for (uint64_t i = 0; i < N; i++) { /* ascending in each bucket, as scattered */
        uint64_t bucket = mpivf_random_order_place(&s->order, i) / BUCKET;
        uint64_t at = bucket * BUCKET + fill[bucket]++;
        ids[at] = (int64_t)i;
        row[at] = (unsigned char)(i * 3);
    }
    if (wrong < N)
        ids[wrong] = id;
    struct mpivf_file file = {.fd = -1};
    mpivf_sum_u64_all(&t->par, 0);
    if (t->par.rank == 0) {
        CHECK(t, mpivf_file_remove(&t->ctx, s->file.path) == MPIVF_OK);
        CHECK(t, mpivf_file_create(&t->ctx, s->file.path, &file) == MPIVF_OK);
        CHECK(t, mpivf_file_write(&t->ctx, &file, ids, sizeof ids, 0) == MPIVF_OK);
        CHECK(t, mpivf_file_write(&t->ctx, &file, row, sizeof row, sizeof ids) == MPIVF_OK);
        CHECK(t, mpivf_file_close(&t->ctx, &file) == MPIVF_OK);
    }
    mpivf_sum_u64_all(&t->par, 0);
    CHECK(t, mpivf_file_update(&t->ctx, s->file.path, &s->file) == MPIVF_OK);
}

static mpivf_status
order_all(struct checks *t, const struct mpivf_shuffling *s)
{
    struct mpivf_progress progress;
    struct mpivf_report report = {0};
    mpivf_phase_begin(&progress, &t->par, &report, "order", "rows", s->buckets.total);
    mpivf_status status = mpivf_order_all(s, &progress);
    mpivf_phase_end(&progress);
    return status;
}

static void
buckets_are_ordered(struct checks *t)
{
    char path[128];
    struct mpivf_shuffling s = {.file = {.path = path}};
    snprintf(path, sizeof path, "%s/buckets", t->folder);
    write_buckets(t, &s, UINT64_MAX, 0);
    CHECK(t, order_all(t, &s) == MPIVF_OK);
    for (uint64_t i = 0; i < s.buckets.total; i++) {
        uint64_t place = mpivf_random_order_place(&s.order, i);
        int64_t id;
        unsigned char row;
        CHECK(t, mpivf_file_read(&t->ctx, &s.file, &id, sizeof id, place * sizeof id) == MPIVF_OK);
        CHECK(t, mpivf_file_read(&t->ctx, &s.file, &row, 1, s.row_offset + place) == MPIVF_OK);
        CHECK(t, id == (int64_t)i && row == (unsigned char)(i * 3));
    }
    mpivf_file_drop(&s.file);
}

/* An id beyond the rows, negative ones, one that is there already, one of another bucket. */
static void
strange_ids_are_noticed(struct checks *t)
{
    char path[128];
    struct mpivf_shuffling s = {.file = {.path = path}};
    struct mpivf_random_order order;
    mpivf_random_order_init(&order, 1, MPIVF_FOR_SHUFFLE, 1000);
    int64_t in_first = 0, in_last = 0;
    while (mpivf_random_order_place(&order, (uint64_t)in_first) >= 300)
        in_first++;
    while (mpivf_random_order_place(&order, (uint64_t)in_last) < 900)
        in_last++;
    int64_t strange[] = {1000, -1, INT64_MIN, in_first, in_last};
    snprintf(path, sizeof path, "%s/strange", t->folder);
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        write_buckets(t, &s, 299, strange[i]); /* the last of bucket 0 */
        CHECK(t, order_all(t, &s) == MPIVF_CORRUPT);
        CHECK(t, strstr(t->ctx.error, path) != NULL);
        mpivf_clear_error(&t->ctx);
        mpivf_file_drop(&s.file);
    }
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"shuffle: the same bytes on any number of ranks and nodes", same_bytes},
        {"order: every bucket comes into order", buckets_are_ordered},
        {"order: ids that are not a bucket's are noticed", strange_ids_are_noticed},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
