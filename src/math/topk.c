#include "math/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t
room_for(size_t k)
{
    return 2 * k > k + 64 ? 2 * k : k + 64;
}

size_t
mpivf_topk_query_bytes(size_t k)
{
    return room_for(k) * sizeof(struct mpivf_candidate) + sizeof(uint32_t) + sizeof(double);
}

mpivf_status
mpivf_topk_init(struct mpivf_context *ctx, struct mpivf_topk *topk, size_t queries, size_t k)
{
    *topk = (struct mpivf_topk){.queries = queries, .k = k};
    topk->room = room_for(k);
    topk->entry = mpivf_alloc(ctx, "the neighbours", queries * topk->room, sizeof *topk->entry);
    if (topk->entry)
        topk->count = mpivf_alloc(ctx, "the neighbours", queries, sizeof *topk->count);
    if (topk->count)
        topk->limit = mpivf_alloc(ctx, "the neighbours", queries, sizeof *topk->limit);
    if (topk->limit == NULL)
        return MPIVF_MEMORY;
    mpivf_topk_reset(topk);
    return MPIVF_OK;
}

void
mpivf_topk_clear(struct mpivf_context *ctx, struct mpivf_topk *topk)
{
    mpivf_free(ctx, topk->entry);
    mpivf_free(ctx, topk->count);
    mpivf_free(ctx, topk->limit);
    memset(topk, 0, sizeof *topk);
}

void
mpivf_topk_reset(struct mpivf_topk *topk)
{
    for (size_t q = 0; q < topk->queries; q++) {
        topk->count[q] = 0;
        topk->limit[q] = INFINITY;
    }
}

static bool
before(const struct mpivf_candidate *a, const struct mpivf_candidate *b, bool by_hi)
{
    if (by_hi)
        return a->hi < b->hi;
    return a->lo < b->lo || (a->lo == b->lo && a->id < b->id);
}

static void
swap(struct mpivf_candidate *a, struct mpivf_candidate *b)
{
    struct mpivf_candidate t = *a;
    *a = *b;
    *b = t;
}

void
mpivf_topk_select(struct mpivf_candidate *entry, size_t n, size_t k, bool by_hi)
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
            if (before(&entry[at], &pivot, by_hi))
                swap(&entry[less++], &entry[at++]);
            else if (before(&pivot, &entry[at], by_hi))
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
    return before(x, y, false) ? -1 : before(y, x, false);
}

void
mpivf_topk_sort(struct mpivf_candidate *entry, size_t n)
{
    qsort(entry, n, sizeof *entry, by_distance);
}

void
mpivf_topk_settle(struct mpivf_topk *topk, size_t q)
{
    struct mpivf_candidate *entry = topk->entry + q * topk->room;
    if (topk->count[q] < topk->k)
        return;
    mpivf_topk_select(entry, topk->count[q], topk->k, false);
    topk->count[q] = (uint32_t)topk->k;
    double limit = entry[0].lo;
    for (size_t i = 1; i < topk->k; i++)
        if (entry[i].lo > limit)
            limit = entry[i].lo;
    topk->limit[q] = limit;
}

void
mpivf_topk_export(struct mpivf_topk *topk, struct mpivf_candidate *block)
{
    for (size_t q = 0; q < topk->queries; q++, block += topk->k) {
        struct mpivf_candidate *entry = topk->entry + q * topk->room;
        size_t n = topk->count[q];
        mpivf_topk_sort(entry, n);
        n = n < topk->k ? n : topk->k;
        memcpy(block, entry, n * sizeof *block);
        for (; n < topk->k; n++)
            block[n] = (struct mpivf_candidate){INFINITY, INFINITY, -1};
    }
}

void
mpivf_topk_join(void *arg, void *data, const void *other)
{
    const struct mpivf_topk_block *shape = arg;
    struct mpivf_candidate *a = data;
    const struct mpivf_candidate *b = other;
    size_t k = shape->k;
    for (size_t q = 0; q < shape->queries; q++, a += k, b += k) {
        for (size_t i = 0, j = 0, n = 0; n < k; n++) {
            /* a missing entry (id -1) is infinite: any other goes before it */
            bool first = b[j].id < 0 || (a[i].id >= 0 && before(&a[i], &b[j], false));
            shape->scratch[n] = first ? a[i++] : b[j++];
        }
        memcpy(a, shape->scratch, k * sizeof *a);
    }
}
