/* The reader gives every row of the slabs once, with its id, in whatever way it reads. */
#include "checks.h"

#include <mpivf/generate.h>

#include "io/hdf5.h"
#include "source/reader.h"

#include <unistd.h>

enum { DIM = 6, ID_STEP = 7 };

struct files {
    char rows[128], ids[128];
};

static void
make_all(struct checks *t, struct files *files, uint64_t rows)
{
    struct mpivf_generate_options options = {.rows = rows,
                                             .queries = 1,
                                             .dim = DIM,
                                             .clusters = 4,
                                             .intrinsic = 2,
                                             .seed = 9,
                                             .noise = 0.1,
                                             .type = MPIVF_F16};
    snprintf(files->rows, sizeof files->rows, "%s/rows", t->folder);
    snprintf(files->ids, sizeof files->ids, "%s/ids", t->folder);
    CHECK(t, generate_all(&t->par, files->rows, true, &options) == MPIVF_OK);
    if (t->par.rank == 0) {
        struct mpivf_h5_dataset id = {"id", MPIVF_I64, 1, {rows, 1}, 0};
        struct mpivf_file file;
        CHECK(t, mpivf_file_remove(&t->ctx, files->ids) == MPIVF_OK);
        CHECK(t, mpivf_file_create(&t->ctx, files->ids, &file) == MPIVF_OK);
        CHECK(t, mpivf_h5_create(&t->ctx, &file, NULL, 0, &id, 1) == MPIVF_OK);
        for (uint64_t i = 0; i < rows; i++) {
            int64_t value = (int64_t)i * ID_STEP;
            CHECK(t, mpivf_file_write(&t->ctx, &file, &value, 8, id.offset + 8 * i) == MPIVF_OK);
        }
        CHECK(t, mpivf_file_close(&t->ctx, &file) == MPIVF_OK);
    }
    mpivf_sum_u64_all(&t->par, 0); /* it is whole */
}

/* Compare a batch with what is in the file, and spoil it: it belongs to the caller. */
static void
check_batch(struct checks *t, const struct mpivf_batch *batch, const float *want, bool ids,
            int64_t *seen)
{
    uint64_t at = 0;
    for (size_t r = 0; r < batch->ranges; r++)
        for (uint64_t i = 0; i < batch->range[r].rows; i++, at++) {
            uint64_t number = batch->range[r].row + i;
            CHECK(t, batch->id[at] == (int64_t)number * (ids ? ID_STEP : 1));
            CHECK(t, memcmp(batch->row + at * DIM, want + number * DIM, DIM * sizeof *want) == 0);
            seen[number]++;
        }
    CHECK(t, at == batch->rows);
    memset(batch->row, 0xff, batch->rows * DIM * sizeof *batch->row);
}

/* As the loop in the header. How many rounds. */
static int
read_all(struct checks *t, struct mpivf_reader *reader, const float *want, int64_t *seen)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    int rounds = 0;
    mpivf_phase_begin(&progress, &t->par, &report, "read", "rows", 0);
    for (bool more = true; more; rounds++) {
        struct mpivf_batch *batch;
        mpivf_status status = mpivf_reader_next_each(reader, &batch);
        CHECK(t, status == MPIVF_OK && batch->rows <= reader->batch_rows);
        mpivf_reader_ahead(reader);
        check_batch(t, batch, want, reader->ids != NULL, seen);
        CHECK(t, mpivf_reader_wait(reader) == MPIVF_OK);
        status = mpivf_round_all(&progress, status, batch->rows, mpivf_reader_more(reader), &more);
        CHECK(t, status == MPIVF_OK);
    }
    mpivf_phase_end(&progress);
    return rounds;
}

static void
check_read(struct checks *t, uint64_t rows, size_t batch_rows, enum mpivf_read_mode mode, bool ids)
{
    struct files files;
    struct mpivf_source source, column = {0};
    struct mpivf_reading reading = {.mode = mode};
    struct mpivf_slab slab;
    struct mpivf_reader reader;
    float *want = NULL;
    make_all(t, &files, rows);
    CHECK(t, mpivf_source_open_all(&source, &t->par, files.rows, "train", reading) == MPIVF_OK);
    CHECK(t, source.collective == (mode == MPIVF_READ_COLLECTIVE));
    CHECK(t, mpivf_source_load_all(&source, rows, 0, rows, &want) == MPIVF_OK);
    if (ids)
        CHECK(t, mpivf_source_open_ids_all(&column, &t->par, files.ids, "id", reading, rows) ==
                     MPIVF_OK);
    CHECK(t, mpivf_slab_init(&slab, &source, 3, NULL, 0) == MPIVF_OK);
    size_t used = t->ctx.memory.used;
    CHECK(t, mpivf_reader_init(&reader, &source, ids ? &column : NULL, &slab, batch_rows, false) ==
                 MPIVF_OK);
    CHECK(t, reader.aside == (t->par.aside && mode != MPIVF_READ_COLLECTIVE));
    CHECK(t,
          t->ctx.memory.used - used <= mpivf_reader_bytes(&source, reader.ids, false, batch_rows));
    int64_t *seen = calloc(rows, sizeof *seen);
    uint64_t max = mpivf_max_u64_all(&t->par, slab.rows);
    int rounds = read_all(t, &reader, want, seen);
    CHECK(t, (uint64_t)rounds >= (max + batch_rows - 1) / batch_rows);
    mpivf_sum_all(&t->par, seen, rows);
    for (uint64_t i = 0; i < rows; i++)
        CHECK(t, seen[i] == 1);
    free(seen);
    mpivf_reader_clear(&reader);
    mpivf_slab_clear(&slab);
    mpivf_free(&t->ctx, want);
    mpivf_source_close_all(&column);
    mpivf_source_close_all(&source);
}

static void
every_row_once(struct checks *t)
{
    for (int mode = MPIVF_READ_AUTO; mode <= MPIVF_READ_COLLECTIVE; mode++) {
        check_read(t, 3001, 100, (enum mpivf_read_mode)mode, mode % 2);
        check_read(t, 500, 1000, (enum mpivf_read_mode)mode, !(mode % 2));
        check_read(t, 2, 1, (enum mpivf_read_mode)mode, true); /* ranks without rows */
    }
}

static void
without_threads(struct checks *t)
{
    bool aside = t->par.aside;
    t->par.aside = false; /* as where MPI knows one thread */
    check_read(t, 800, 90, MPIVF_READ_AUTO, true);
    check_read(t, 800, 90, MPIVF_READ_INDEPENDENT, false);
    t->par.aside = aside;
}

/* The file loses its end on the way: the failure comes back, and nothing is under way after it. */
static void
failure_comes_back(struct checks *t)
{
    struct files files;
    struct mpivf_source source;
    struct mpivf_slab slab;
    struct mpivf_reader reader;
    struct mpivf_batch *batch;
    make_all(t, &files, 1000);
    CHECK(t, mpivf_source_open_all(&source, &t->par, files.rows, "train",
                                   (struct mpivf_reading){0}) == MPIVF_OK);
    CHECK(t, mpivf_slab_init(&slab, &source, 3, NULL, 0) == MPIVF_OK);
    CHECK(t, mpivf_reader_init(&reader, &source, NULL, &slab, 10, false) == MPIVF_OK);
    mpivf_status status = mpivf_reader_next_each(&reader, &batch);
    CHECK(t, status == MPIVF_OK && batch->rows > 0);
    mpivf_sum_u64_all(&t->par, 0); /* all have read */
    if (t->par.rank == 0)
        CHECK(t, truncate(files.rows, 100) == 0);
    mpivf_sum_u64_all(&t->par, 0);
    mpivf_reader_ahead(&reader);
    status = mpivf_reader_wait(&reader);
    CHECK(t, status == MPIVF_CORRUPT && strstr(t->ctx.error, "truncated"));
    CHECK(t, mpivf_reader_wait(&reader) == status);
    CHECK(t, mpivf_reader_next_each(&reader, &batch) == status);
    mpivf_reader_ahead(&reader); /* left under way: clear waits */
    mpivf_reader_clear(&reader);
    mpivf_slab_clear(&slab);
    mpivf_source_close_all(&source);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"reader: every row once, in every mode, with ids or numbers", every_row_once},
        {"reader: the same without a thread aside", without_threads},
        {"reader: a failure comes back and nothing goes on", failure_comes_back},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
