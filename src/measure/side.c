#include "measure/side.h"

#include <math.h>
#include <string.h>

/* Neighbours at the same distance, computed twice, may stand in either order. */
static const double SAME = 1e-6;

void
mpivf_side_lay_out(struct mpivf_side *side, struct mpivf_pool *pool, uint64_t block)
{
    uint64_t k = side->reader.k;
    side->id = mpivf_pool_take(pool, block * k, sizeof *side->id);
    side->distance = mpivf_pool_take(pool, block * k, sizeof *side->distance);
    side->hit = mpivf_pool_take(pool, k, sizeof *side->hit);
}

mpivf_status
mpivf_side_read(struct mpivf_context *ctx, struct mpivf_side *side, uint64_t first, uint64_t n)
{
    side->first = first;
    return mpivf_result_rows(ctx, &side->reader, first, n, side->id, side->distance);
}

void
mpivf_side_row(const struct mpivf_side *side, uint64_t query)
{
    uint64_t k = side->reader.k, at = (query - side->first) * k;
    for (uint64_t i = 0; i < k; i++) {
        struct mpivf_hit hit = {side->id[at + i], side->distance[at + i]};
        bool none = side->truth ? side->known && !isfinite(hit.distance) : isinf(hit.distance) != 0;
        side->hit[i] = none || hit.id < 0 ? (struct mpivf_hit){-1, NAN} : hit;
    }
}

void
mpivf_side_look(struct mpivf_side *side)
{
    double before = NAN;
    bool falls = false, rises = false;
    for (uint64_t i = 0; i < side->reader.k; i++) {
        double now = side->hit[i].distance;
        if (side->hit[i].id < 0 || isnan(now))
            continue;
        falls |= now < before - SAME * fabs(before);
        rises |= now > before + SAME * fabs(before);
        before = now;
    }
    side->falls += falls;
    side->rises += rises;
}
