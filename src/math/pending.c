#include "math/pending.h"

#include "math/distance.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

enum {
    ROOM = 672,    /* rows of a query, where all queries are worked on together */
    SURVIVORS = 6, /* for each neighbour, at the limit: bounds of 7 bits leave 5 */
    FEW = 64,
    ENTRIES = MPIVF_PENDING_QUERIES * ROOM
};

static void
lay_out(struct mpivf_pending *pending, struct mpivf_pool *pool, size_t places, size_t entries,
        size_t bounds)
{
    *pending = (struct mpivf_pending){.computed = 0};
    pending->value = mpivf_pool_take(pool, entries, sizeof *pending->value);
    pending->row = mpivf_pool_take(pool, entries, sizeof *pending->row);
    pending->held = mpivf_pool_take(pool, places, sizeof *pending->held);
    pending->upper = mpivf_pool_take(pool, bounds, sizeof *pending->upper);
    pending->uppers = mpivf_pool_take(pool, places, sizeof *pending->uppers);
    pending->due = mpivf_pool_take(pool, places, sizeof *pending->due);
    pending->limit = mpivf_pool_take(pool, places, sizeof *pending->limit);
}

struct mpivf_pending *
mpivf_pending_take(struct mpivf_pool *pool, int threads)
{
    struct mpivf_pending counted;
    struct mpivf_pending *pending = mpivf_pool_take(pool, (size_t)threads, sizeof *pending);
    for (int t = 0; t < threads; t++)
        lay_out(pending ? &pending[t] : &counted, pool, MPIVF_PENDING_QUERIES, ENTRIES,
                ENTRIES / 4);
    return pending;
}

/* The rows that a query should have room for, and the upper bounds, of which it needs 1.5 k. */
static size_t
room_for(size_t k)
{
    return SURVIVORS * k + FEW;
}

static size_t
bounds_for(size_t k)
{
    return room_for(k) / 4;
}

void
mpivf_pending_lay_out(struct mpivf_pending *pending, struct mpivf_pool *pool, size_t places,
                      size_t k)
{
    size_t room = 4 * (k + FEW), bounds = bounds_for(k);
    lay_out(pending, pool, places, places * room, places * bounds);
    pending->room = room;
    pending->bounds = bounds;
}

size_t
mpivf_pending_queries(size_t k)
{
    size_t queries = ENTRIES / room_for(k) / MPIVF_GROUP * MPIVF_GROUP;
    return queries > MPIVF_PENDING_QUERIES || queries == 0 ? MPIVF_PENDING_QUERIES : queries;
}

/*
 * Nothing is held for query q. Its k nearest so far are known to be that near too: a fourth of them
 * in nearer rows is worth a lower limit then. For too large a k no bounds are kept.
 */
void
mpivf_pending_empty(struct mpivf_pending *pending, const struct mpivf_topk *topk, size_t q,
                    size_t place)
{
    size_t k = topk->k, due = topk->limit[q] < INFINITY ? k / 4 + 1 : k;
    pending->held[place] = pending->uppers[place] = 0;
    pending->due[place] = pending->bounds < bounds_for(k) ? 0 : (uint32_t)due;
    pending->limit[place] = INFINITY;
}

void
mpivf_pending_begin(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                    size_t place)
{
    pending->room = ENTRIES / mpivf_pending_queries(scan->topk->k);
    pending->bounds = pending->room / 4;
    assert(place < MPIVF_PENDING_QUERIES && (place + 1) * pending->room <= ENTRIES);
    mpivf_pending_empty(pending, scan->topk, q, place);
}

/* ---- the limit ---- */

/* Loops over floats that compilers make vectors of: n values in LANES columns, the rest after. */
enum { LANES = 16 };

static void
find_range(const float *x, size_t n, float *low, float *high)
{
    float least[LANES], most[LANES];
    for (size_t j = 0; j < LANES; j++)
        least[j] = most[j] = x[0];
    for (size_t i = 0; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            least[j] = x[i + j] < least[j] ? x[i + j] : least[j];
            most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
        }
    for (size_t i = n / LANES * LANES; i < n; i++) {
        least[0] = x[i] < least[0] ? x[i] : least[0];
        most[0] = x[i] > most[0] ? x[i] : most[0];
    }
    *low = least[0];
    *high = most[0];
    for (size_t j = 1; j < LANES; j++) {
        *low = least[j] < *low ? least[j] : *low;
        *high = most[j] > *high ? most[j] : *high;
    }
}

static size_t
count_below(const float *x, size_t n, float limit)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += x[i] <= limit;
    return count;
}

/*
 * What k of the n values, or a few more, do not exceed: by bisection, because counting takes a
 * vector at a time, and a limit need not be the smallest.
 */
static float
limit_of(const float *x, size_t n, size_t k)
{
    enum { STEPS = 16 };
    float low, high;
    size_t below = n;
    find_range(x, n, &low, &high);
    for (int i = 0; i < STEPS && below > k + k / 16; i++) {
        float middle = low / 2 + high / 2;
        size_t count = count_below(x, n, middle);
        if (count < k) {
            low = middle;
        } else {
            high = middle;
            below = count;
        }
    }
    return high;
}

/*
 * Not below x, and above it by two units in the last place at most. The very next float, as in
 * bounds.c, is not worth the 5 % of a truth that it takes to find it.
 */
static float
not_below(double x)
{
    float f = (float)x;
    return f + fabsf(f) * 0x1p-23f + FLT_TRUE_MIN;
}

/* Add the distances that are known to the upper bounds. */
static size_t
add_known(const struct mpivf_topk *topk, size_t q, float *upper, size_t n)
{
    const struct mpivf_candidate *entry = topk->entry + q * topk->room;
    for (size_t i = 0; i < topk->count[q] && i < topk->k + topk->k / 4; i++)
        upper[n++] = not_below(entry[i].distance);
    return n;
}

/* What k of the upper bounds do not exceed becomes the limit, and those above it go. */
static void
lower_limit(struct mpivf_pending *pending, const struct mpivf_topk *topk, size_t q, size_t place)
{
    float *upper = pending->upper + place * pending->bounds;
    size_t k = topk->k, n = pending->uppers[place], kept = 0;
    if (pending->limit[place] == INFINITY && topk->limit[q] < INFINITY)
        n = add_known(topk, q, upper, n);
    float limit = limit_of(upper, n, k);
    for (size_t i = 0; i < n; i++) {
        upper[kept] = upper[i];
        kept += upper[i] <= limit;
    }
    /* any k of them would do; there can be more where many are equal */
    kept = kept < k + k / 16 ? kept : k + k / 16;
    pending->limit[place] = (double)limit;
    pending->uppers[place] = (uint32_t)kept;
    pending->due[place] = (uint32_t)(kept + k / 4 + 1);
}

/* Drop what the limit excludes by now. */
static void
sweep(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q, size_t place)
{
    float *value = pending->value + place * pending->room;
    uint32_t *row = pending->row + place * pending->room;
    size_t kept = 0;
    float max = mpivf_prepare_limit(scan->queries, q, mpivf_pending_limit(pending, scan, q, place));
    for (size_t i = 0; i < pending->held[place]; i++) {
        bool stays = !(value[i] > max);
        value[kept] = value[i];
        row[kept] = row[i];
        kept += stays;
    }
    pending->held[place] = (uint32_t)kept;
}

/* ---- computing ---- */

/* Compute row i of those held for query q, unless its lower bound excludes it by now. */
static void
compute(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q, size_t i)
{
    const struct mpivf_packed_queries *queries = scan->queries;
    const struct mpivf_packed_rows *packed = scan->packed;
    size_t dim = queries->dim, row = pending->row[i];
    size_t raw = packed->subset ? packed->subset[row] : row;
    if (mpivf_prepare_lower(queries, q, pending->value[i]) > scan->topk->limit[q])
        return;
    pending->computed++;
    double distance =
        mpivf_raw_distance(queries->metric, mpivf_raw_at(queries->raw, q * dim),
                           queries->bound[q].square, mpivf_raw_at(packed->raw, raw * dim), dim);
    mpivf_topk_add(scan->topk, q, distance, mpivf_prepare_id(packed, row));
}

void
mpivf_pending_settle(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                     size_t place)
{
    size_t k = scan->topk->k, first = place * pending->room;
    sweep(pending, scan, q, place);
    size_t end = first + pending->held[place];
    bool many = pending->held[place] > k;
    /* what seems nearest is first: it lowers the limit for the others */
    float seems = many ? limit_of(pending->value + first, end - first, k) : -INFINITY;
    for (size_t i = first; many && i < end; i++)
        if (pending->value[i] <= seems)
            compute(pending, scan, q, i);
    mpivf_topk_tighten(scan->topk, q);
    for (size_t i = first; i < end; i++)
        if (!many || !(pending->value[i] <= seems))
            compute(pending, scan, q, i);
    mpivf_topk_tighten(scan->topk, q);
    mpivf_pending_empty(pending, scan->topk, q, place);
}

/* ---- rows that come ---- */

void
mpivf_pending_put(struct mpivf_pending *pending, const struct mpivf_pending_scan *scan, size_t q,
                  size_t place, const uint32_t *row, const float *value, const double *upper,
                  size_t n)
{
    const struct mpivf_packed_rows *packed = scan->packed;
    size_t room = pending->room, first = place * room;
    float *bounds = pending->upper + place * pending->bounds;
    double limit = mpivf_pending_limit(pending, scan, q, place);
    float max = INFINITY; /* what comes is below the limit, until that falls */
    for (size_t i = 0; i < n; i++) {
        if (value[i] > max || (scan->own && mpivf_prepare_id(packed, row[i]) == scan->own[q]))
            continue;
        /* no room: drop what can be dropped; where that is little, compute all */
        bool full = pending->held[place] == room;
        if (full)
            sweep(pending, scan, q, place);
        if (pending->held[place] > room / 4 * 3 && full)
            mpivf_pending_settle(pending, scan, q, place);
        /* hold the row; as one of the k nearest by its upper bound it lowers the limit */
        size_t at = first + pending->held[place]++;
        pending->value[at] = value[i];
        pending->row[at] = row[i];
        bool due = false;
        if (pending->due[place] > 0) {
            double known =
                upper ? upper[i] : mpivf_prepare_upper(scan->queries, q, packed, row[i], value[i]);
            float bound = not_below(known);
            bounds[pending->uppers[place]] = bound;
            pending->uppers[place] += (double)bound < limit;
            due = pending->uppers[place] == pending->due[place];
        }
        if (due)
            lower_limit(pending, scan->topk, q, place);
        if (full || due) {
            limit = mpivf_pending_limit(pending, scan, q, place);
            max = mpivf_prepare_limit(scan->queries, q, limit);
        }
    }
}
