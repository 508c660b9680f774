#include <mpivf/index.h>

#include "base/compare.h"

#include <stdlib.h>

mpivf_status
mpivf_index_list_sizes(struct mpivf_context *ctx, const uint64_t *offset, uint64_t lists,
                       struct mpivf_list_sizes *list_sizes)
{
    uint64_t *size = mpivf_alloc(ctx, "list sizes", lists, sizeof *size);
    if (size == NULL)
        return MPIVF_MEMORY;
    uint64_t empty = 0;
    for (uint64_t l = 0; l < lists; l++) {
        size[l] = offset[l + 1] - offset[l];
        empty += size[l] == 0;
    }
    qsort(size, lists, sizeof *size, mpivf_compare_u64);
    double mean = (double)(offset[lists] - offset[0]) / (double)lists;
    *list_sizes = (struct mpivf_list_sizes){
        .lists = lists,
        .empty = empty,
        .smallest = size[0],
        .median = size[lists / 2],
        .p99 = size[(lists * 99 + 99) / 100 - 1],
        .largest = size[lists - 1],
        .mean = mean,
        .max_over_mean = mean > 0 ? (double)size[lists - 1] / mean : 0,
    };
    mpivf_free(ctx, size);
    return MPIVF_OK;
}
