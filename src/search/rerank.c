#include "search/rerank.h"

#include "base/then.h"
#include "math/distance.h"
#include "math/gather.h"

#include <assert.h>
#include <stdlib.h>

enum { BUFFER = 1 << 20, GAP = 16 << 10 };

struct pair {
    uint64_t place;
    uint32_t query;
};

static int
by_place(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->query > y->query) - (x->query < y->query);
}

/* The pairs of a block that lie in this rank's share of the rows, sorted by place. */
static size_t
choose_pairs(const struct mpivf_par *par, const struct mpivf_candidate *block, size_t queries,
             size_t k, uint64_t rows, struct pair *pair)
{
    uint64_t first = mpivf_share_first(rows, par->rank, par->size);
    uint64_t end = mpivf_share_first(rows, par->rank + 1, par->size);
    size_t n = 0;
    for (size_t q = 0; q < queries; q++, block += k + 1)
        for (size_t i = 0; i < k; i++) {
            uint64_t place = (uint64_t)block[i].id;
            if (block[i].id >= 0 && place >= first && place < end)
                pair[n++] = (struct pair){place, (uint32_t)q};
        }
    qsort(pair, n, sizeof *pair, by_place);
    return n;
}

struct reranking {
    struct mpivf_index *index;
    const float *query;
    struct mpivf_topk *topk;
    struct mpivf_plane ids, rows; /* as planes of the file */
    struct pair *pair;            /* owned, [pairs] */
    char *buffer;                 /* owned, BUFFER bytes or one row */
    int64_t *id;                  /* owned, as many rows */
    struct mpivf_pool pool;       /* of what is owned */
    size_t capacity;
    uint64_t bytes; /* read */
};

static void
lay_out(struct reranking *r, struct mpivf_pool *pool, const struct mpivf_index_meta *meta,
        size_t pairs)
{
    size_t row_bytes = meta->dim * sizeof(float);
    r->capacity = BUFFER / row_bytes > 0 ? BUFFER / row_bytes : 1;
    r->buffer = mpivf_pool_take(pool, r->capacity, row_bytes);
    r->id = mpivf_pool_take(pool, r->capacity, sizeof *r->id);
    r->pair = mpivf_pool_take(pool, pairs, sizeof *r->pair);
}

size_t
mpivf_rerank_bytes(const struct mpivf_index_meta *meta, uint64_t queries, uint64_t candidates)
{
    struct reranking r;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&r, &pool, meta, queries * candidates);
    return pool.bytes;
}

/* Compare pairs pair[0..n-1], whose rows [first, last] fit the buffer. */
static mpivf_status
compare(struct reranking *r, const struct pair *pair, size_t n)
{
    struct mpivf_context *ctx = r->index->ctx;
    struct mpivf_file file = mpivf_index_file(r->index);
    enum mpivf_metric metric = r->index->meta.metric;
    size_t dim = r->index->meta.dim, bytes = r->rows.row_bytes;
    uint64_t first = pair[0].place, rows = pair[n - 1].place - first + 1;
    mpivf_status status =
        mpivf_file_read(ctx, &file, r->buffer, rows * bytes, r->rows.offset + first * bytes);
    THEN(status, mpivf_file_read(ctx, &file, r->id, rows * sizeof *r->id,
                                 r->ids.offset + first * sizeof *r->id));
    r->bytes += rows * (bytes + sizeof *r->id);
    for (size_t i = 0; i < n && status == MPIVF_OK; i++) {
        size_t q = pair[i].query, at = pair[i].place - first;
        const float *query = r->query + q * dim;
        double d =
            mpivf_distance(metric, query, metric == MPIVF_COSINE ? mpivf_square(query, dim) : 0,
                           (const float *)(const void *)(r->buffer + at * bytes), dim);
        mpivf_topk_add(r->topk, q, d, r->id[at]);
    }
    return status;
}

/* Cut the pairs into reads: near ones together, no more than a buffer. */
static mpivf_status
compare_pairs(struct reranking *r, const struct pair *pair, size_t n)
{
    mpivf_status status = MPIVF_OK;
    size_t gap = GAP / r->rows.row_bytes + 1;
    for (size_t from = 0, to; from < n && status == MPIVF_OK; from = to) {
        for (to = from + 1; to < n && pair[to].place - pair[to - 1].place <= gap &&
                            pair[to].place - pair[from].place < r->capacity;)
            to++;
        status = compare(r, pair + from, to - from);
    }
    for (size_t q = 0; q < r->topk->queries && status == MPIVF_OK; q++)
        mpivf_topk_settle(r->topk, q);
    return status;
}

mpivf_status
mpivf_rerank_all(const struct mpivf_par *par, struct mpivf_index *index, const float *query,
                 struct mpivf_topk *found, struct mpivf_topk *topk, struct mpivf_progress *progress)
{
    struct mpivf_context *ctx = par->ctx;
    struct reranking r = {.index = index, .query = query, .topk = topk};
    struct mpivf_candidate *block = NULL;
    struct mpivf_planes planes;
    mpivf_status status = mpivf_gather_block_all(par, found, true, &block);
    if (status)
        return status;
    mpivf_planes_of(&index->meta, &index->layout, &planes);
    r.ids = planes.plane[0];
    r.rows = planes.plane[planes.vector]; /* they are stored: the search has checked that */
    assert(r.rows.row_bytes == index->meta.dim * sizeof(float));
    r.pool = mpivf_pool_taking(ctx, "the candidates");
    lay_out(&r, &r.pool, &index->meta, found->queries * found->k);
    status = mpivf_pool_status(&r.pool);
    size_t n = 0;
    if (status == MPIVF_OK) {
        n = choose_pairs(par, block, found->queries, found->k, index->meta.rows, r.pair);
        status = compare_pairs(&r, r.pair, n);
    }
    mpivf_free(ctx, block);
    mpivf_pool_clear(&r.pool);
    progress->phase->rows += n;
    progress->phase->bytes_read += r.bytes;
    return mpivf_agree_all(par, status);
}
