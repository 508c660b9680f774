#include <mpivf/search.h>

#include "base/then.h"
#include "codec/loss.h"
#include "math/gather.h"
#include "search/query.h"
#include "search/rerank.h"
#include "search/scan.h"
#include "search/tune.h"

#include <string.h>

void
mpivf_search_options_init(struct mpivf_search_options *options)
{
    *options = (struct mpivf_search_options){.k = 10};
}

enum {
    MIN_QUERIES = 16,                               /* queries at a time */
    SLACK = 64 << 10,                               /* bytes of small things */
    RESULT_BYTES = sizeof(int64_t) + sizeof(double) /* of a neighbour */
};
static const size_t NO_LIMIT = (size_t)4 << 30; /* the buffers of a run without a budget */

struct searching {
    const struct mpivf_par *par;
    const struct mpivf_search_options *options;
    struct mpivf_index index;
    struct mpivf_coarse coarse;
    struct mpivf_query query;
    struct mpivf_result result; /* rank 0 */
    struct mpivf_scan scan;
    uint64_t probes, candidates; /* candidates: kept in the scan, k or more */
    bool rerank;
    struct mpivf_progress progress;
};

static mpivf_status
check_options(const struct searching *s)
{
    struct mpivf_context *ctx = s->par->ctx;
    const struct mpivf_index_meta *meta = &s->index.meta;
    if (meta->rows == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no rows to search", s->index.path);
    if (s->options->rerank > 0 && !meta->store && !meta->codec->exact)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "--rerank needs the raw rows, which '%s' does not hold; "
                          "build it with --store source",
                          s->index.path);
    if (s->options->rerank > 0 && s->options->rerank < s->options->k)
        return mpivf_fail(ctx, MPIVF_USAGE, "--rerank %llu is fewer than -k %llu",
                          (unsigned long long)s->options->rerank,
                          (unsigned long long)s->options->k);
    return MPIVF_OK;
}

/* Bytes of buffers for so many queries at a time. */
static size_t
bytes_for(const struct searching *s, uint64_t queries, uint64_t probes)
{
    const struct mpivf_index_meta *meta = &s->index.meta;
    int threads = s->par->ctx->threads;
    size_t each = mpivf_topk_query_bytes(s->candidates) + mpivf_topk_query_bytes(s->options->k) +
                  mpivf_gather_query_bytes(s->candidates);
    return queries * each + mpivf_probes_bytes(meta->lists, queries, probes) +
           mpivf_scan_bytes(meta, queries, threads) +
           (s->options->rerank > 0 ? mpivf_rerank_bytes(meta, queries, s->candidates) : 0) +
           mpivf_coarse_scratch(meta->metric, meta->dim, threads, probes) + SLACK;
}

/* Before centroids and queries are loaded: do they fit, and what the search needs beside? */
static mpivf_status
check_memory(const struct searching *s)
{
    const struct mpivf_index_meta *meta = &s->index.meta;
    struct mpivf_context *ctx = s->par->ctx;
    bool tunes = s->options->recall > 0;
    uint64_t probes = tunes ? meta->lists : s->probes;
    uint64_t asked = tunes ? mpivf_tune_queries(&s->query) : 0,
             n = asked > MIN_QUERIES ? asked : MIN_QUERIES;
    size_t result = s->par->rank == 0 ? s->query.rows * s->options->k * RESULT_BYTES : 0;
    size_t tune = tunes ? mpivf_tune_bytes(&s->query, meta->lists) : 0;
    size_t need = mpivf_coarse_bytes(meta->lists, meta->dim, ctx->threads) +
                  mpivf_query_bytes(&s->query) + result + tune + bytes_for(s, n, probes);
    return mpivf_memory_plan(ctx, "searching", need, 0, "ask for fewer --queries", NULL);
}

/* How many queries the budget lets us hold entries for. */
static mpivf_status
block_queries(const struct searching *s, uint64_t *queries)
{
    struct mpivf_context *ctx = s->par->ctx;
    size_t left, fixed = bytes_for(s, 0, s->probes), need = bytes_for(s, MIN_QUERIES, s->probes);
    size_t each =
        mpivf_pool_slope(bytes_for(s, MPIVF_POOL_MANY, s->probes), fixed, MPIVF_POOL_MANY);
    mpivf_status status = mpivf_memory_plan(ctx, "searching", need, NO_LIMIT, NULL, &left);
    if (status)
        return status;
    *queries = (left - fixed) / each;
    if (*queries > s->query.rows)
        *queries = s->query.rows;
    return MPIVF_OK;
}

/* Search queries [first, first + n). */
static mpivf_status
search_block_all(struct searching *s, uint64_t first, uint64_t n)
{
    const struct mpivf_par *par = s->par;
    struct mpivf_context *ctx = par->ctx;
    const float *row = s->query.row + first * s->query.dim;
    struct mpivf_probes chosen = {.lists = 0};
    struct mpivf_topk found = {0}, final = {0};
    bool rerank = s->scan.positions;
    mpivf_status status = mpivf_topk_init(ctx, &found, n, s->candidates);
    if (status == MPIVF_OK && rerank)
        status = mpivf_topk_init(ctx, &final, n, s->options->k);
    status = mpivf_agree_all(par, status);
    THEN(status, mpivf_probes_choose_all(par, &s->coarse, row, n, s->probes, &chosen));
    THEN(status, mpivf_scan_all(&s->scan, row, &chosen, &found, &s->progress));
    mpivf_probes_clear(&chosen);
    if (status == MPIVF_OK && rerank)
        status = mpivf_rerank_all(par, &s->index, row, &found, &final, &s->progress);
    THEN(status, mpivf_gather_result_all(par, rerank ? &final : &found, &s->result, first,
                                         s->index.meta.metric));
    mpivf_topk_clear(&found);
    mpivf_topk_clear(&final);
    return status;
}

/* How many probes and candidates there will be, and whether they fit. */
static mpivf_status
choose_shape_all(struct searching *s)
{
    const struct mpivf_index_meta *meta = &s->index.meta;
    s->rerank = s->options->rerank > 0 && !meta->codec->exact;
    s->candidates = s->rerank ? s->options->rerank : s->options->k;
    uint64_t probes = s->options->probes ? s->options->probes : MPIVF_SEARCH_PROBES;
    s->probes = probes < meta->lists ? probes : meta->lists;
    return mpivf_agree_all(s->par, check_memory(s));
}

static mpivf_status
open_all(struct searching *s, const char *index, const char *queries,
         const struct mpivf_output *out)
{
    const struct mpivf_par *par = s->par;
    struct mpivf_context *ctx = par->ctx;
    mpivf_memory_credit(ctx);
    mpivf_status status = mpivf_index_open_all(par, index, &s->index);
    THEN(status, check_options(s));
    THEN(status, mpivf_query_open_all(par, queries, s->index.meta.dim, index, s->options->reading,
                                      s->options->queries, &s->query));
    THEN(status, choose_shape_all(s));
    mpivf_memory_settle(ctx);
    THEN(status, mpivf_index_coarse_all(par, &s->index, &s->coarse));
    THEN(status, mpivf_query_load_all(&s->query));
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_output_space(ctx, out, mpivf_result_bytes(s->query.rows, s->options->k, 0),
                                    "the result");
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_result_init(ctx, &s->result, s->query.rows, s->options->k);
    return mpivf_agree_all(par, status);
}

/*
 * What float64 queries lost, against how far the rows that were trained on lie from their
 * centroids; as in training for l2 alone.
 */
static void
tell_loss(const struct searching *s, struct mpivf_search_summary *summary)
{
    const struct mpivf_index_meta *meta = &s->index.meta;
    summary->decoded = s->query.decoded && meta->metric == MPIVF_L2;
    if (!summary->decoded)
        return;
    summary->decode_error =
        mpivf_loss_share(s->query.lost, meta->objective * (double)s->query.rows);
    if (s->par->rank == 0 && mpivf_loss_matters(summary->decode_error))
        mpivf_warn(s->par->ctx,
                   "the queries are float64 and are searched for as float32: that "
                   "loses %.1f %% of what tells neighbours apart; subtract the mean of the "
                   "columns, or scale the data, of rows and queries (truth computes with float64)",
                   100 * summary->decode_error);
}

static mpivf_status
run_all(struct searching *s, struct mpivf_output *out, struct mpivf_report *report,
        struct mpivf_search_summary *summary)
{
    const struct mpivf_par *par = s->par;
    const struct mpivf_index_meta *meta = &s->index.meta;
    s->scan = (struct mpivf_scan){.par = par, .index = &s->index, .coarse = &s->coarse};
    mpivf_status status = MPIVF_OK;
    if (s->options->recall > 0) {
        mpivf_phase_begin(&s->progress, par, report, "tune", "rows", 0);
        status = mpivf_tune_probes_all(&s->scan, &s->query, s->options->k, s->options->recall,
                                       &s->progress, &s->probes, &summary->expected_recall);
        mpivf_phase_end(&s->progress);
    }
    s->scan.positions = s->rerank;
    s->scan.pairs = 0;
    mpivf_phase_begin(&s->progress, par, report, "search", "rows", 0);
    uint64_t block = 0;
    THEN(status, mpivf_agree_all(par, block_queries(s, &block)));
    /* the smallest block of all ranks */
    block = mpivf_min_u64_all(par, block);
    for (uint64_t first = 0; first < s->query.rows && status == MPIVF_OK; first += block) {
        uint64_t left = s->query.rows - first;
        status = search_block_all(s, first, left < block ? left : block);
    }
    mpivf_phase_end(&s->progress);
    summary->rows_scanned = mpivf_sum_u64_all(par, s->scan.pairs);
    THEN(status, mpivf_index_unchanged_all(par, &s->index));
    if (status == MPIVF_OK && par->rank == 0) {
        s->result.metric = meta->metric;
        s->result.rows = meta->rows;
        s->result.exact = meta->codec->exact || s->rerank;
        status = mpivf_result_write(&s->result, out, "search");
    }
    summary->queries = s->query.rows;
    summary->probes = s->probes;
    summary->lists = meta->lists;
    tell_loss(s, summary);
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_search_all(const struct mpivf_par *par, const char *index, const char *queries,
                 struct mpivf_output *out, const struct mpivf_search_options *options,
                 struct mpivf_report *report, struct mpivf_search_summary *summary)
{
    struct searching s = {.par = par, .options = options};
    memset(summary, 0, sizeof *summary);
    mpivf_status status = open_all(&s, index, queries, out);
    THEN(status, run_all(&s, out, report, summary));
    mpivf_result_clear(&s.result);
    mpivf_query_clear_all(&s.query);
    mpivf_coarse_clear(&s.coarse);
    mpivf_index_close(&s.index);
    return status;
}
