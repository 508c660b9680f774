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
    (*s->computed)++;
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

/*
 * The best so far against the survivors of query q. The upper bound of the one that seems nearest
 * leaves few of them; the row that is left alone is taken as it is, and no raw value is touched.
 */
void
mpivf_one_take(const struct mpivf_one *s, size_t q, size_t place, uint32_t *survivor, float *value,
               size_t survivors)
{
    const struct mpivf_packed_rows *packed = s->packed;
    struct mpivf_interval *best = &s->best->interval[place];
    uint32_t *held = &s->best->id[q];
    /* what is nearest by its upper bound, or held already, excludes others */
    size_t min = 0, left = 0;
    for (size_t i = 1; i < survivors; i++)
        min = value[i] < value[min] ? i : min;
    double limit = seen(s, q, survivor[min], value[min]).upper;
    limit = best->upper < limit ? best->upper : limit;
    float max = mpivf_prepare_limit(s->queries, q, limit);
    /* those that stay, without the one that is held */
    for (size_t i = 0; i < survivors; i++) {
        uint32_t row = survivor[i], raw = packed->subset ? packed->subset[row] : row;
        bool wanted = !(value[i] > max);
        if (raw != *held) {
            value[left] = value[i];
            survivor[left] = row;
            left += wanted;
        } else if (!best->computed) {
            *best = seen(s, q, row, value[i]);
        }
    }
    /* is what is held farther than that? Then it goes */
    if (*held != UINT32_MAX && best->lower > limit)
        *held = UINT32_MAX;
    if (left == 0)
        return;
    /* no rival: the bounds do, nothing is computed */
    if (left == 1 && *held == UINT32_MAX) {
        *held = packed->subset ? packed->subset[survivor[0]] : survivor[0];
        *best = seen(s, q, survivor[0], value[0]);
        return;
    }
    /* rivals: by the values, as far as bounds leave a doubt */
    if (*held != UINT32_MAX && !best->computed)
        *best = compute(s, q, *held);
    for (size_t i = 0; i < left; i++) {
        bool known = *held != UINT32_MAX;
        if (!known || !(mpivf_prepare_lower(s->queries, q, value[i]) > best->upper))
            offer(s, q, best, packed->subset ? packed->subset[survivor[i]] : survivor[i]);
    }
}
