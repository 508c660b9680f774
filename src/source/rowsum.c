#include "source/rowsum.h"

#include "io/checksum.h"
#include "source/reader.h"

enum { FEW = 1024, MAX_BATCH = 16 << 20 }; /* rows not worth a second thread; bytes */

uint64_t
mpivf_rowsum_row(const void *row, size_t row_bytes, uint64_t id)
{
    uint64_t words[2] = {mpivf_checksum_of(row, row_bytes), id};
    return mpivf_checksum_of(words, sizeof words);
}

uint64_t
mpivf_rowsum(const void *row, size_t row_bytes, const int64_t *id, size_t n, int threads)
{
    uint64_t sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sum) if (n > FEW)
    for (size_t i = 0; i < n; i++)
        sum += mpivf_rowsum_row((const char *)row + i * row_bytes, row_bytes, (uint64_t)id[i]);
    return sum;
}

/* ---- again ---- */

/* One batch, while the next is read. */
static mpivf_status
sum_batch_each(struct mpivf_reader *reader, uint64_t *sum, uint64_t *rows)
{
    struct mpivf_batch *batch;
    mpivf_status status = mpivf_reader_next_each(reader, &batch);
    *rows = batch->rows;
    if (status == MPIVF_OK) {
        mpivf_reader_ahead(reader);
        size_t row_bytes = reader->source->dim * (reader->f64 ? sizeof(double) : sizeof(float));
        *sum += mpivf_rowsum(batch->row, row_bytes, batch->id, batch->rows, reader->ctx->threads);
    }
    mpivf_status ahead = mpivf_reader_wait(reader);
    return status ? status : ahead;
}

mpivf_status
mpivf_rowsum_again_all(struct mpivf_source *source, struct mpivf_source *ids, bool f64,
                       const struct mpivf_range *range, size_t ranges,
                       struct mpivf_progress *progress, uint64_t *sum)
{
    const struct mpivf_par *par = source->par;
    struct mpivf_slab slab;
    struct mpivf_reader reader = {.ctx = NULL};
    uint64_t mine = 0, read_before = source->bytes_read;
    mpivf_status status = mpivf_slab_init(&slab, source, 0, range, ranges);
    size_t bytes = mpivf_memory_left(par->ctx) / 4;
    size_t row = mpivf_pool_slope(mpivf_reader_bytes(source, ids, f64, MPIVF_POOL_MANY),
                                  mpivf_reader_bytes(source, ids, f64, 0), MPIVF_POOL_MANY);
    bytes = bytes < MAX_BATCH ? bytes : MAX_BATCH;
    if (status == MPIVF_OK)
        status =
            mpivf_reader_init(&reader, source, ids, &slab, bytes / row > 0 ? bytes / row : 1, f64);
    status = mpivf_agree_all(par, status);
    for (bool more = status == MPIVF_OK; more;) {
        uint64_t rows;
        status = sum_batch_each(&reader, &mine, &rows);
        progress->phase->rows += rows;
        status = mpivf_round_all(progress, status, rows, mpivf_reader_more(&reader), &more);
    }
    mpivf_reader_clear(&reader);
    mpivf_slab_clear(&slab);
    progress->phase->bytes_read += source->bytes_read - read_before;
    *sum = mpivf_sum_u64_all(par, mine);
    return status;
}
