#include "math/topk.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t
room_for(size_t k)
{
    return 2 * k > k + 64 ? 2 * k : k + 64;
}

void
mpivf_topk_lay_out(struct mpivf_topk *topk, struct mpivf_pool *pool, size_t queries, size_t k)
{
    *topk = (struct mpivf_topk){.queries = queries, .k = k, .room = room_for(k)};
    topk->entry = mpivf_pool_take(pool, queries * topk->room, sizeof *topk->entry);
    topk->count = mpivf_pool_take(pool, queries, sizeof *topk->count);
    topk->limit = mpivf_pool_take(pool, queries, sizeof *topk->limit);
    topk->tied = mpivf_pool_take(pool, queries, sizeof *topk->tied);
}

static size_t
bytes_for(size_t queries, size_t k)
{
    struct mpivf_topk topk;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_topk_lay_out(&topk, &pool, queries, k);
    return pool.bytes;
}

size_t
mpivf_topk_query_bytes(size_t k)
{
    return mpivf_pool_slope(bytes_for(MPIVF_POOL_MANY, k), bytes_for(0, k), MPIVF_POOL_MANY);
}

mpivf_status
mpivf_topk_init(struct mpivf_context *ctx, struct mpivf_topk *topk, size_t queries, size_t k)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the neighbours");
    assert(k > 0);
    mpivf_topk_lay_out(topk, &pool, queries, k);
    topk->pool = pool;
    if (!pool.failed)
        mpivf_topk_reset(topk);
    return mpivf_pool_status(&pool);
}

void
mpivf_topk_clear(struct mpivf_topk *topk)
{
    mpivf_pool_clear(&topk->pool);
    memset(topk, 0, sizeof *topk);
}

void
mpivf_topk_reset(struct mpivf_topk *topk)
{
    for (size_t q = 0; q < topk->queries; q++) {
        topk->count[q] = 0;
        topk->limit[q] = INFINITY;
        topk->tied[q] = 0;
    }
}

static bool
before(const struct mpivf_candidate *a, const struct mpivf_candidate *b)
{
    return a->distance < b->distance || (a->distance == b->distance && a->id < b->id);
}

static void
swap(struct mpivf_candidate *a, struct mpivf_candidate *b)
{
    struct mpivf_candidate t = *a;
    *a = *b;
    *b = t;
}

void
mpivf_topk_select(struct mpivf_candidate *entry, size_t n, size_t k)
{
    size_t low = 0, high = n; /* the k-th place lies in [low, high) */
    uint32_t random = 1;
    if (k == 0 || k >= n)
        return;
    while (high - low > 1) {
        random = random * 1664525u + 1013904223u;
        struct mpivf_candidate pivot = entry[low + (size_t)(random >> 8) % (high - low)];
        /* three parts, so that many equal entries cost no more than few */
        size_t less = low, at = low, more = high;
        while (at < more) {
            if (before(&entry[at], &pivot))
                swap(&entry[less++], &entry[at++]);
            else if (before(&pivot, &entry[at]))
                swap(&entry[at], &entry[--more]);
            else
                at++;
        }
        if (k - 1 < less)
            high = less;
        else if (k - 1 >= more)
            low = more;
        else
            return;
    }
}

static int
by_distance(const void *a, const void *b)
{
    const struct mpivf_candidate *x = a, *y = b;
    return before(x, y) ? -1 : before(y, x);
}

void
mpivf_topk_sort(struct mpivf_candidate *entry, size_t n)
{
    qsort(entry, n, sizeof *entry, by_distance);
}

/* The limit of query q falls to `limit`: ties at a larger one are none. */
static void
lower_limit(struct mpivf_topk *topk, size_t q, double limit)
{
    if (limit < topk->limit[q])
        topk->tied[q] = 0;
    topk->limit[q] = limit;
}

void
mpivf_topk_settle(struct mpivf_topk *topk, size_t q)
{
    struct mpivf_candidate *entry = topk->entry + q * topk->room;
    size_t n = topk->count[q], k = topk->k;
    if (n < k)
        return;
    mpivf_topk_select(entry, n, k);
    double limit = entry[0].distance;
    for (size_t i = 1; i < k; i++)
        if (entry[i].distance > limit)
            limit = entry[i].distance;
    lower_limit(topk, q, limit);
    for (size_t i = k; i < n; i++)
        topk->tied[q] += entry[i].distance == limit;
    topk->count[q] = (uint32_t)k;
}

void
mpivf_topk_tighten(struct mpivf_topk *topk, size_t q)
{
    size_t n = topk->count[q], k = topk->k;
    if (n >= k && (topk->limit[q] == INFINITY || n - k >= k / 4 + 1))
        mpivf_topk_settle(topk, q);
}

void
mpivf_topk_export(struct mpivf_topk *topk, struct mpivf_candidate *block)
{
    size_t k = topk->k;
    for (size_t q = 0; q < topk->queries; q++, block += k + 1) {
        struct mpivf_candidate *entry = topk->entry + q * topk->room;
        mpivf_topk_settle(topk, q);
        size_t n = topk->count[q];
        mpivf_topk_sort(entry, n);
        memcpy(block, entry, n * sizeof *block);
        for (; n < k; n++)
            block[n] = (struct mpivf_candidate){INFINITY, -1};
        block[k] = (struct mpivf_candidate){block[k - 1].distance, (int64_t)topk->tied[q]};
    }
}

void
mpivf_topk_import(struct mpivf_topk *topk, size_t q, const struct mpivf_candidate *row)
{
    assert(q < topk->queries);
    size_t k = topk->k;
    for (size_t i = 0; i < k && row[i].id >= 0; i++)
        mpivf_topk_add(topk, q, row[i].distance, row[i].id);
    mpivf_topk_settle(topk, q);
    if (row[k].distance == topk->limit[q] && topk->count[q] == k)
        topk->tied[q] += (uint64_t)row[k].id;
}

/* How many of the n entries from `entry` on, sorted, are at distance d. */
static int64_t
count_at(const struct mpivf_candidate *entry, size_t n, double d)
{
    int64_t count = 0;
    for (size_t i = 0; i < n && entry[i].distance == d; i++)
        count += entry[i].id >= 0;
    return count;
}

void
mpivf_topk_join(void *arg, void *data, const void *other)
{
    const struct mpivf_topk_block *shape = arg;
    struct mpivf_candidate *a = data;
    const struct mpivf_candidate *b = other;
    size_t k = shape->k;
    for (size_t q = 0; q < shape->queries; q++, a += k + 1, b += k + 1) {
        size_t i = 0, j = 0;
        for (size_t n = 0; n < k; n++) {
            /* a missing entry (id -1) is infinite: any other goes before it */
            bool first = b[j].id < 0 || (a[i].id >= 0 && before(&a[i], &b[j]));
            shape->scratch[n] = first ? a[i++] : b[j++];
        }
        double limit = shape->scratch[k - 1].distance;
        int64_t tied = count_at(a + i, k - i, limit) + count_at(b + j, k - j, limit);
        tied += a[k].distance == limit ? a[k].id : 0;
        tied += b[k].distance == limit ? b[k].id : 0;
        memcpy(a, shape->scratch, k * sizeof *a);
        a[k] = (struct mpivf_candidate){limit, tied};
    }
}
