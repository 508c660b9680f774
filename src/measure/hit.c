#include "measure/hit.h"

#include "base/compare.h"

#include <math.h>
#include <stdlib.h>

static int
by_id(const void *a, const void *b)
{
    const struct mpivf_hit *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

static int
by_distance(const void *a, const void *b)
{
    const struct mpivf_hit *x = a, *y = b;
    double p = isnan(x->distance) ? INFINITY : x->distance;
    double q = isnan(y->distance) ? INFINITY : y->distance;
    if (p != q)
        return p < q ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

uint64_t
mpivf_hits_gather(const struct mpivf_hit *hit, uint64_t n, struct mpivf_hit *into)
{
    uint64_t there = 0, kept = 0;
    for (uint64_t i = 0; i < n; i++)
        if (hit[i].id >= 0)
            into[there++] = hit[i];
    qsort(into, there, sizeof *into, by_id);
    for (uint64_t i = 0; i < there; i++)
        if (kept == 0 || into[i].id != into[kept - 1].id)
            into[kept++] = into[i];
    return kept;
}

void
mpivf_hits_sort(struct mpivf_hit *hit, uint64_t n)
{
    qsort(hit, n, sizeof *hit, by_distance);
}

bool
mpivf_hits_have(const int64_t *sorted, uint64_t n, int64_t id)
{
    return bsearch(&id, sorted, n, sizeof id, mpivf_compare_i64) != NULL;
}

const int64_t *
mpivf_hits_ids(const struct mpivf_hit *hit, uint64_t n, int64_t *sorted)
{
    for (uint64_t i = 0; i < n; i++)
        sorted[i] = hit[i].id;
    qsort(sorted, n, sizeof *sorted, mpivf_compare_i64);
    return sorted;
}

uint64_t
mpivf_hits_drop_repeated(struct mpivf_hit *hit, uint64_t n, int64_t *sorted)
{
    uint64_t kept = 0, repeated = 0;
    mpivf_hits_ids(hit, n, sorted);
    for (uint64_t i = 1; i < n; i++)
        repeated += sorted[i] == sorted[i - 1];
    for (uint64_t i = 0; i < n && repeated > 0; i++) {
        uint64_t before = 0;
        while (before < kept && hit[before].id != hit[i].id)
            before++;
        if (before == kept)
            hit[kept++] = hit[i];
    }
    return repeated > 0 ? kept : n;
}
