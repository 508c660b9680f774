/*
 * The rate of sgemm on these cores, and beside it the filters, exact search, assignment, and the
 * kernels beside memcpy. usage: bench_nearest [rows] [threads] [d...]; rows 0: sgemm only; seconds
 * are the best of three.
 */
#include "base/rng.h"
#include "bench/core.h"
#include "index/coarse.h"
#include "math/distance.h"
#include "math/peak.h"
#include "math/kernel.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUERIES = 2000, K = 100, LISTS = 4096, TIMES = 3 };

static double
best_of(void (*work)(void *), void *arg)
{
    double best = 1e300;
    for (int i = 0; i < TIMES; i++) {
        double start = omp_get_wtime();
        work(arg);
        double seconds = omp_get_wtime() - start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

struct bench {
    struct mpivf_context ctx;
    size_t dim, rows;
    float *row, *query, *out;
    uint32_t *list;
    struct mpivf_coarse coarse;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows base;
    struct mpivf_topk topk;
    struct mpivf_pool pool; /* of what is pending */
    struct mpivf_pending *pending;
    double sum;
};

static void
run_sgemm(void *arg)
{
    struct bench *b = arg;
    openblas_set_num_threads(b->ctx.threads);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, QUERIES, LISTS, (blasint)b->dim, 1,
                b->query, (blasint)b->dim, b->row, (blasint)b->dim, 0, b->out, LISTS);
    openblas_set_num_threads(1);
}

static void
run_scan(void *arg)
{
    struct bench *b = arg;
    enum { SLAB = 16384 };
    mpivf_topk_reset(&b->topk);
    for (size_t first = 0; first < b->rows; first += SLAB) {
        size_t n = b->rows - first < SLAB ? b->rows - first : SLAB;
        mpivf_packed_rows_fill(&b->base, b->row + first * b->dim, n, b->coarse.centre, NULL,
                               (int64_t)first);
        struct mpivf_scan_of all = {.n = QUERIES};
        mpivf_nearest_scan_threads(&b->queries, &all, &b->base, &b->topk, b->coarse.tile,
                                   b->pending, b->ctx.threads);
    }
}

static void
run_assign(void *arg)
{
    struct bench *b = arg;
    (void)mpivf_coarse_assign(&b->coarse, b->row, b->rows, b->list);
}

static void
run_square(void *arg)
{
    struct bench *b = arg;
    for (size_t i = 1; i < b->rows; i++)
        b->sum += mpivf_kernel()->square(b->row, b->row + i * b->dim, b->dim);
}

static void
run_copy(void *arg)
{
    struct bench *b = arg;
    memcpy(b->out, b->row, LISTS * b->dim * sizeof(float));
    b->sum += b->out[b->dim];
}

static void
run_filter(void *arg)
{
    struct bench *b = arg;
    uint32_t survivor[1024];
    for (size_t i = 0; i + 1024 <= (size_t)QUERIES * LISTS; i += 1024)
        b->sum += (double)mpivf_kernel()->filter(b->out + i, b->base.term, b->base.norm, 1024, 2, 0,
                                                 -1e30f, survivor);
}

/* Clustered rows: uniform noise around 1,000 centres. */
static void
fill(float *row, size_t n, size_t dim, uint64_t seed)
{
#pragma omp parallel for
    for (size_t i = 0; i < n; i++) {
        uint64_t cluster = mpivf_random(seed, MPIVF_FOR_ROW, i) % 1000;
        for (size_t j = 0; j < dim; j++)
            row[i * dim + j] =
                (float)(2 * mpivf_random_normal(7, MPIVF_FOR_CLUSTER, cluster * dim + j) +
                        mpivf_random_normal(seed, MPIVF_FOR_NOISE, i * dim + j));
    }
}

/* Each filter on data in its cache. */
static void
print_filters(struct bench *b, double sgemm)
{
    for (int f = 0; f < MPIVF_FILTERS; f++) {
        double rate;
        if (!mpivf_filter_runs(mpivf_filter(f), b->dim) ||
            mpivf_filter_peak(&b->ctx, mpivf_filter(f), b->dim, &rate))
            continue;
        rate *= 1e-9 * b->ctx.threads;
        printf("        %-7s of %-8s      %7.1f G/s, %.2f of sgemm (one thread x %d)\n",
               mpivf_filter(f)->name, mpivf_kernel()->name, rate, rate / sgemm, b->ctx.threads);
    }
}

static double
sgemm_rate(struct bench *b)
{
    return 2e-9 * QUERIES * LISTS * (double)b->dim / best_of(run_sgemm, b);
}

/* Only sgemm. */
static int
bench_sgemm(size_t dim, int threads)
{
    struct bench b = {.dim = dim};
    mpivf_context_init(&b.ctx);
    b.ctx.threads = threads;
    b.row = mpivf_alloc_zero(&b.ctx, "rows", LISTS * dim, sizeof(float));
    b.query = mpivf_alloc_zero(&b.ctx, "queries", QUERIES * dim, sizeof(float));
    b.out = mpivf_alloc_zero(&b.ctx, "products", (size_t)QUERIES * LISTS, sizeof(float));
    if (!b.row || !b.query || !b.out)
        return 1;
    double rate = sgemm_rate(&b);
    printf("d=%-5zu sgemm %7.1f GF/s (%s, %d threads)\n", dim, rate, mpivf_blas_core(), threads);
    mpivf_free(&b.ctx, b.row);
    mpivf_free(&b.ctx, b.query);
    mpivf_free(&b.ctx, b.out);
    return 0;
}

static int
bench_dim(size_t dim, size_t rows, int threads)
{
    struct bench b = {.dim = dim, .rows = rows};
    mpivf_context_init(&b.ctx);
    b.ctx.threads = threads;
    b.row = mpivf_alloc(&b.ctx, "rows", rows * dim, sizeof(float));
    b.query = mpivf_alloc(&b.ctx, "queries", QUERIES * dim, sizeof(float));
    b.out = mpivf_alloc(&b.ctx, "products", (size_t)QUERIES * LISTS, sizeof(float));
    b.list = mpivf_alloc(&b.ctx, "lists", rows, sizeof(uint32_t));
    b.pool = mpivf_pool_taking(&b.ctx, "pending rows");
    b.pending = mpivf_pending_take(&b.pool, threads);
    if (!b.row || !b.query || !b.out || !b.list || b.pool.failed ||
        mpivf_coarse_init(&b.ctx, &b.coarse, MPIVF_L2, LISTS, dim) ||
        mpivf_packed_queries_init(&b.ctx, &b.queries, MPIVF_L2, mpivf_filter_best(dim), dim,
                                  QUERIES) ||
        mpivf_packed_rows_init(&b.ctx, &b.base, MPIVF_L2, mpivf_filter_best(dim), dim, 16384) ||
        mpivf_topk_init(&b.ctx, &b.topk, QUERIES, K)) {
        fprintf(stderr, "bench_nearest: %s\n", b.ctx.error);
        return 1;
    }
    fill(b.row, rows, dim, 1);
    fill(b.query, QUERIES, dim, 2);
    memcpy(b.coarse.centroid, b.row, LISTS * dim * sizeof(float));
    mpivf_coarse_ready(&b.coarse);
    mpivf_packed_queries_fill(&b.queries, b.query, QUERIES, b.coarse.centre);

    double sgemm = sgemm_rate(&b);
    printf("d=%-5zu sgemm %7.1f GF/s (%s, %d threads)\n", dim, sgemm, mpivf_blas_core(), threads);
    print_filters(&b, sgemm);
    double scan = 2e-9 * QUERIES * (double)(rows * dim) / best_of(run_scan, &b);
    double assign = 2e-9 * LISTS * (double)(rows * dim) / best_of(run_assign, &b);
    double copy = 1e-9 * LISTS * (double)(dim * sizeof(float)) / best_of(run_copy, &b);
    double square = 1e-9 * (double)(rows * dim * sizeof(float)) / best_of(run_square, &b);
    double filter = 1e-9 * QUERIES * LISTS * sizeof(float) / best_of(run_filter, &b);
    printf("        exact top-%d of %zu rows %7.1f GF/s, %.2f of sgemm\n", K, rows, scan,
           scan / sgemm);
    printf("        assign to %d lists    %7.1f GF/s, %.2f of sgemm\n", LISTS, assign,
           assign / sgemm);
    printf("        canonical distance %6.1f GB/s, %.2f of memcpy (one thread, %s)\n", square,
           square / copy, mpivf_kernel()->name);
    printf("        filter %6.1f GB/s, %.2f of memcpy (one thread)\n", filter, filter / copy);
    return b.sum == 0.5; /* the sum is used, so nothing was left out */
}

int
main(int argc, char **argv)
{
    static const size_t usual[] = {128, 256, 784};
    size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    int threads = argc > 2 ? atoi(argv[2]) : omp_get_num_procs();
    if (rows > 0 && rows < LISTS) {
        fprintf(stderr, "bench_nearest: at least %d rows\n", LISTS);
        return 2;
    }
    bench_core(argv);
    mpivf_blas_init();
    for (int i = 0; i < (argc > 3 ? argc - 3 : 3); i++) {
        size_t dim = argc > 3 ? strtoul(argv[3 + i], NULL, 10) : usual[i];
        if (rows > 0 ? bench_dim(dim, rows * 128 / dim + LISTS, threads)
                     : bench_sgemm(dim, threads))
            return 1;
    }
    return 0;
}
