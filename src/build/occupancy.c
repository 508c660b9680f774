#include "build/occupancy.h"

#include <math.h>
#include <string.h>

/*
 * Far more than chance: beyond twice the expected and five rows of a hundred, which a thousand
 * sorted blocks over a few ranks stay below.
 */
static const double TIMES = 2, FLOOR = 0.05;

mpivf_status
mpivf_occupancy_init(struct mpivf_context *ctx, struct mpivf_occupancy *occupancy, size_t lists)
{
    *occupancy = (struct mpivf_occupancy){.ctx = ctx, .lists = lists};
    occupancy->rows = mpivf_alloc_zero(ctx, "rows of lists", lists, sizeof *occupancy->rows);
    return occupancy->rows ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_occupancy_clear(struct mpivf_occupancy *occupancy)
{
    if (occupancy->ctx)
        mpivf_free(occupancy->ctx, occupancy->rows);
    *occupancy = (struct mpivf_occupancy){.rows = NULL};
}

void
mpivf_occupancy_count(struct mpivf_occupancy *occupancy, const uint32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] != UINT32_MAX)
            occupancy->rows[list[i]]++;
}

static double
total(const int64_t *rows, size_t lists)
{
    int64_t sum = 0;
    for (size_t l = 0; l < lists; l++)
        sum += rows[l];
    return (double)sum;
}

/* One rank's rows against all. */
static struct mpivf_difference
compare(const int64_t *mine, const int64_t *all, size_t lists)
{
    struct mpivf_difference d = {.found = 0};
    double n = total(mine, lists), N = total(all, lists);
    for (size_t l = 0; l < lists && n > 0; l++) {
        double p = (double)all[l] / N;
        d.found += fabs((double)mine[l] / n - p) / 2;
        d.expected += sqrt(2 * p * (1 - p) * (1 / n - 1 / N) / M_PI) / 2;
    }
    return d;
}

mpivf_status
mpivf_occupancy_compare_all(const struct mpivf_par *par, const struct mpivf_occupancy *occupancy,
                            struct mpivf_difference *difference)
{
    size_t lists = occupancy->lists;
    int64_t *all = mpivf_alloc(par->ctx, "rows of lists", lists, sizeof *all);
    mpivf_status status = mpivf_agree_all(par, all ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        memcpy(all, occupancy->rows, lists * sizeof *all);
        mpivf_sum_all(par, all, lists);
        struct mpivf_difference mine = compare(occupancy->rows, all, lists);
        double excess = mine.found / (TIMES * mine.expected + FLOOR);
        double most = mpivf_max_all(par, excess);
        /* counted from the last, so that the largest is the first of equals */
        uint64_t from_last = (uint64_t)(par->size - 1 - par->rank);
        uint64_t worst = mpivf_max_u64_all(par, excess >= most ? from_last : 0);
        bool me = from_last == worst;
        difference->rank = par->size - 1 - (int)worst;
        difference->found = mpivf_max_all(par, me ? mine.found : 0);
        difference->expected = mpivf_max_all(par, me ? mine.expected : 0);
        difference->large = most > 1;
    }
    mpivf_free(par->ctx, all);
    return status;
}
