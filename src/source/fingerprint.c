#include "source/fingerprint.h"

#include "base/compare.h"
#include "base/rng.h"
#include "base/then.h"
#include "io/checksum.h"
#include "io/inputs.h"

#include <stdlib.h>

enum {
    PRINT_WHOLE = 4 << 20, /* bytes of rows that are all in the fingerprint */
    PRINT_RUNS = 64,       /* of more, so many runs */
    PRINT_BYTES = 64 << 10 /* of a run; one row at least */
};

/* Run number i of the fingerprint, of `rows` rows; all runs of a small source are all of it. */
static struct mpivf_range
print_run(const struct mpivf_source *source, const uint64_t *start, uint64_t i, uint64_t rows)
{
    uint64_t first = start ? start[i] : i * rows, left = source->rows - first;
    return (struct mpivf_range){first, rows < left ? rows : left};
}

/* Read the runs, `start` NULL for all rows; a rank that failed keeps reading along. */
static mpivf_status
print_runs_all(struct mpivf_source *source, const uint64_t *start, uint64_t runs, uint64_t rows,
               void *buffer)
{
    size_t row_bytes = source->dim * mpivf_type_size(source->type);
    bool spoilt = source->unwritten_ranges > 0; /* other rows are bad */
    uint64_t print[6] = {0, 0, source->rows, source->dim, source->type, spoilt};
    mpivf_status status = MPIVF_OK;
    for (uint64_t i = 0; i < runs; i++) {
        struct mpivf_range run = print_run(source, start, i, rows);
        mpivf_status now = mpivf_source_read_raw_each(source, &run, 1, buffer);
        status = status ? status : now;
        print[1] = now ? 0 : mpivf_checksum_of(buffer, run.rows * row_bytes);
        print[0] = mpivf_checksum_of(print, sizeof print);
    }
    source->fingerprint = print[0];
    source->bytes_read = 0; /* of the rows that are asked for */
    return status;
}

mpivf_status
mpivf_fingerprint_all(struct mpivf_source *source, const char *name)
{
    struct mpivf_context *ctx = source->par->ctx;
    uint64_t row_bytes = source->dim * mpivf_type_size(source->type), start[PRINT_RUNS];
    uint64_t rows = row_bytes < PRINT_BYTES ? PRINT_BYTES / row_bytes : 1;
    rows = rows < source->rows ? rows : source->rows;
    bool whole = source->rows <= PRINT_WHOLE / row_bytes;
    uint64_t runs = whole ? (source->rows + rows - 1) / rows : PRINT_RUNS;
    for (uint64_t i = 0; i < PRINT_RUNS; i++)
        start[i] = mpivf_random(0, MPIVF_FOR_PRINT, i) % (source->rows - rows + 1);
    qsort(start, PRINT_RUNS, sizeof *start, mpivf_compare_u64); /* each chunk once */
    void *buffer = mpivf_alloc(ctx, "the read buffer", rows, row_bytes);
    mpivf_status status = mpivf_agree_all(source->par, buffer ? MPIVF_OK : MPIVF_MEMORY);
    THEN(status, print_runs_all(source, whole ? NULL : start, runs, rows, buffer));
    mpivf_free(ctx, buffer);
    status = mpivf_agree_all(source->par, status);
    THEN(status, mpivf_inputs_content_all(source->par, name, source->fingerprint));
    return status;
}
