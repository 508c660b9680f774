#include <mpivf/search.h>

#include "search/gather.h"
#include "search/query.h"
#include "search/rerank.h"
#include "search/scan.h"
#include "search/tune.h"

#include <string.h>

struct searching {
    const struct mpivf_par *par;
    const struct mpivf_search_options *options;
    struct mpivf_index index;
    struct mpivf_coarse coarse;
    struct mpivf_query query;
    struct mpivf_result result; /* rank 0 */
    struct mpivf_scan scan;
    uint64_t probes, candidates; /* candidates: kept in the scan, k or more */
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
        return mpivf_fail(ctx, MPIVF_USAGE, "--rerank needs the raw rows, which '%s' does not hold; "
                          "build it with --store source", s->index.path);
    if (s->options->rerank > 0 && s->options->rerank < s->options->k)
        return mpivf_fail(ctx, MPIVF_USAGE, "--rerank %llu is fewer than -k %llu",
                          (unsigned long long)s->options->rerank,
                          (unsigned long long)s->options->k);
    return MPIVF_OK;
}

/* How many queries the budget lets us hold entries for. */
static mpivf_status
block_queries(const struct searching *s, uint64_t *queries)
{
    struct mpivf_context *ctx = s->par->ctx;
    size_t dim = s->index.meta.dim, fixed = mpivf_scan_fixed_bytes(&s->index.meta, ctx->threads) +
                                            mpivf_coarse_scratch(s->coarse.metric, dim, s->coarse.threads, s->probes) + (2 << 20);
    size_t each = 2 * mpivf_topk_query_bytes(s->candidates) + mpivf_gather_query_bytes(s->candidates) +
                  2 * mpivf_prepare_row_bytes(dim) + s->probes * 2 * sizeof(uint32_t) +
                  s->candidates * 16;
    size_t left = mpivf_memory_left(ctx);
    left = left > (size_t)4 << 30 ? (size_t)4 << 30 : left;
    if (left < fixed + 16 * each)
        return mpivf_fail(ctx, MPIVF_MEMORY, "searching needs %.1f MiB of buffers at least, %.1f MiB "
                          "are left; raise --memory", (double)(fixed + 16 * each) / 1048576,
                          (double)left / 1048576);
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
    struct mpivf_probes chosen = {.ctx = NULL};
    struct mpivf_topk found = {0}, final = {0};
    bool rerank = s->scan.positions;
    mpivf_status status = mpivf_topk_init(ctx, &found, n, s->candidates);
    if (status == MPIVF_OK && rerank)
        status = mpivf_topk_init(ctx, &final, n, s->options->k);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        status = mpivf_probes_choose_all(par, &s->coarse, row, n, s->probes, &chosen);
    if (status == MPIVF_OK)
        status = mpivf_scan_all(&s->scan, row, &chosen, &found, &s->progress);
    mpivf_probes_clear(&chosen);
    if (status == MPIVF_OK && rerank)
        status = mpivf_rerank_all(par, &s->index, row, &found, &final, &s->progress);
    if (status == MPIVF_OK)
        status = mpivf_gather_result_all(par, rerank ? &final : &found, &s->result, first,
                                         s->index.meta.metric);
    mpivf_topk_clear(ctx, &found);
    mpivf_topk_clear(ctx, &final);
    return status;
}

static mpivf_status
open_all(struct searching *s, const char *index, const char *queries, const char *out)
{
    const struct mpivf_par *par = s->par;
    struct mpivf_context *ctx = par->ctx;
    mpivf_status status = mpivf_agree_all(
        par, par->rank == 0 ? mpivf_file_writable(ctx, out, s->options->force) : MPIVF_OK);
    if (status == MPIVF_OK)
        status = mpivf_index_open_all(par, index, &s->index);
    if (status == MPIVF_OK)
        status = check_options(s);
    if (status == MPIVF_OK)
        status = mpivf_index_coarse_all(par, &s->index, &s->coarse);
    if (status == MPIVF_OK)
        status = mpivf_query_load_all(par, queries, s->index.meta.dim, index, s->options->read_mode,
                                      s->options->queries, &s->query);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_result_init(ctx, &s->result, s->query.rows, s->options->k);
    return mpivf_agree_all(par, status);
}

static mpivf_status
run_all(struct searching *s, const char *out, struct mpivf_report *report,
        struct mpivf_searched *searched)
{
    const struct mpivf_par *par = s->par;
    const struct mpivf_index_meta *meta = &s->index.meta;
    bool rerank = s->options->rerank > 0 && !meta->codec->exact;
    s->scan = (struct mpivf_scan){.par = par, .index = &s->index, .coarse = &s->coarse};
    s->candidates = rerank ? s->options->rerank : s->options->k;
    s->probes = s->options->probes < meta->lists ? s->options->probes : meta->lists;
    mpivf_status status = MPIVF_OK;
    if (s->options->recall > 0) {
        mpivf_phase_begin(&s->progress, par, report, "tune", "rows", 0);
        status = mpivf_tune_probes_all(&s->scan, &s->query, s->options->k, s->options->recall,
                                       &s->progress, &s->probes, &searched->expected_recall);
        mpivf_phase_end(&s->progress);
    }
    s->scan.positions = rerank;
    s->scan.pairs = 0;
    mpivf_phase_begin(&s->progress, par, report, "search", "rows", 0);
    uint64_t block = 0;
    if (status == MPIVF_OK)
        status = mpivf_agree_all(par, block_queries(s, &block));
    /* the smallest block of all ranks */
    block = ~mpivf_max_u64_all(par, ~block);
    for (uint64_t first = 0; first < s->query.rows && status == MPIVF_OK; first += block) {
        uint64_t left = s->query.rows - first;
        status = search_block_all(s, first, left < block ? left : block);
    }
    mpivf_phase_end(&s->progress);
    searched->rows_scanned = mpivf_total_all(par, s->scan.pairs);
    if (status == MPIVF_OK && par->rank == 0) {
        s->result.metric = meta->metric;
        s->result.rows = meta->rows;
        s->result.exact = meta->codec->exact || rerank;
        status = mpivf_result_write(&s->result, out, "search");
    }
    searched->queries = s->query.rows;
    searched->probes = s->probes;
    searched->lists = meta->lists;
    return mpivf_agree_all(par, status);
}

mpivf_status
mpivf_search_all(const struct mpivf_par *par, const char *index, const char *queries,
                 const char *out, const struct mpivf_search_options *options,
                 struct mpivf_report *report, struct mpivf_searched *searched)
{
    struct searching s = {.par = par, .options = options};
    memset(searched, 0, sizeof *searched);
    mpivf_status status = open_all(&s, index, queries, out);
    if (status == MPIVF_OK)
        status = run_all(&s, out, report, searched);
    mpivf_result_clear(&s.result);
    mpivf_query_clear(&s.query);
    mpivf_coarse_clear(&s.coarse);
    mpivf_index_close(&s.index);
    return status;
}
