#include <mpivf/eval.h>

#include "base/compare.h"
#include "measure/scale.h"
#include "measure/side.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TIE = 1e-6; /* relative: two sums of the same numbers in different orders */

static const uint64_t depths[MPIVF_EVAL_DEPTHS] = {1, 5, 10, 50, 100};

enum { BLOCK_BYTES = 256 << 20, CACHE_USUAL = 1 << 20 };

/* Two files being compared. */
struct comparison {
    struct mpivf_context *ctx;
    struct mpivf_side result, truth;
    uint64_t block;                /* queries at a time */
    size_t reserved;               /* of the budget, for HDF5's chunks */
    struct mpivf_hit *mine, *right; /* owned, room for a row of each, by id */
    int64_t *sorted;               /* owned, [k of the truth] */
    int scale; /* from the truth's distances to the result's; -1: not known */
    int sign;  /* of distances, so that smaller is nearer; 0: not known */
    bool sort_result, sort_truth;
    struct mpivf_eval *eval;
};

static int
by_id(const void *a, const void *b)
{
    const struct mpivf_hit *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

static int
by_distance(const void *a, const void *b)
{
    const struct mpivf_hit *x = a, *y = b;
    double p = isnan(x->distance) ? INFINITY : x->distance;
    double q = isnan(y->distance) ? INFINITY : y->distance;
    if (p != q)
        return p < q ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Those of n hits that are there, by id, each once. How many. */
static uint64_t
gather(const struct mpivf_hit *hit, uint64_t n, struct mpivf_hit *into)
{
    uint64_t there = 0, kept = 0;
    for (uint64_t i = 0; i < n; i++)
        if (hit[i].id >= 0)
            into[there++] = hit[i];
    qsort(into, there, sizeof *into, by_id);
    for (uint64_t i = 0; i < there; i++)
        if (kept == 0 || into[i].id != into[kept - 1].id)
            into[kept++] = into[i];
    return kept;
}

/* ---- first reading: what the files' distances are ---- */

/* The ids that both have for a query, as evidence. */
static void
compare_distances(struct comparison *c, struct mpivf_scale_evidence *evidence)
{
    uint64_t mine = gather(c->result.hit, c->result.reader.k, c->mine);
    uint64_t right = gather(c->truth.hit, c->truth.reader.k, c->right);
    double largest = 0;
    for (uint64_t i = 0; i < mine; i++)
        largest = fmax(largest, fabs(c->mine[i].distance)); /* of what is a number */
    for (uint64_t i = 0, j = 0; i < mine && j < right;) {
        const struct mpivf_hit *here = &c->mine[i], *there = &c->right[j];
        i += here->id <= there->id;
        j += there->id <= here->id;
        if (here->id == there->id && isfinite(here->distance) && isfinite(there->distance))
            mpivf_scale_add(evidence, there->distance, here->distance, largest);
    }
}

static bool
any_finite(const struct mpivf_side *side, uint64_t rows)
{
    for (uint64_t i = 0; i < rows * side->reader.k; i++)
        if (side->id[i] >= 0 && isfinite(side->distance[i]))
            return true;
    return false;
}

static mpivf_status
read_block(struct comparison *c, uint64_t first, uint64_t *n)
{
    uint64_t left = c->truth.reader.queries - first;
    *n = left < c->block ? left : c->block;
    mpivf_status status = mpivf_side_read(c->ctx, &c->result, first, *n);
    return status ? status : mpivf_side_read(c->ctx, &c->truth, first, *n);
}

static mpivf_status
look(struct comparison *c, struct mpivf_scale_evidence *evidence)
{
    mpivf_status status = MPIVF_OK;
    for (uint64_t first = 0, n; first < c->truth.reader.queries && status == MPIVF_OK; first += n) {
        status = read_block(c, first, &n);
        if (status == MPIVF_OK) {
            c->result.known = c->result.known || any_finite(&c->result, n);
            c->truth.known = c->truth.known || any_finite(&c->truth, n);
        }
        for (uint64_t q = first; q < first + n && status == MPIVF_OK; q++) {
            mpivf_side_row(&c->result, q);
            mpivf_side_row(&c->truth, q);
            mpivf_side_look(&c->result);
            mpivf_side_look(&c->truth);
            compare_distances(c, evidence);
        }
    }
    return status;
}

/* ---- what to count by ---- */

/* The sign that a file's own order gives its distances; 0 when its rows are in no order. */
static int
sign_of(const struct mpivf_side *side, bool reversed)
{
    if (!side->known)
        return 0;
    uint64_t against = reversed ? side->rises : side->falls;
    return against == 0 ? 1 : (reversed ? side->falls : side->rises) == 0 ? -1 : 0;
}

static bool
out_of_order(const struct mpivf_side *side, int sign)
{
    return (sign > 0 && side->falls > 0) || (sign < 0 && side->rises > 0);
}

static void
decide(struct comparison *c, const struct mpivf_scale_evidence *evidence)
{
    const struct mpivf_result_reader *result = &c->result.reader, *truth = &c->truth.reader;
    const enum mpivf_metric *metric = result->metric_known  ? &result->metric
                                      : truth->metric_known ? &truth->metric
                                                            : NULL;
    c->scale = mpivf_scale_find(evidence, metric, result->ours && truth->ours);
    bool reverses = c->scale >= 0 && mpivf_scale_reverses(c->scale);
    if (result->exact)
        c->sign = 1;
    else if (c->scale >= 0 && sign_of(&c->result, false) != 0)
        c->sign = sign_of(&c->result, false);
    else
        c->sign = sign_of(&c->truth, reverses);
    int truth_sign = reverses ? -c->sign : c->sign;
    c->sort_result = (result->exact || c->scale >= 0) && out_of_order(&c->result, c->sign);
    c->sort_truth = c->scale >= 0 && out_of_order(&c->truth, truth_sign);
    bool linked = evidence->pairs > 0 || !c->result.known; /* nothing says they do not belong together */
    c->eval->counted = c->scale >= 0 && result->exact ? MPIVF_EVAL_DISTANCES
                       : !result->exact && c->truth.known && c->sign != 0 && linked
                           ? MPIVF_EVAL_TIES
                           : MPIVF_EVAL_IDS;
    c->eval->converted = c->scale > MPIVF_SCALE_SAME ? mpivf_scale_name(c->scale) : NULL;
    c->eval->common = evidence->pairs;
    c->eval->unequal = evidence->pairs - evidence->equal[c->scale < 0 ? MPIVF_SCALE_SAME : c->scale];
}

static void
say_why_ids(const struct comparison *c, const struct mpivf_scale_evidence *evidence)
{
    const char *result = c->result.reader.path, *truth = c->truth.reader.path;
    if (!c->truth.known)
        mpivf_note(c->ctx, "'%s' has no distances: only ids are counted", truth);
    else if (evidence->pairs == 0)
        mpivf_note(c->ctx, "no id of '%s' is in '%s' for the same query, which would show that their "
                   "distances compare: only ids are counted", result, truth);
    else if (evidence->equal[MPIVF_SCALE_SAME] == evidence->pairs)
        mpivf_note(c->ctx, "the ids in both files are at distances (0, 1...) that do not show by which "
                   "convention '%s' measures: only ids are counted", truth);
    else if (c->scale >= 0)
        mpivf_note(c->ctx, "neither file is in an order of distance: only ids are counted");
    else
        mpivf_note(c->ctx, "%llu of the %llu ids in both files have another distance in '%s' than in "
                   "'%s', by no known convention (another base or metric?): only ids are counted",
                   (unsigned long long)c->eval->unequal, (unsigned long long)evidence->pairs, truth,
                   result);
}

static void
say(const struct comparison *c, const struct mpivf_scale_evidence *evidence)
{
    const struct mpivf_eval *eval = c->eval;
    const char *result = c->result.reader.path, *truth = c->truth.reader.path;
    if (eval->counted == MPIVF_EVAL_IDS)
        say_why_ids(c, evidence);
    if (eval->counted == MPIVF_EVAL_IDS && c->truth.falls > 0 && c->truth.rises > 0 && !c->sort_truth)
        mpivf_note(c->ctx, "rows of '%s' are in no order of distance: taken as they stand", truth);
    if (eval->silent > 0)
        mpivf_note(c->ctx, "'%s' has no neighbour for %llu of %llu queries: they are left out", truth,
                   (unsigned long long)eval->silent, (unsigned long long)eval->queries);
    if (eval->result_k != eval->truth_k)
        mpivf_note(c->ctx, "'%s' has %llu neighbours a query, '%s' has %llu: what both have is compared",
                   result, (unsigned long long)eval->result_k, truth,
                   (unsigned long long)eval->truth_k);
    if (eval->converted)
        mpivf_note(c->ctx, "'%s' holds %s: converted to the distances of '%s'", truth,
                   eval->converted, result);
    if (c->scale >= 0 && eval->unequal > 0)
        mpivf_note(c->ctx, "%llu of the %llu ids in both files have other distances",
                   (unsigned long long)eval->unequal, (unsigned long long)eval->common);
    for (int i = 0; i < 2; i++)
        if (i == 0 ? c->sort_result : c->sort_truth)
            mpivf_note(c->ctx, "rows of '%s' are not in the order of their distances: sorted",
                       i == 0 ? result : truth);
}

/* ---- second reading: counting ---- */

static bool
contains(const int64_t *sorted, uint64_t n, int64_t id)
{
    return bsearch(&id, sorted, n, sizeof id, mpivf_compare_i64) != NULL;
}

/* The ids of the first n of the truth, for contains. */
static const int64_t *
ids_of(const struct comparison *c, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        c->sorted[i] = c->truth.hit[i].id;
    qsort(c->sorted, n, sizeof *c->sorted, mpivf_compare_i64);
    return c->sorted;
}

/* Keep the first of equal ids among the first n of the truth. How many are left. */
static uint64_t
drop_repeated(const struct comparison *c, uint64_t n)
{
    struct mpivf_hit *hit = c->truth.hit;
    const int64_t *sorted = ids_of(c, n);
    uint64_t kept = 0, repeated = 0;
    for (uint64_t i = 1; i < n; i++)
        repeated += sorted[i] == sorted[i - 1];
    for (uint64_t i = 0; i < n && repeated > 0; i++) {
        uint64_t before = 0;
        while (before < kept && hit[before].id != hit[i].id)
            before++;
        if (before == kept)
            hit[kept++] = hit[i];
    }
    return repeated > 0 ? kept : n;
}

/* The truth's row with the result's distances, nearest first, each id once. How many. */
static uint64_t
prepare_truth(const struct comparison *c)
{
    const struct mpivf_side *side = &c->truth;
    struct mpivf_hit *hit = side->hit;
    uint64_t n = 0;
    for (uint64_t i = 0; i < side->reader.k; i++)
        if (hit[i].id >= 0) {
            double d = c->scale >= 0 ? mpivf_scale_map(c->scale, hit[i].distance) : hit[i].distance;
            hit[n++] = (struct mpivf_hit){hit[i].id, c->sign < 0 ? -d : d};
        }
    if (c->sort_truth)
        qsort(hit, n, sizeof *hit, by_distance);
    return drop_repeated(c, n);
}

static void
prepare_result(const struct comparison *c)
{
    const struct mpivf_side *side = &c->result;
    for (uint64_t i = 0; i < side->reader.k && c->sign < 0; i++)
        side->hit[i].distance = -side->hit[i].distance;
    if (c->sort_result)
        qsort(side->hit, side->reader.k, sizeof *side->hit, by_distance);
}

/* Share of the truth's first k that one query's first k have found, by ids and with ties. */
struct found {
    double ids, ties;
};

static struct found
compare_query(const struct comparison *c, uint64_t rows, uint64_t k)
{
    const struct mpivf_hit *right = c->truth.hit;
    uint64_t want = rows < k ? rows : k; /* fewer rows than k: the truth is shorter */
    uint64_t group = want, ids = 0, ties = 0, hits = gather(c->result.hit, k, c->mine);
    double limit = right[want - 1].distance + TIE * fabs(right[want - 1].distance);
    const int64_t *sorted = ids_of(c, want);
    for (uint64_t i = 0; i < hits; i++)
        ids += contains(sorted, want, c->mine[i].id);
    if (c->eval->counted == MPIVF_EVAL_IDS)
        return (struct found){(double)ids / (double)want, NAN};
    while (group < rows && right[group].distance <= limit)
        group++;
    sorted = ids_of(c, group);
    for (uint64_t i = 0; i < hits; i++)
        ties += contains(sorted, group, c->mine[i].id) ||
                (c->eval->counted == MPIVF_EVAL_DISTANCES && c->mine[i].distance <= limit);
    if (ties > want)
        ties = want;
    return (struct found){(double)ids / (double)want, (double)ties / (double)want};
}

/* Sums of distances at the same places. */
struct distance_sums {
    double result, truth;
};

static void
add_distances(const struct comparison *c, uint64_t rows, uint64_t k, struct distance_sums *sums)
{
    for (uint64_t i = 0; i < k && i < rows; i++)
        if (c->result.hit[i].id >= 0 && isfinite(c->result.hit[i].distance)) {
            sums->result += c->result.hit[i].distance;
            sums->truth += c->truth.hit[i].distance;
        }
}

static void
count_query(struct comparison *c, struct distance_sums *sums)
{
    struct mpivf_eval *eval = c->eval;
    uint64_t rows = prepare_truth(c);
    if (rows == 0) {
        eval->silent++;
        return;
    }
    prepare_result(c);
    for (int i = 0; i < eval->depths; i++) {
        struct found found = compare_query(c, rows, eval->at[i].k);
        double judged = eval->counted == MPIVF_EVAL_IDS ? found.ids : found.ties;
        eval->at[i].id_recall += found.ids;
        eval->at[i].tie_recall += found.ties;
        eval->at[i].worst = fmin(eval->at[i].worst, judged);
    }
    add_distances(c, rows, eval->at[eval->depths - 1].k, sums);
}

static void
set_depths(struct mpivf_eval *eval)
{
    uint64_t most = eval->result_k < eval->truth_k ? eval->result_k : eval->truth_k;
    for (int i = 0; i < MPIVF_EVAL_DEPTHS && depths[i] < most; i++)
        eval->at[eval->depths++].k = depths[i];
    eval->at[eval->depths++].k = most;
    for (int i = 0; i < eval->depths; i++)
        eval->at[i].worst = 1;
}

static mpivf_status
count(struct comparison *c)
{
    struct mpivf_eval *eval = c->eval;
    struct distance_sums sums = {0, 0};
    mpivf_status status = MPIVF_OK;
    set_depths(eval);
    for (uint64_t first = 0, n; first < eval->queries && status == MPIVF_OK; first += n) {
        status = read_block(c, first, &n);
        for (uint64_t q = first; q < first + n && status == MPIVF_OK; q++) {
            mpivf_side_row(&c->result, q);
            mpivf_side_row(&c->truth, q);
            count_query(c, &sums);
        }
    }
    if (status)
        return status;
    uint64_t judged = eval->queries - eval->silent;
    if (judged == 0)
        return mpivf_fail(c->ctx, MPIVF_INPUT, "'%s' has no neighbour for any query: recall against "
                          "it is not defined", c->truth.reader.path);
    for (int i = 0; i < eval->depths; i++) {
        eval->at[i].id_recall /= (double)judged;
        eval->at[i].tie_recall /= (double)judged;
    }
    bool comparable = c->scale >= 0 || (c->result.reader.ours && c->truth.reader.ours &&
                                        !c->result.reader.exact);
    eval->mean_distance_ratio = !comparable               ? NAN
                                : sums.result == sums.truth ? 1
                                                            : sums.result / sums.truth;
    return MPIVF_OK;
}

/* ---- the whole ---- */

static mpivf_status
check_pair(struct mpivf_context *ctx, const struct mpivf_result_reader *result,
           const struct mpivf_result_reader *truth)
{
    if (result->queries != truth->queries || result->queries == 0)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' answers %llu queries, '%s' has %llu; both have to "
                          "be made from the same queries", result->path,
                          (unsigned long long)result->queries, truth->path,
                          (unsigned long long)truth->queries);
    bool told = result->distance[0] != '\0' && truth->distance[0] != '\0';
    bool same = result->metric_known && truth->metric_known
                    ? result->metric == truth->metric
                    : strcmp(result->distance, truth->distance) == 0;
    if (told && !same)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' is for metric %s, '%s' for %s", result->path,
                          result->distance, truth->path, truth->distance);
    if (result->k == 0 || truth->k == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "there are no neighbours to compare");
    return MPIVF_OK;
}

static uint64_t
largest_chunk(const struct mpivf_result_reader *reader)
{
    uint64_t ids = reader->neighbors.chunk_bytes, far = reader->distances.chunk_bytes;
    return ids > far ? ids : far;
}

static mpivf_status
comparison_init(struct comparison *c)
{
    struct mpivf_context *ctx = c->ctx;
    const struct mpivf_result_reader *result = &c->result.reader, *truth = &c->truth.reader;
    uint64_t chunk = largest_chunk(result), other = largest_chunk(truth);
    chunk = chunk > other ? chunk : other;
    size_t want = chunk > CACHE_USUAL ? 2 * chunk : 0; /* a chunk, and what it is inflated from */
    mpivf_status status = mpivf_memory_reserve(ctx, "a chunk of neighbours", want);
    if (status)
        return status;
    c->reserved = want;
    c->mine = mpivf_alloc(ctx, "neighbours", result->k, sizeof *c->mine);
    c->right = mpivf_alloc(ctx, "neighbours", truth->k, sizeof *c->right);
    c->sorted = mpivf_alloc(ctx, "neighbours", truth->k, sizeof *c->sorted);
    if (!c->mine || !c->right || !c->sorted)
        return MPIVF_MEMORY;
    uint64_t row = (result->k + truth->k) * sizeof(struct mpivf_hit);
    uint64_t left = mpivf_memory_left(ctx) / 2, room = left < BLOCK_BYTES ? left : BLOCK_BYTES;
    c->block = room / row < truth->queries ? room / row : truth->queries;
    c->block = c->block > 0 ? c->block : 1;
    status = mpivf_side_init(ctx, &c->result, c->block);
    return status ? status : mpivf_side_init(ctx, &c->truth, c->block);
}

static void
comparison_clear(struct comparison *c)
{
    mpivf_side_clear(c->ctx, &c->result);
    mpivf_side_clear(c->ctx, &c->truth);
    mpivf_free(c->ctx, c->mine);
    mpivf_free(c->ctx, c->right);
    mpivf_free(c->ctx, c->sorted);
    mpivf_memory_release(c->ctx, c->reserved);
}

mpivf_status
mpivf_eval_files(struct mpivf_context *ctx, const char *result, const char *truth,
                 struct mpivf_eval *eval)
{
    struct mpivf_scale_evidence evidence = {0};
    struct comparison c = {.ctx = ctx, .truth.truth = true, .eval = eval};
    memset(eval, 0, sizeof *eval);
    mpivf_status status = mpivf_result_open(ctx, result, &c.result.reader);
    if (status == MPIVF_OK)
        status = mpivf_result_open(ctx, truth, &c.truth.reader);
    if (status == MPIVF_OK)
        status = check_pair(ctx, &c.result.reader, &c.truth.reader);
    if (status == MPIVF_OK) {
        eval->queries = c.truth.reader.queries;
        eval->result_k = c.result.reader.k;
        eval->truth_k = c.truth.reader.k;
        status = comparison_init(&c);
    }
    if (status == MPIVF_OK)
        status = look(&c, &evidence);
    if (status == MPIVF_OK) {
        decide(&c, &evidence);
        status = count(&c);
    }
    if (status == MPIVF_OK)
        say(&c, &evidence);
    comparison_clear(&c);
    return status;
}

const char *
mpivf_eval_counted_name(enum mpivf_eval_counted counted)
{
    static const char *const names[] = {"ids", "ties", "distances"};
    return names[counted];
}
