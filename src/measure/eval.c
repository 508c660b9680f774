#include <mpivf/eval.h>

#include "base/then.h"
#include "measure/terms.h"

#include <math.h>
#include <string.h>

static const double TIE = 1e-6; /* relative: two sums of the same numbers in different orders */

/* A truth in float32 may be wrong by so much, and for so many rows; see scale.h. */
static const double NEARER = 1e-4, MAX_NEARER = 0.01;

static const uint64_t depths[MPIVF_EVAL_DEPTHS] = {1, 5, 10, 50, 100};

enum { MAX_BYTES = 512 << 20, SLACK = 64 << 10 };

/* Two files being compared. */
struct comparison {
    struct mpivf_context *ctx;
    struct mpivf_side result, truth;
    uint64_t block;                 /* queries at a time */
    struct mpivf_hit *mine, *right; /* owned, room for a row of each, by id */
    int64_t *sorted;                /* owned, [k of the truth] */
    struct mpivf_pool pool;         /* of what is owned, and of both sides */
    struct mpivf_terms terms;
    struct mpivf_eval_summary *eval;
    double worst_ids[MPIVF_EVAL_DEPTHS + 1]; /* the least id recall of a query */
    uint64_t nearer; /* rows that the truth has not, though they are nearer than its last */
};

/* ---- first reading: what the files' distances are ---- */

/* The ids that both have for a query, as evidence. */
static void
compare_distances(struct comparison *c, struct mpivf_scale_evidence *evidence)
{
    uint64_t mine = mpivf_hits_gather(c->result.hit, c->result.reader.k, c->mine);
    uint64_t right = mpivf_hits_gather(c->truth.hit, c->truth.reader.k, c->right);
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
    THEN(status, mpivf_side_read(c->ctx, &c->truth, first, *n));
    return status;
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

/* ---- second reading: counting ---- */

/* The truth's row with the result's distances, nearest first, each id once. How many. */
static uint64_t
prepare_truth(const struct comparison *c)
{
    const struct mpivf_side *side = &c->truth;
    struct mpivf_hit *hit = side->hit;
    uint64_t n = 0;
    for (uint64_t i = 0; i < side->reader.k; i++)
        if (hit[i].id >= 0) {
            double d = hit[i].distance;
            if (c->terms.scale >= 0)
                d = mpivf_scale_map(c->terms.scale, d);
            hit[n++] = (struct mpivf_hit){hit[i].id, c->terms.sign < 0 ? -d : d};
        }
    if (c->terms.sort_truth)
        mpivf_hits_sort(hit, n);
    return mpivf_hits_drop_repeated(hit, n, c->sorted);
}

static void
prepare_result(const struct comparison *c)
{
    const struct mpivf_side *side = &c->result;
    for (uint64_t i = 0; i < side->reader.k && c->terms.sign < 0; i++)
        side->hit[i].distance = -side->hit[i].distance;
    if (c->terms.sort_result)
        mpivf_hits_sort(side->hit, side->reader.k);
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
    uint64_t group = want, ids = 0, ties = 0, hits = mpivf_hits_gather(c->result.hit, k, c->mine);
    double limit = right[want - 1].distance + TIE * fabs(right[want - 1].distance);
    const int64_t *sorted = mpivf_hits_ids(c->truth.hit, want, c->sorted);
    for (uint64_t i = 0; i < hits; i++)
        ids += mpivf_hits_have(sorted, want, c->mine[i].id);
    if (c->terms.counted == MPIVF_EVAL_IDS)
        return (struct found){(double)ids / (double)want, NAN};
    while (group < rows && right[group].distance <= limit)
        group++;
    sorted = mpivf_hits_ids(c->truth.hit, group, c->sorted);
    for (uint64_t i = 0; i < hits; i++)
        ties += mpivf_hits_have(sorted, group, c->mine[i].id) ||
                (c->terms.counted == MPIVF_EVAL_DISTANCES && c->mine[i].distance <= limit);
    if (ties > want)
        ties = want;
    return (struct found){(double)ids / (double)want, (double)ties / (double)want};
}

/* Rows that would be in the truth, if it were that of the result's base. */
static uint64_t
count_nearer(const struct comparison *c, uint64_t rows)
{
    double last = c->truth.hit[rows - 1].distance, limit = last - NEARER * fabs(last);
    uint64_t nearer = 0, hits = mpivf_hits_gather(c->result.hit, c->result.reader.k, c->mine);
    const int64_t *sorted = mpivf_hits_ids(c->truth.hit, rows, c->sorted);
    for (uint64_t i = 0; i < hits && c->terms.counted == MPIVF_EVAL_DISTANCES; i++)
        nearer += c->mine[i].distance < limit && !mpivf_hits_have(sorted, rows, c->mine[i].id);
    return nearer;
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
    struct mpivf_eval_summary *eval = c->eval;
    uint64_t rows = prepare_truth(c);
    if (rows == 0) {
        eval->silent++;
        return;
    }
    prepare_result(c);
    for (int i = 0; i < eval->depths; i++) {
        struct found found = compare_query(c, rows, eval->at[i].k);
        eval->at[i].id_recall += found.ids;
        eval->at[i].tie_recall += found.ties;
        eval->at[i].worst = fmin(eval->at[i].worst, found.ties);
        c->worst_ids[i] = fmin(c->worst_ids[i], found.ids);
    }
    c->nearer += count_nearer(c, rows);
    add_distances(c, rows, eval->at[eval->depths - 1].k, sums);
}

static void
set_depths(struct comparison *c)
{
    struct mpivf_eval_summary *eval = c->eval;
    uint64_t max = eval->result_k < eval->truth_k ? eval->result_k : eval->truth_k;
    for (int i = 0; i < MPIVF_EVAL_DEPTHS && depths[i] < max; i++)
        eval->at[eval->depths++].k = depths[i];
    eval->at[eval->depths++].k = max;
    for (int i = 0; i < eval->depths; i++)
        eval->at[i].worst = c->worst_ids[i] = 1;
}

/* From sums over queries to means, by what may be counted. */
static void
set_recalls(struct comparison *c, uint64_t judged, const struct distance_sums *sums)
{
    struct mpivf_eval_summary *eval = c->eval;
    const struct mpivf_result_reader *result = &c->result.reader, *truth = &c->truth.reader;
    bool refuted = (double)c->nearer > MAX_NEARER * (double)(judged * eval->result_k);
    bool comparable =
        !refuted && (c->terms.scale >= 0 || (result->ours && truth->ours && !result->exact));
    if (refuted) {
        c->terms.counted = MPIVF_EVAL_IDS;
        mpivf_note(c->ctx,
                   "%llu rows of '%s' are nearer than the last of '%s' and not in it, "
                   "which is the truth of another base: only ids are counted",
                   (unsigned long long)c->nearer, result->path, truth->path);
    }
    for (int i = 0; i < eval->depths; i++) {
        eval->at[i].id_recall /= (double)judged;
        eval->at[i].tie_recall /= (double)judged;
        if (c->terms.counted == MPIVF_EVAL_IDS) {
            eval->at[i].tie_recall = NAN;
            eval->at[i].worst = c->worst_ids[i];
        }
    }
    eval->counted = c->terms.counted;
    eval->mean_distance_ratio = !comparable                   ? NAN
                                : sums->result == sums->truth ? 1
                                                              : sums->result / sums->truth;
}

static mpivf_status
count(struct comparison *c)
{
    struct mpivf_eval_summary *eval = c->eval;
    struct distance_sums sums = {0, 0};
    mpivf_status status = MPIVF_OK;
    set_depths(c);
    for (uint64_t first = 0, n; first < eval->queries && status == MPIVF_OK; first += n) {
        status = read_block(c, first, &n);
        for (uint64_t q = first; q < first + n && status == MPIVF_OK; q++) {
            mpivf_side_row(&c->result, q);
            mpivf_side_row(&c->truth, q);
            count_query(c, &sums);
        }
    }
    uint64_t judged = eval->queries - eval->silent;
    if (status == MPIVF_OK && judged == 0)
        status = mpivf_fail(c->ctx, MPIVF_INPUT,
                            "'%s' has no neighbour for any query: recall "
                            "against it is not defined",
                            c->truth.reader.path);
    if (status == MPIVF_OK)
        set_recalls(c, judged, &sums);
    return status;
}

/* ---- the whole ---- */

static void
say(const struct comparison *c, const struct mpivf_scale_evidence *evidence)
{
    const struct mpivf_eval_summary *eval = c->eval;
    const char *result = c->result.reader.path, *truth = c->truth.reader.path;
    if (c->nearer == 0 || eval->counted != MPIVF_EVAL_IDS) /* else it is said already */
        mpivf_terms_say(c->ctx, &c->terms, &c->result, &c->truth, evidence);
    if (eval->silent > 0)
        mpivf_note(c->ctx, "'%s' has no neighbour for %llu of %llu queries: they are left out",
                   truth, (unsigned long long)eval->silent, (unsigned long long)eval->queries);
    if (eval->result_k > eval->truth_k)
        mpivf_note(c->ctx,
                   "'%s' has %llu neighbours a query, of the %llu of '%s' so many are "
                   "compared",
                   truth, (unsigned long long)eval->truth_k, (unsigned long long)eval->result_k,
                   result);
}

static mpivf_status
check_pair(struct mpivf_context *ctx, const struct mpivf_result_reader *result,
           const struct mpivf_result_reader *truth)
{
    if (result->queries != truth->queries || result->queries == 0)
        return mpivf_fail(ctx, MPIVF_MISMATCH,
                          "'%s' answers %llu queries, '%s' has %llu; both have "
                          "to be made from the same queries",
                          result->path, (unsigned long long)result->queries, truth->path,
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

/* Bytes that reading a file takes: its datasets are read one after the other. */
static uint64_t
reading_bytes(const struct mpivf_result_reader *reader)
{
    uint64_t ids = reader->neighbors.reading_bytes, far = reader->distances.reading_bytes;
    return ids > far ? ids : far;
}

/* Room for blocks of so many queries. */
static void
lay_out(struct comparison *c, struct mpivf_pool *pool, uint64_t block)
{
    c->block = block;
    c->mine = mpivf_pool_take(pool, c->result.reader.k, sizeof *c->mine);
    c->right = mpivf_pool_take(pool, c->truth.reader.k, sizeof *c->right);
    c->sorted = mpivf_pool_take(pool, c->truth.reader.k, sizeof *c->sorted);
    mpivf_side_lay_out(&c->result, pool, block);
    mpivf_side_lay_out(&c->truth, pool, block);
}

static size_t
bytes_for(struct comparison *c, uint64_t block)
{
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(c, &pool, block);
    return pool.bytes;
}

static mpivf_status
comparison_init(struct comparison *c)
{
    struct mpivf_context *ctx = c->ctx;
    uint64_t result = reading_bytes(&c->result.reader), truth = reading_bytes(&c->truth.reader);
    size_t reading = (result > truth ? result : truth) + SLACK;
    size_t one = bytes_for(c, 1), fixed = bytes_for(c, 0), left;
    size_t each = mpivf_pool_slope(bytes_for(c, MPIVF_POOL_MANY), fixed, MPIVF_POOL_MANY);
    mpivf_status status =
        mpivf_memory_plan(ctx, "comparing neighbours", one + reading, MAX_BYTES, NULL, &left);
    if (status)
        return status;
    uint64_t block = left - reading > fixed ? (left - reading - fixed) / each : 1;
    block = block < c->truth.reader.queries ? block : c->truth.reader.queries;
    c->pool = mpivf_pool_taking(ctx, "neighbours");
    lay_out(c, &c->pool, block > 0 ? block : 1);
    return mpivf_pool_status(&c->pool);
}

mpivf_status
mpivf_eval_files(struct mpivf_context *ctx, const char *result, const char *truth,
                 struct mpivf_eval_summary *eval)
{
    struct mpivf_scale_evidence evidence = {0};
    struct comparison c = {.ctx = ctx, .truth.truth = true, .eval = eval};
    memset(eval, 0, sizeof *eval);
    mpivf_status status = mpivf_result_open(ctx, result, &c.result.reader);
    THEN(status, mpivf_result_open(ctx, truth, &c.truth.reader));
    THEN(status, check_pair(ctx, &c.result.reader, &c.truth.reader));
    if (status == MPIVF_OK) {
        eval->queries = c.truth.reader.queries;
        eval->result_k = c.result.reader.k;
        eval->truth_k = c.truth.reader.k;
        status = comparison_init(&c);
    }
    THEN(status, look(&c, &evidence));
    if (status == MPIVF_OK) {
        mpivf_terms_find(&c.result, &c.truth, &evidence, &c.terms);
        int scale = c.terms.scale;
        eval->common = evidence.pairs;
        eval->unequal = evidence.pairs - evidence.equal[scale < 0 ? MPIVF_SCALE_SAME : scale];
        eval->converted = scale > MPIVF_SCALE_SAME ? mpivf_scale_name(scale) : NULL;
        status = count(&c);
    }
    if (status == MPIVF_OK)
        say(&c, &evidence);
    mpivf_pool_clear(&c.pool);
    return status;
}

const char *
mpivf_eval_counted_name(enum mpivf_eval_counted counted)
{
    static const char *const names[] = {"ids", "ties", "distances"};
    return names[counted];
}
