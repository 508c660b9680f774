#include "base/row_set.h"

#include <string.h>

mpivf_status
mpivf_row_set_put(struct mpivf_context *ctx, struct mpivf_row_set *set,
                  const struct mpivf_range *range, size_t ranges)
{
    mpivf_status status = mpivf_grow(ctx, "row ranges", &set->range, set->ranges, ranges,
                                     sizeof *set->range, &set->room);
    if (status)
        return status;
    if (ranges > 0)
        memcpy(set->range + set->ranges, range, ranges * sizeof *range);
    set->ranges += ranges;
    return MPIVF_OK;
}

void
mpivf_row_set_order(struct mpivf_row_set *set, uint64_t *overlap)
{
    set->ranges = mpivf_range_normalise(set->range, set->ranges, overlap);
}

mpivf_status
mpivf_row_set_add(struct mpivf_context *ctx, struct mpivf_row_set *set,
                  const struct mpivf_range *range, size_t ranges)
{
    mpivf_status status = mpivf_row_set_put(ctx, set, range, ranges);
    if (status == MPIVF_OK)
        mpivf_row_set_order(set, NULL);
    return status;
}

void
mpivf_row_set_clear(struct mpivf_context *ctx, struct mpivf_row_set *set)
{
    mpivf_free(ctx, set->range);
    *set = (struct mpivf_row_set){.range = NULL};
}
