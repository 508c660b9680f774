#include "build/skew.h"

#include <math.h>
#include <string.h>

/*
 * Far more than chance: beyond twice the expected and five rows of a hundred, which a thousand
 * sorted blocks over a few ranks stay below.
 */
static const double TIMES = 2, FLOOR = 0.05;

size_t
mpivf_skew_bytes(size_t lists)
{
    return 2 * mpivf_alloc_bytes(lists * sizeof(int64_t)); /* all ranks' beside this one's */
}

mpivf_status
mpivf_skew_init(struct mpivf_context *ctx, struct mpivf_skew *skew, size_t lists)
{
    *skew = (struct mpivf_skew){.ctx = ctx, .lists = lists};
    skew->rows = mpivf_alloc_zero(ctx, "rows of lists", lists, sizeof *skew->rows);
    return skew->rows ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_skew_clear(struct mpivf_skew *skew)
{
    if (skew->ctx)
        mpivf_free(skew->ctx, skew->rows);
    *skew = (struct mpivf_skew){.rows = NULL};
}

void
mpivf_skew_count(struct mpivf_skew *skew, const uint32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] != UINT32_MAX)
            skew->rows[list[i]]++;
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
mpivf_skew_compare_all(const struct mpivf_par *par, const struct mpivf_skew *skew,
                       struct mpivf_difference *difference)
{
    size_t lists = skew->lists;
    int64_t *all = mpivf_alloc(par->ctx, "rows of lists", lists, sizeof *all);
    mpivf_status status = mpivf_agree_all(par, all ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        memcpy(all, skew->rows, lists * sizeof *all);
        mpivf_sum_all(par, all, lists);
        struct mpivf_difference mine = compare(skew->rows, all, lists);
        double excess = mine.found / (TIMES * mine.expected + FLOOR);
        double max = mpivf_max_all(par, excess);
        /* counted from the last, so that the largest is the first of equals */
        uint64_t from_last = (uint64_t)(par->size - 1 - par->rank);
        uint64_t worst = mpivf_max_u64_all(par, excess >= max ? from_last : 0);
        bool me = from_last == worst;
        difference->rank = par->size - 1 - (int)worst;
        difference->found = mpivf_max_all(par, me ? mine.found : 0);
        difference->expected = mpivf_max_all(par, me ? mine.expected : 0);
        difference->large = max > 1;
    }
    mpivf_free(par->ctx, all);
    return status;
}
