#include "source/rowsum.h"

#include "io/checksum.h"
#include "source/reader.h"

enum { FEW = 1024, BATCH_MOST = 16 << 20 }; /* rows not worth a second thread; bytes */

static uint64_t
sum_row(const void *row, size_t row_bytes, uint64_t number, uint64_t id)
{
    uint64_t words[3] = {mpivf_checksum_of(row, row_bytes), number, id};
    return mpivf_checksum_of(words, sizeof words);
}

uint64_t
mpivf_rowsum_row(const void *row, size_t row_bytes, uint64_t number)
{
    return sum_row(row, row_bytes, number, number);
}

/* Rows [first, end) of those in memory. */
static uint64_t
sum_share(const struct mpivf_rowsum_of *rows, uint64_t first, uint64_t end)
{
    const char *row = (const char *)rows->row + first * rows->row_bytes;
    uint64_t sum = 0, before = 0;
    size_t r = 0;
    while (r < rows->ranges && before + rows->range[r].rows <= first)
        before += rows->range[r++].rows;
    for (uint64_t i = first; i < end; i++, row += rows->row_bytes) {
        if (i - before == rows->range[r].rows)
            before += rows->range[r++].rows;
        uint64_t number = rows->range[r].row + (i - before);
        sum += sum_row(row, rows->row_bytes, number, rows->id ? (uint64_t)rows->id[i] : number);
    }
    return sum;
}

uint64_t
mpivf_rowsum(const struct mpivf_rowsum_of *rows, int threads)
{
    uint64_t n = mpivf_range_rows(rows->range, rows->ranges), sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : sum) if (n > FEW)
    for (int t = 0; t < threads; t++)
        sum += sum_share(rows, mpivf_share_first(n, t, threads), mpivf_share_first(n, t + 1, threads));
    return sum;
}

/* ---- again ---- */

/* One batch, while the next is read. */
static mpivf_status
sum_batch_all(struct mpivf_reader *reader, uint64_t *sum, uint64_t *rows)
{
    const struct mpivf_source *source = reader->source;
    struct mpivf_batch *batch;
    mpivf_status status = mpivf_reader_next_all(reader, &batch);
    *rows = batch->rows;
    if (status == MPIVF_OK) {
        mpivf_reader_ahead(reader);
        struct mpivf_rowsum_of these = {batch->row, source->dim * sizeof *batch->row, batch->id,
                                        batch->range, batch->ranges};
        *sum += mpivf_rowsum(&these, reader->ctx->threads);
    }
    mpivf_status ahead = mpivf_reader_wait(reader);
    return status ? status : ahead;
}

mpivf_status
mpivf_rowsum_again_all(struct mpivf_source *source, struct mpivf_source *ids,
                       const struct mpivf_range *range, size_t ranges,
                       struct mpivf_progress *progress, uint64_t *sum)
{
    const struct mpivf_par *par = source->par;
    struct mpivf_slab slab;
    struct mpivf_reader reader = {.ctx = NULL};
    uint64_t mine = 0, read_before = source->bytes_read;
    mpivf_status status = mpivf_slab_init(&slab, source, 0, range, ranges);
    size_t bytes = mpivf_memory_left(par->ctx) / 4, row = mpivf_reader_row_bytes(source, ids);
    bytes = bytes < BATCH_MOST ? bytes : BATCH_MOST;
    if (status == MPIVF_OK)
        status = mpivf_reader_init(&reader, source, ids, &slab, bytes / row > 0 ? bytes / row : 1);
    status = mpivf_agree_all(par, status);
    for (bool more = status == MPIVF_OK; more;) {
        uint64_t rows;
        status = sum_batch_all(&reader, &mine, &rows);
        more = mpivf_reader_more(&reader);
        progress->phase->rows += rows;
        status = mpivf_round_all(progress, status, rows, &more);
    }
    mpivf_reader_clear(&reader);
    mpivf_slab_clear(&slab);
    progress->phase->bytes_read += source->bytes_read - read_before;
    *sum = mpivf_total_all(par, mine);
    return status;
}
