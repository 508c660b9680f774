#include <mpivf/eval.h>

#include "base/compare.h"
#include "io/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TIE = 1e-6; /* relative: two sums of the same numbers in different orders */

static const uint64_t depths[MPIVF_EVAL_DEPTHS] = {1, 5, 10, 50, 100};

/* A found row. */
struct hit {
    int64_t id;
    double distance;
};

static int
by_id(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

/* The first k found rows of a query, each once. How many. */
static uint64_t
collect_hits(const struct mpivf_result *result, uint64_t q, uint64_t k, struct hit *hit)
{
    uint64_t n = 0, kept = 0;
    for (uint64_t i = q * result->k; i < q * result->k + k; i++)
        if (result->neighbor[i] >= 0)
            hit[n++] = (struct hit){result->neighbor[i], result->distance[i]};
    qsort(hit, n, sizeof *hit, by_id);
    for (uint64_t i = 0; i < n; i++)
        if (kept == 0 || hit[i].id != hit[kept - 1].id)
            hit[kept++] = hit[i];
    return kept;
}

static bool
contains(const int64_t *sorted, uint64_t n, int64_t id)
{
    return bsearch(&id, sorted, n, sizeof id, mpivf_compare_i64) != NULL;
}

/* Share of the truth's first k that one query's first k have found, by ids and with ties. */
struct found {
    double ids, ties;
};

static struct found
compare_query(const struct mpivf_result *result, const struct mpivf_result *truth, uint64_t q,
              uint64_t k, int64_t *sorted, struct hit *hit)
{
    const int64_t *right = truth->neighbor + q * truth->k;
    const double *far = truth->distance + q * truth->k;
    uint64_t want = 0, group, ids = 0, ties = 0, hits = collect_hits(result, q, k, hit);
    while (want < k && right[want] >= 0) /* fewer rows than k: the truth is shorter */
        want++;
    if (want == 0)
        return (struct found){1, 1};
    double limit = far[want - 1] + TIE * fabs(far[want - 1]);
    for (group = want; group < truth->k && right[group] >= 0 && far[group] <= limit;)
        group++;
    memcpy(sorted, right, want * sizeof *sorted);
    qsort(sorted, want, sizeof *sorted, mpivf_compare_i64);
    for (uint64_t i = 0; i < hits; i++)
        ids += contains(sorted, want, hit[i].id);
    memcpy(sorted, right, group * sizeof *sorted);
    qsort(sorted, group, sizeof *sorted, mpivf_compare_i64);
    for (uint64_t i = 0; i < hits; i++)
        ties += contains(sorted, group, hit[i].id) || (result->exact && hit[i].distance <= limit);
    if (ties > want)
        ties = want;
    return (struct found){(double)ids / (double)want, (double)ties / (double)want};
}

static void
compare_at(const struct mpivf_result *result, const struct mpivf_result *truth, uint64_t k,
           int64_t *sorted, struct hit *hit, struct mpivf_eval *eval)
{
    double ids = 0, ties = 0, worst = 1;
    for (uint64_t q = 0; q < result->queries; q++) {
        struct found found = compare_query(result, truth, q, k, sorted, hit);
        ids += found.ids;
        ties += found.ties;
        worst = found.ties < worst ? found.ties : worst;
    }
    int at = eval->depths++;
    eval->at[at].k = k;
    eval->at[at].id_recall = ids / (double)result->queries;
    eval->at[at].tie_recall = ties / (double)result->queries;
    eval->at[at].worst = worst;
}

static double
distance_ratio(const struct mpivf_result *result, const struct mpivf_result *truth, uint64_t k)
{
    double a = 0, b = 0;
    for (uint64_t q = 0; q < result->queries; q++)
        for (uint64_t i = 0; i < k; i++)
            if (result->neighbor[q * result->k + i] >= 0 && truth->neighbor[q * truth->k + i] >= 0) {
                a += result->distance[q * result->k + i];
                b += truth->distance[q * truth->k + i];
            }
    return a == b ? 1 : a / b;
}

mpivf_status
mpivf_eval_files(struct mpivf_context *ctx, const char *result_path, const char *truth_path,
                 struct mpivf_eval *eval)
{
    struct mpivf_result result = {.ctx = NULL}, truth = {.ctx = NULL};
    int64_t *sorted = NULL;
    struct hit *hit = NULL;
    memset(eval, 0, sizeof *eval);
    mpivf_status status = mpivf_result_read(ctx, result_path, &result);
    if (status == MPIVF_OK)
        status = mpivf_result_read(ctx, truth_path, &truth);
    if (status == MPIVF_OK && (result.queries != truth.queries || result.queries == 0))
        status = mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' answers %llu queries, '%s' has %llu",
                            result_path, (unsigned long long)result.queries, truth_path,
                            (unsigned long long)truth.queries);
    if (status == MPIVF_OK && result.metric_known && truth.metric_known &&
        result.metric != truth.metric)
        status = mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' is for metric %s, '%s' for %s", result_path,
                            mpivf_metric_name(result.metric), truth_path,
                            mpivf_metric_name(truth.metric));
    if (status == MPIVF_OK && (result.k == 0 || truth.k == 0))
        status = mpivf_fail(ctx, MPIVF_INPUT, "there are no neighbours to compare");
    if (status == MPIVF_OK) {
        sorted = mpivf_alloc(ctx, "neighbours", truth.k, sizeof *sorted);
        hit = mpivf_alloc(ctx, "neighbours", result.k, sizeof *hit);
        status = sorted && hit ? MPIVF_OK : MPIVF_MEMORY;
    }
    if (status == MPIVF_OK) {
        uint64_t most = result.k < truth.k ? result.k : truth.k;
        eval->queries = result.queries;
        eval->result_k = result.k;
        eval->truth_k = truth.k;
        for (int i = 0; i < MPIVF_EVAL_DEPTHS && depths[i] < most; i++)
            compare_at(&result, &truth, depths[i], sorted, hit, eval);
        compare_at(&result, &truth, most, sorted, hit, eval);
        eval->mean_distance_ratio = distance_ratio(&result, &truth, most);
    }
    mpivf_free(ctx, sorted);
    mpivf_free(ctx, hit);
    mpivf_result_clear(&result);
    mpivf_result_clear(&truth);
    return status;
}
