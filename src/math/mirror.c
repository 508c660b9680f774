#include "math/mirror.h"

#include <assert.h>
#include <float.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

void
mpivf_mirror_lay_out(struct mpivf_mirror *mirror, struct mpivf_pool *pool, size_t queries,
                     size_t rows, size_t k, int threads)
{
    struct mpivf_pending all;
    mirror->query = mpivf_pool_take(pool, rows, sizeof *mirror->query);
    mirror->row = mpivf_pool_take(pool, queries, sizeof *mirror->row);
    mirror->reach = mpivf_pool_take(pool, rows, sizeof *mirror->reach);
    mirror->busy = mpivf_pool_take(pool, rows, 1);
    mirror->pending = mpivf_pool_take(pool, (size_t)threads, sizeof *mirror->pending);
    mpivf_pending_lay_out(&all, pool, rows, k);
    for (int t = 0; t < threads && mirror->pending; t++)
        mirror->pending[t] = all;
}

/* Hold a row. It is rare that another thread has it, and soon over unless it waits itself. */
static void
hold(struct mpivf_mirror *mirror, size_t row)
{
    while (__atomic_test_and_set(&mirror->busy[row], __ATOMIC_ACQUIRE))
        sched_yield();
}

static void
let_go(struct mpivf_mirror *mirror, size_t row)
{
    __atomic_clear(&mirror->busy[row], __ATOMIC_RELEASE);
}

/* Tell of the limit of a row. Other threads may read it. */
static void
set_reach(struct mpivf_mirror *mirror, size_t row)
{
    float reach = mpivf_prepare_reach(
        mpivf_pending_limit(mirror->pending, &mirror->scan, mirror->query[row], row));
    __atomic_store(&mirror->reach[row], &reach, __ATOMIC_RELAXED);
}

void
mpivf_mirror_begin(struct mpivf_mirror *mirror, const struct mpivf_packed_queries *queries,
                   struct mpivf_topk *topk, const uint64_t *number, size_t rows, uint64_t first,
                   size_t n)
{
    mirror->n = n;
    mirror->rows = rows;
    mirror->as_rows = (struct mpivf_packed_rows){.raw = queries->raw, .first_id = (int64_t)first};
    mirror->scan = (struct mpivf_pending_scan){queries, &mirror->as_rows, topk, NULL};
    memset(mirror->row, 0xff, queries->rows * sizeof *mirror->row);
    for (size_t i = 0; i < rows; i++) {
        size_t query = number[i] - first;
        assert(query < n && n <= queries->rows);
        mirror->query[i] = (uint32_t)query;
        mirror->row[query] = (uint32_t)i;
        mpivf_pending_empty(mirror->pending, topk, query, i);
        set_reach(mirror, i);
        let_go(mirror, i);
    }
}

void
mpivf_mirror_settle(struct mpivf_mirror *mirror, int threads)
{
    enum { TOGETHER = 64 };
#pragma omp parallel for num_threads(threads) schedule(dynamic, TOGETHER) if (threads > 1)
    for (size_t i = 0; i < mirror->rows; i++)
        mpivf_pending_settle(&mirror->pending[omp_get_thread_num()], &mirror->scan,
                             mirror->query[i], i);
}

/*
 * Of these pairs i - j mod n is in begin .. begin + length: is any of that in 1 .. n / 2, or, once
 * around, in n + 1 ..?
 */
bool
mpivf_mirror_any(const struct mpivf_mirror *mirror, size_t i, size_t end, size_t at, size_t rows)
{
    size_t n = mirror->n, past = at + rows < mirror->rows ? at + rows : mirror->rows;
    if (i >= end || at >= past)
        return false;
    size_t least = mirror->query[at], most = mirror->query[past - 1];
    size_t begin = (i + n - most) % n, length = (end - 1 - i) + (most - least);
    return (begin > 0 && begin <= n / 2) || length >= (begin > 0 ? n + 1 - begin : 1);
}

double
mpivf_mirror_limit(const struct mpivf_mirror *mirror, size_t i)
{
    float reach = mpivf_mirror_reach(mirror, mirror->row[i]);
    return reach < FLT_MAX ? (double)reach : INFINITY;
}

void
mpivf_mirror_reaches(const struct mpivf_mirror *mirror, size_t at, size_t n, float *reach)
{
    size_t end = at + n < mirror->rows ? at + n : mirror->rows;
    for (size_t i = at; i < end; i++)
        reach[i - at] = mpivf_mirror_reach(mirror, i);
    for (size_t i = end; i < at + n; i++)
        reach[i - at] = -FLT_MAX;
}

/* Hold query `other` for a row, by a value in the terms of the row's own bounds as a query. */
static void
put(struct mpivf_mirror *mirror, size_t row, size_t other, float value, double upper)
{
    struct mpivf_pending *pending = &mirror->pending[omp_get_thread_num()];
    const struct mpivf_pending_scan *scan = &mirror->scan;
    uint32_t query = mirror->query[row], found = (uint32_t)other;
    hold(mirror, row);
    /* its limit may have fallen since it was asked for */
    double limit = mpivf_pending_limit(pending, scan, query, row);
    if (!(value > mpivf_prepare_limit(scan->queries, query, limit))) {
        mpivf_pending_put(pending, scan, query, row, &found, &value, &upper, 1);
        if (mpivf_pending_limit(pending, scan, query, row) < limit)
            set_reach(mirror, row);
    }
    let_go(mirror, row);
}

void
mpivf_mirror_put(struct mpivf_mirror *mirror, const struct mpivf_packed_rows *packed, size_t i,
                 size_t row, float value)
{
    double upper = mpivf_prepare_upper(mirror->scan.queries, i, packed, row, value);
    put(mirror, mirror->row[i], mirror->query[row], value, upper);
}

/* The distance is the same from either side, and so are its bounds; their terms are not. */
void
mpivf_mirror_put_back(struct mpivf_mirror *mirror, const struct mpivf_packed_rows *packed, size_t i,
                      size_t row, float value)
{
    const struct mpivf_packed_queries *queries = mirror->scan.queries;
    double upper = mpivf_prepare_upper(queries, i, packed, row, value);
    double lower = mpivf_prepare_lower(queries, i, value);
    put(mirror, row, i, mpivf_prepare_value(queries, mirror->query[row], lower), upper);
}
