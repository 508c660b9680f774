#include "search/tune.h"

#include "base/then.h"
#include "math/gather.h"

#include <string.h>

enum { SAMPLE = 100 };

uint64_t
mpivf_tune_queries(const struct mpivf_query *query)
{
    return query->rows < SAMPLE ? query->rows : SAMPLE;
}

/* The sampled queries, and in which of a query's probes its neighbours are. */
struct curve {
    float *row;      /* [n, dim] */
    uint64_t *place; /* [lists]: of a query, which probe a list is */
    uint64_t *count; /* [lists]: neighbours by the probe that they are in */
};

static void
lay_out(struct curve *c, struct mpivf_pool *pool, uint64_t n, size_t dim, uint64_t lists)
{
    c->row = mpivf_pool_take(pool, n * dim, sizeof *c->row);
    c->place = mpivf_pool_take(pool, lists, sizeof *c->place);
    c->count = mpivf_pool_take(pool, lists, sizeof *c->count);
}

size_t
mpivf_tune_bytes(const struct mpivf_query *query, uint64_t lists)
{
    struct curve c;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&c, &pool, mpivf_tune_queries(query), query->dim, lists);
    return pool.bytes;
}

/* The list that holds a place of the file. */
static uint64_t
list_at(const struct mpivf_index *index, uint64_t place)
{
    uint64_t low = 0, high = index->meta.lists;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (index->list_offset[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* count[p]: neighbours whose list is the p-th probe of their query. The neighbours in all. */
static uint64_t
count_by_probe(const struct mpivf_index *index, const struct mpivf_probes *chosen,
               const struct mpivf_candidate *block, uint64_t k, uint64_t *place, uint64_t *count)
{
    uint64_t total = 0;
    memset(count, 0, chosen->lists * sizeof *count);
    for (uint64_t q = 0; q < chosen->queries; q++) {
        for (uint64_t p = 0; p < chosen->lists; p++)
            place[chosen->list[q * chosen->lists + p]] = p;
        for (uint64_t i = 0; i < k && block[q * (k + 1) + i].id >= 0; i++, total++)
            count[place[list_at(index, (uint64_t)block[q * (k + 1) + i].id)]]++;
    }
    return total;
}

/* The smallest number of probes that finds the share `recall` of the neighbours. */
static void
read_curve(const uint64_t *count, uint64_t lists, uint64_t total, double recall, uint64_t *probes,
           double *reached)
{
    uint64_t found = 0, p = 0;
    while (p < lists && (p == 0 || (double)found < recall * (double)total))
        found += count[p++];
    *probes = p;
    *reached = total > 0 ? (double)found / (double)total : 1;
}

mpivf_status
mpivf_tune_probes_all(struct mpivf_scan *scan, const struct mpivf_query *query, uint64_t k,
                      double recall, struct mpivf_progress *progress, uint64_t *probes,
                      double *reached)
{
    const struct mpivf_par *par = scan->par;
    struct mpivf_context *ctx = par->ctx;
    uint64_t lists = scan->index->meta.lists, n = mpivf_tune_queries(query);
    struct mpivf_probes chosen = {.lists = 0};
    struct mpivf_topk topk = {0};
    struct mpivf_candidate *block = NULL;
    struct curve c;
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the recall curve");
    lay_out(&c, &pool, n, query->dim, lists);
    mpivf_status status = mpivf_pool_status(&pool);
    THEN(status, mpivf_topk_init(ctx, &topk, n, k));
    /* an even sample of the queries */
    for (uint64_t i = 0; i < n && status == MPIVF_OK; i++)
        memcpy(c.row + i * query->dim, query->row + i * query->rows / n * query->dim,
               query->dim * sizeof *c.row);
    status = mpivf_agree_all(par, status);
    /* probe all lists: exact, and each list's place among the probes */
    THEN(status, mpivf_probes_choose_all(par, scan->coarse, c.row, n, lists, &chosen));
    if (status == MPIVF_OK) {
        scan->positions = true;
        status = mpivf_scan_all(scan, c.row, &chosen, &topk, progress);
        scan->positions = false;
    }
    THEN(status, mpivf_gather_block_all(par, &topk, true, &block));
    if (status == MPIVF_OK) {
        uint64_t total = count_by_probe(scan->index, &chosen, block, k, c.place, c.count);
        read_curve(c.count, lists, total, recall, probes, reached);
    }
    mpivf_free(ctx, block);
    mpivf_pool_clear(&pool);
    mpivf_topk_clear(&topk);
    mpivf_probes_clear(&chosen);
    return status;
}
