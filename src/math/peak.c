#include "math/peak.h"

#include "math/blas.h"
#include "math/prepare.h"

#include <string.h>
#include <time.h>

enum { PEAK_ROWS = 4 * MPIVF_PANEL, PEAK_DIM = 4096 };

double
mpivf_peak_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Best operations a second of several short runs: others may have the processor for a while. */
static double
measure(const struct mpivf_packed_queries *queries, const struct mpivf_packed_rows *packed,
        float *product)
{
    static const double LONG_ENOUGH = 0.01;
    enum { RUNS = 8 };
    struct mpivf_panels panels = mpivf_prepare_panels(packed, 0, packed->rows / MPIVF_PANEL);
    struct mpivf_group group = {.n = MPIVF_GROUP};
    mpivf_compare compare = mpivf_filter_compare(packed->filter);
    double best = 0, start = mpivf_peak_seconds(), now = start, last = start;
    for (size_t i = 0; i < MPIVF_GROUP; i++)
        mpivf_prepare_group(queries, i, -1, &group, i); /* nothing is that near */
    while (now - start < LONG_ENOUGH) {
        for (int i = 0; i < RUNS; i++) {
            if (compare)
                compare(&panels, &group);
            else
                mpivf_blas_products((float *)(void *)queries->word, MPIVF_GROUP,
                                    (float *)(void *)packed->word, packed->rows, packed->dim,
                                    product, packed->rows);
        }
        now = mpivf_peak_seconds();
        double rate =
            RUNS * 2.0 * MPIVF_GROUP * (double)(packed->rows * packed->dim) / (now - last);
        best = rate > best ? rate : best;
        last = now;
    }
    return best;
}

/* The rate of wider rows is that of so wide ones. */
static size_t
peak_dim(size_t dim)
{
    return dim < PEAK_DIM ? dim : PEAK_DIM;
}

/* Rows of zeros, and the products of sgemm. */
struct peak {
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows rows;
    float *row;     /* [PEAK_ROWS, dim] */
    float *product; /* [MPIVF_GROUP, PEAK_ROWS] */
};

static void
lay_out_peak(struct peak *peak, struct mpivf_pool *pool, const struct mpivf_filter *filter,
             size_t dim, int threads)
{
    peak->row = mpivf_pool_take(pool, PEAK_ROWS * dim, sizeof *peak->row);
    peak->product = mpivf_pool_take(pool, MPIVF_GROUP * PEAK_ROWS, sizeof *peak->product);
    mpivf_packed_queries_lay_out(&peak->queries, pool, MPIVF_L2, filter, dim, MPIVF_GROUP, NULL,
                                 threads);
    mpivf_packed_rows_lay_out(&peak->rows, pool, MPIVF_L2, filter, dim, PEAK_ROWS, NULL, threads);
}

size_t
mpivf_filter_peak_bytes(size_t dim, int threads)
{
    size_t max = 0;
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        struct peak peak;
        struct mpivf_pool pool = mpivf_pool_counting();
        lay_out_peak(&peak, &pool, mpivf_filter(f), peak_dim(dim), threads);
        max = pool.bytes > max ? pool.bytes : max;
    }
    return max;
}

mpivf_status
mpivf_filter_peak(struct mpivf_context *ctx, const struct mpivf_filter *filter, size_t dim,
                  double *rate)
{
    struct peak peak;
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a rate");
    size_t wide = peak_dim(dim);
    lay_out_peak(&peak, &pool, filter, wide, ctx->threads);
    if (!pool.failed) {
        memset(peak.row, 0, PEAK_ROWS * wide * sizeof *peak.row);
        mpivf_packed_rows_fill(&peak.rows, peak.row, PEAK_ROWS, peak.row, NULL, 0);
        mpivf_packed_queries_fill(&peak.queries, peak.row, MPIVF_GROUP, peak.row);
        *rate = measure(&peak.queries, &peak.rows, peak.product);
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}
