#include "math/nearest_one.h"

#include "math/distance.h"

#include <math.h>

/*
 * How far the distance that mpivf_nearest_one computes can be from the canonical one. It is a
 * float32 sum of squares, none negative: with u = 2^-24 each term is off by 3 u, and is added in at
 * most dim / 64 + 7 steps, so all is off by a share of (dim / 64 + 11) u, with second orders and
 * the canonical distance's own rounding less than (dim / 64 + 13) u 1.02 as long as that is small;
 * squares below the normal range lose 2^-150 each. Of what overflows nothing is known.
 */
struct mpivf_interval
mpivf_nearest_interval(const float *query, const float *row, size_t dim)
{
    double distance = (double)mpivf_kernel()->square32(query, row, dim), wide = (double)dim;
    double off = distance * (wide / 64 + 13) * 1.02 * 0x1p-24 + (wide + 64) * 0x1p-148;
    return distance <= 3e38 ? (struct mpivf_interval){distance - off, distance + off, true}
                            : (struct mpivf_interval){-INFINITY, INFINITY, true};
}

static struct mpivf_interval
compute(const struct mpivf_one *s, size_t q, uint32_t id)
{
    size_t dim = s->queries->dim;
    s->rivals->computed++;
    return mpivf_nearest_interval(s->queries->raw.f32 + q * dim, s->packed->raw.f32 + id * dim,
                                  dim);
}

/* Is row `id` nearer to query q than the best so far, where the quick distances cannot tell? */
static bool
nearer(const struct mpivf_one *s, size_t q, uint32_t id)
{
    const struct mpivf_packed_queries *queries = s->queries;
    size_t dim = queries->dim;
    const float *query = queries->raw.f32 + q * dim;
    double one = mpivf_distance(MPIVF_L2, query, 0, s->packed->raw.f32 + id * dim, dim);
    double other =
        mpivf_distance(MPIVF_L2, query, 0, s->packed->raw.f32 + s->best->id[q] * dim, dim);
    return one < other || (one == other && id < s->best->id[q]);
}

/* Offer a row, whose id is its number, to the best of query q. */
static void
offer(const struct mpivf_one *s, size_t q, struct mpivf_interval *best, uint32_t id)
{
    struct mpivf_interval interval = compute(s, q, id);
    if (s->best->id[q] != UINT32_MAX) {
        if (interval.lower > best->upper)
            return;
        if (!(interval.upper < best->lower) && !nearer(s, q, id))
            return;
    }
    *best = interval;
    s->best->id[q] = id;
}

/* What a value of the filter's comparison tells of a packed row. */
static struct mpivf_interval
seen(const struct mpivf_one *s, size_t q, uint32_t row, float value)
{
    double lower = mpivf_prepare_lower(s->queries, q, value);
    double upper = mpivf_prepare_upper(s->queries, q, s->packed, row, value);
    return (struct mpivf_interval){isnan(lower) ? -INFINITY : lower, upper, false};
}

/* ---- rivals ---- */

enum { ROOM = 32 }; /* rows that a query holds */

void
mpivf_rivals_lay_out(struct mpivf_rivals *rivals, struct mpivf_pool *pool)
{
    rivals->value = mpivf_pool_take(pool, MPIVF_ONE_QUERIES * ROOM, sizeof *rivals->value);
    rivals->row = mpivf_pool_take(pool, MPIVF_ONE_QUERIES * ROOM, sizeof *rivals->row);
    rivals->held = mpivf_pool_take(pool, MPIVF_ONE_QUERIES, sizeof *rivals->held);
    rivals->limit = mpivf_pool_take(pool, MPIVF_ONE_QUERIES, sizeof *rivals->limit);
}

void
mpivf_one_begin(const struct mpivf_one *s, size_t place)
{
    s->rivals->held[place] = 0;
    s->rivals->limit[place] = s->best->interval[place].upper;
}

/* Which raw row is this? */
static uint32_t
raw_of(const struct mpivf_one *s, uint32_t row)
{
    return s->packed->subset ? s->packed->subset[row] : row;
}

/* Drop the rivals that the limit excludes by now; the one that seems nearest comes first. */
static void
sweep(const struct mpivf_one *s, size_t q, size_t place)
{
    float *value = s->rivals->value + place * ROOM;
    uint32_t *row = s->rivals->row + place * ROOM, kept = 0;
    float max = mpivf_prepare_limit(s->queries, q, s->rivals->limit[place]);
    for (uint32_t i = 0; i < s->rivals->held[place]; i++) {
        float one = value[i];
        uint32_t number = row[i], to = kept;
        if (one > max)
            continue;
        if (kept > 0 && one < value[0]) {
            value[kept] = value[0];
            row[kept] = row[0];
            to = 0;
        }
        value[to] = one;
        row[to] = number;
        kept++;
    }
    s->rivals->held[place] = kept;
}

/*
 * The row that is left alone is taken as it is, and no raw value is touched; of rivals, the values
 * decide, as far as bounds leave a doubt.
 */
void
mpivf_one_settle(const struct mpivf_one *s, size_t q, size_t place)
{
    struct mpivf_interval *best = &s->best->interval[place];
    uint32_t *known = &s->best->id[q], *held = &s->rivals->held[place];
    const uint32_t *row = s->rivals->row + place * ROOM;
    const float *value = s->rivals->value + place * ROOM;
    sweep(s, q, place);
    /* is what is known farther than the limit? Then it goes */
    if (*known != UINT32_MAX && best->lower > s->rivals->limit[place])
        *known = UINT32_MAX;
    if (*held == 1 && *known == UINT32_MAX) {
        *known = raw_of(s, *row);
        *best = seen(s, q, *row, *value);
    } else if (*held > 0) {
        if (*known != UINT32_MAX && !best->computed)
            *best = compute(s, q, *known);
        for (uint32_t i = 0; i < *held; i++)
            if (*known == UINT32_MAX ||
                !(mpivf_prepare_lower(s->queries, q, value[i]) > best->upper))
                offer(s, q, best, raw_of(s, row[i]));
    }
    mpivf_one_begin(s, place);
}

/* Hold a row. When there is no room for it those that are there are settled. */
static void
hold(const struct mpivf_one *s, size_t q, size_t place, uint32_t row, float value)
{
    uint32_t *held = &s->rivals->held[place];
    if (*held == ROOM)
        sweep(s, q, place);
    if (*held > ROOM / 4 * 3)
        mpivf_one_settle(s, q, place);
    s->rivals->row[place * ROOM + *held] = row;
    s->rivals->value[place * ROOM + *held] = value;
    ++*held;
}

void
mpivf_one_take(const struct mpivf_one *s, size_t q, size_t place, const uint32_t *survivor,
               const float *value, size_t survivors)
{
    struct mpivf_interval *best = &s->best->interval[place];
    double *limit = &s->rivals->limit[place];
    /* what is nearest by its upper bound excludes others */
    size_t min = 0;
    for (size_t i = 1; i < survivors; i++)
        min = value[i] < value[min] ? i : min;
    double upper = seen(s, q, survivor[min], value[min]).upper;
    *limit = upper < *limit ? upper : *limit;
    float max = mpivf_prepare_limit(s->queries, q, *limit);
    for (size_t i = 0; i < survivors; i++) {
        if (raw_of(s, survivor[i]) != s->best->id[q]) {
            if (!(value[i] > max))
                hold(s, q, place, survivor[i], value[i]);
        } else if (!best->computed) {
            *best = seen(s, q, survivor[i], value[i]);
        }
    }
}
