#include "math/nearest.h"

#include "math/blas.h"
#include "math/nearest_one.h"
#include "math/tile.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>

/* What one call works on: the k nearest rows or the nearest. */
struct scan {
    const struct mpivf_packed_queries *queries;
    const struct mpivf_packed_rows *packed;
    const struct mpivf_pending_scan *many; /* NULL: the nearest alone, */
    struct mpivf_pending *pending;
    const struct mpivf_one *one;
    struct mpivf_tile *tile;
    struct mpivf_mirror *mirror; /* NULL: rows are not queries */
};

/* Is it the mirror that holds what is found for a query? */
static bool
is_row(const struct scan *s, size_t q)
{
    return s->mirror && mpivf_mirror_is_row(s->mirror, q);
}

/* No row that is farther can be among those wanted; `place` counts the queries that are scanned. */
static double
limit_of(const struct scan *s, size_t q, size_t place)
{
    if (is_row(s, q))
        return mpivf_mirror_limit(s->mirror, q);
    return s->many ? mpivf_pending_limit(s->pending, s->many, q, place)
                   : s->one->rivals->limit[place];
}

static void
take(const struct scan *s, size_t q, size_t place, uint32_t *survivor, float *value,
     size_t survivors)
{
    if (s->many)
        mpivf_pending_put(s->pending, s->many, q, place, survivor, value, NULL, survivors);
    else
        mpivf_one_take(s->one, q, place, survivor, value, survivors);
}

/*
 * The same with a mirror: what the comparison left is for the query, for the row, or for both; of
 * pairs that are compared this way round.
 */
static void
take_both(const struct scan *s, size_t q, size_t place, const struct mpivf_group *group, size_t i,
          size_t survivors)
{
    struct mpivf_mirror *mirror = s->mirror;
    uint32_t *survivor = group->survivor[i];
    float *value = group->value[i];
    size_t left = 0;
    for (size_t j = 0; j < survivors; j++) {
        size_t row = survivor[j];
        if (!mpivf_mirror_has(mirror, q, mirror->query[row]))
            continue;
        if (!(value[j] > mpivf_mirror_reach(mirror, row) + group->across[i]))
            mpivf_mirror_put_back(mirror, s->packed, q, row, value[j]);
        if (value[j] > group->limit[i])
            continue;
        if (is_row(s, q)) {
            mpivf_mirror_put(mirror, s->packed, q, row, value[j]);
        } else {
            survivor[left] = survivor[j];
            value[left++] = value[j];
        }
    }
    if (left > 0)
        take(s, q, place, survivor, value, left);
}

/* What is left of some rows for query i of a group, by number. */
static void
take_left(const struct scan *s, size_t q, size_t place, const struct mpivf_group *group, size_t i,
          size_t survivors)
{
    if (s->mirror)
        take_both(s, q, place, group, i, survivors);
    else if (survivors > 0)
        take(s, q, place, group->survivor[i], group->value[i], survivors);
}

/* Queries that lie apart come late from memory: ask before they are needed. */
static void
fetch_ahead(const struct scan *s, const uint32_t *subset, size_t n)
{
    enum { LINE = 64 };
    const struct mpivf_packed_queries *queries = s->queries;
    for (size_t i = 0; i < n; i++) {
        const char *word = queries->word + subset[i] * queries->steps * 4;
        __builtin_prefetch(&queries->bound[subset[i]]);
        for (size_t j = 0; j < queries->steps * 4; j += LINE)
            __builtin_prefetch(word + j);
    }
}

static size_t
query_at(const struct mpivf_scan_of *of, size_t i)
{
    return of->subset ? of->subset[i] : of->first + i;
}

/* Put a query into its group. */
static void
join_group(const struct scan *s, const struct mpivf_packed_queries *queries, size_t q, size_t place,
           struct mpivf_group *group, size_t i)
{
    mpivf_prepare_group(queries, q, limit_of(s, q, place), group, i);
    group->across[i] = s->mirror ? mpivf_prepare_across(queries, q) : 0;
}

/* Panels of either look, and what is known of their rows as queries. */
static struct mpivf_panels
panels_at(const struct scan *s, const struct mpivf_packed_rows *packed, size_t at, size_t panels)
{
    struct mpivf_panels rows = mpivf_prepare_panels(packed, at, panels);
    rows.reach = s->mirror ? s->tile->reach : NULL;
    return rows;
}

/* The group of queries from `place` on; where it is short its last query stands in for others. */
static struct mpivf_group
group_at(const struct scan *s, const struct mpivf_scan_of *of, size_t place)
{
    struct mpivf_group group = {.n = of->n - place < MPIVF_GROUP ? of->n - place : MPIVF_GROUP};
    for (size_t i = 0; i < MPIVF_GROUP; i++) {
        size_t one = place + (i < group.n ? i : group.n - 1), q = query_at(of, one);
        join_group(s, s->queries->first ? s->queries->first : s->queries, q, one, &group, i);
        group.survivor[i] = s->tile->survivor + i * MPIVF_BLOCK_ROWS;
        group.value[i] = s->tile->value + i * MPIVF_BLOCK_ROWS;
        group.mask[i] =
            s->packed->first ? s->tile->mask + i * (MPIVF_BLOCK_ROWS / MPIVF_PANEL) : NULL;
    }
    return group;
}

/* Of the rows from `at` on that the first look leaves for a query those that the second does. */
static void
look_again(const struct scan *s, size_t q, size_t place, size_t at, size_t panels,
           struct mpivf_group *group, size_t i)
{
    struct mpivf_panels rows = panels_at(s, s->packed, at, 1);
    group->survivors[i] = mpivf_kernel()->columns(group->mask[i], panels, group->survivor[i]);
    if (group->survivors[i] == 0)
        return;
    join_group(s, s->queries, q, place, group, i);
    s->packed->filter->refine(mpivf_kernel())(&rows, group, i);
}

/* What is left of rows from `at` on, query by query. */
static void
take_group(const struct scan *s, const struct mpivf_scan_of *of, size_t place, size_t at,
           size_t panels, struct mpivf_group *group)
{
    for (size_t i = 0; i < group->n; i++) {
        size_t survivors = 0; /* a query without bounds keeps padding too */
        if (s->packed->first)
            look_again(s, query_at(of, place + i), place + i, at, panels, group, i);
        for (size_t j = 0; j < group->survivors[i]; j++) {
            size_t row = group->survivor[i][j] + at;
            group->survivor[i][survivors] = (uint32_t)row;
            group->value[i][survivors] = group->value[i][j];
            survivors += row < s->packed->rows;
        }
        take_left(s, query_at(of, place + i), place + i, group, i, survivors);
    }
}

/* A part of the steps of some panels against groups of queries, the first of them at `place`. */
static void
scan_part(const struct scan *s, const struct mpivf_scan_of *of, const struct mpivf_panels *rows,
          struct mpivf_group *group, size_t groups, size_t place, size_t at)
{
    mpivf_compare compare = mpivf_filter_compare(mpivf_looked_at(s->packed)->filter);
    for (size_t g = 0; g < groups; g++, place += MPIVF_GROUP) {
        size_t next = place + MPIVF_GROUP;
        if (of->subset && next < of->n && rows->steps == rows->stride)
            fetch_ahead(s, of->subset + next,
                        of->n - next < MPIVF_GROUP ? of->n - next : MPIVF_GROUP);
        compare(rows, &group[g]);
        if (!group[g].left)
            take_group(s, of, place, at, rows->panels, &group[g]);
    }
}

/* Is any of n queries from `place` on compared with any of these rows? */
static bool
is_compared(const struct scan *s, const struct mpivf_scan_of *of, size_t place, size_t n, size_t at,
            size_t rows)
{
    size_t end = of->n - place < n ? of->n : place + n;
    return s->mirror == NULL ||
           mpivf_mirror_any(s->mirror, of->first + place, of->first + end, at, rows);
}

/*
 * A block of panels against all queries. Rows of many steps go in parts, so that what is compared
 * stays near: a part of the panels and of MPIVF_TILE_GROUPS groups, and their sums.
 */
static void
scan_block(const struct scan *s, const struct mpivf_scan_of *of, size_t at, size_t panels)
{
    enum { EACH = MPIVF_TILE_GROUPS * MPIVF_GROUP };
    const struct mpivf_packed_rows *first = mpivf_looked_at(s->packed);
    const size_t steps = first->steps, part = mpivf_goes_in_parts(steps) ? MPIVF_TILE_STEPS : steps;
    for (size_t place = 0; place < of->n; place += EACH) {
        struct mpivf_panels rows = panels_at(s, first, at, panels);
        struct mpivf_group group[MPIVF_TILE_GROUPS];
        if (!is_compared(s, of, place, EACH, at, panels * MPIVF_PANEL))
            continue;
        if (s->mirror)
            mpivf_mirror_reaches(s->mirror, at, panels * MPIVF_PANEL, s->tile->reach);
        size_t groups = 0;
        for (; groups < MPIVF_TILE_GROUPS && place + groups * MPIVF_GROUP < of->n; groups++) {
            group[groups] = group_at(s, of, place + groups * MPIVF_GROUP);
            if (mpivf_goes_in_parts(steps))
                group[groups].sums =
                    s->tile->sums + groups * MPIVF_GROUP * panels * MPIVF_PANEL * MPIVF_WORD;
        }
        for (size_t done = 0; done < steps; done += part) {
            rows.steps = steps - done < part ? steps - done : part;
            for (size_t g = 0; g < groups; g++) {
                group[g].goes_on = done > 0;
                group[g].left = done + part < steps;
            }
            scan_part(s, of, &rows, group, groups, place, at);
            /* on to the next part */
            rows.word = (const char *)rows.word + part * MPIVF_PANEL * MPIVF_WORD;
            for (size_t g = 0; g < groups; g++)
                for (size_t i = 0; i < MPIVF_GROUP; i++)
                    group[g].word[i] = (const char *)group[g].word[i] + part * MPIVF_WORD;
        }
    }
}

/* The same through sgemm, `n` at most MPIVF_TILE_QUERIES. */
static void
scan_products(const struct scan *s, const struct mpivf_scan_of *of, size_t start, size_t n,
              size_t at, size_t columns)
{
    const struct mpivf_packed_queries *queries = s->queries;
    const struct mpivf_packed_rows *packed = s->packed;
    const float *work = (const float *)(const void *)queries->word;
    const uint32_t *subset = of->subset ? of->subset + start : NULL;
    size_t dim = queries->dim, first = of->first + start;
    const float *rows = work + first * dim;
    float farthest = -FLT_MAX;
    if (s->mirror)
        mpivf_mirror_reaches(s->mirror, at, columns, s->tile->reach);
    for (size_t j = 0; s->mirror && j < columns; j++)
        farthest = s->tile->reach[j] > farthest ? s->tile->reach[j] : farthest;
    /* sgemm wants its queries one after the other */
    for (size_t i = 0; subset && i < n; i++)
        memcpy(s->tile->gather + i * dim, work + subset[i] * dim, dim * sizeof(float));
    mpivf_blas_products(subset ? s->tile->gather : rows, n,
                        (const float *)(const void *)packed->word + at * dim, columns, dim,
                        s->tile->product, MPIVF_BLOCK_ROWS);
    /* bounds of each product; the value of a survivor is what a kernel would tell */
    for (size_t i = 0; i < n; i++) {
        size_t q = subset ? subset[i] : first + i;
        const float *product = s->tile->product + i * MPIVF_BLOCK_ROWS;
        uint32_t *survivor = s->tile->survivor;
        struct mpivf_group group = {.survivor = {survivor}, .value = {s->tile->value}};
        join_group(s, queries, q, start + i, &group, 0);
        float limit = group.limit[0], back = farthest + group.across[0];
        if (s->mirror && !(back <= limit)) /* take_both tells whose it is */
            limit = back;
        size_t survivors = mpivf_kernel()->filter(product, packed->term + at, packed->norm + at,
                                                  columns, queries->bound[q].scale,
                                                  queries->bound[q].per_norm, limit, survivor);
        for (size_t j = 0; j < survivors; j++) {
            size_t row = at + survivor[j];
            s->tile->value[j] = packed->term[row] - queries->bound[q].scale * product[survivor[j]] -
                                queries->bound[q].per_norm * packed->norm[row];
            survivor[j] = (uint32_t)row;
        }
        take_left(s, q, start + i, &group, 0, survivors);
    }
}

/* n of its queries from number `start` on, or those that there are. */
static struct mpivf_scan_of
part_of(const struct mpivf_scan_of *of, size_t start, size_t n)
{
    struct mpivf_scan_of part = *of;
    part.subset = of->subset ? of->subset + start : NULL;
    part.first = of->first + start;
    part.n = of->n - start < n ? of->n - start : n;
    return part;
}

/* Some rows, a block or less, against all queries. */
static void
scan_rows(const struct scan *s, const struct mpivf_scan_of *of, size_t at, size_t rows)
{
    if (s->packed->filter->panels) {
        scan_block(s, of, at, mpivf_whole_panels(rows));
        return;
    }
    for (size_t start = 0; start < of->n; start += MPIVF_TILE_QUERIES)
        if (is_compared(s, of, start, MPIVF_TILE_QUERIES, at, rows))
            scan_products(s, of, start,
                          of->n - start < MPIVF_TILE_QUERIES ? of->n - start : MPIVF_TILE_QUERIES,
                          at, rows);
}

/*
 * Blocks follow one another at this distance, around a circle: near the golden section of it, and
 * with no divisor in common, so that every block has its turn. Rows that lie together are often
 * alike, and limits fall sooner where all kinds of rows come early.
 */
static size_t
distance_of(size_t blocks)
{
    size_t distance = blocks * 5 / 8 + 1;
    for (bool common = true; common; distance += common) {
        size_t a = blocks, b = distance;
        for (size_t rest; b > 0; a = b, b = rest)
            rest = a % b;
        common = a > 1;
    }
    return distance;
}

static void
scan_all(const struct scan *s, const struct mpivf_scan_of *of, size_t k)
{
    const struct mpivf_packed_rows *packed = s->packed;
    assert(s->queries->filter == packed->filter && s->queries->dim == packed->dim &&
           s->queries->metric == packed->metric);
    size_t block = packed->filter->panels ? mpivf_block_rows(packed) : MPIVF_BLOCK_ROWS,
           few = block;
    size_t blocks = (packed->rows + block - 1) / block, distance = distance_of(blocks);
    /* everything survives while there is no limit: begin with few rows */
    if (of->n > 0 && limit_of(s, of->subset ? of->subset[0] : of->first, 0) == INFINITY)
        few = mpivf_whole_panels(2 * k) * MPIVF_PANEL;
    for (size_t i = 0, b = 0; i < blocks; i++, b = (b + distance) % blocks) {
        size_t end = (b + 1) * block < packed->rows ? (b + 1) * block : packed->rows;
        if (!is_compared(s, of, 0, of->n, b * block, block))
            continue;
        for (size_t at = b * block, rows; at < end; at += rows, few = few < block ? 2 * few : few) {
            rows = end - at < few ? end - at : few;
            scan_rows(s, of, at, rows);
        }
    }
}

/* So many queries at a time as rows can be held for. */
void
mpivf_nearest_scan(const struct mpivf_packed_queries *queries, const struct mpivf_scan_of *of,
                   const struct mpivf_packed_rows *packed, struct mpivf_topk *topk,
                   struct mpivf_tile *tile, struct mpivf_pending *pending)
{
    assert(topk->queries >= of->first + (of->subset ? 0 : of->n));
    struct mpivf_pending_scan many = {queries, packed, topk, of->own};
    struct scan s = {queries, packed, &many, pending, NULL, tile, of->mirror};
    size_t each = mpivf_pending_queries(topk->k);
    for (size_t start = 0; start < of->n; start += each) {
        struct mpivf_scan_of part = part_of(of, start, each);
        for (size_t i = 0; i < part.n; i++)
            if (!is_row(&s, query_at(&part, i)))
                mpivf_pending_begin(pending, &many, query_at(&part, i), i);
        scan_all(&s, &part, topk->k);
        for (size_t i = 0; i < part.n; i++)
            if (!is_row(&s, query_at(&part, i)))
                mpivf_pending_settle(pending, &many, query_at(&part, i), i);
    }
}

void
mpivf_nearest_one(const struct mpivf_packed_queries *queries, const struct mpivf_scan_of *of,
                  const struct mpivf_packed_rows *packed, const struct mpivf_best *best,
                  struct mpivf_tile *tile)
{
    assert(packed->metric == MPIVF_L2 && !packed->raw.f64);
    for (size_t start = 0; start < of->n; start += MPIVF_ONE_QUERIES) {
        struct mpivf_scan_of part = part_of(of, start, MPIVF_ONE_QUERIES);
        struct mpivf_best some = {best->interval + start, best->id};
        struct mpivf_one one = {queries, packed, &some, &tile->rivals};
        struct scan s = {queries, packed, NULL, NULL, &one, tile, NULL};
        for (size_t i = 0; i < part.n; i++)
            mpivf_one_begin(&one, i);
        scan_all(&s, &part, 1);
        for (size_t i = 0; i < part.n; i++)
            mpivf_one_settle(&one, query_at(&part, i), i);
    }
}

void
mpivf_nearest_scan_threads(const struct mpivf_packed_queries *queries,
                           const struct mpivf_scan_of *of, const struct mpivf_packed_rows *packed,
                           struct mpivf_topk *topk, struct mpivf_tile *tile,
                           struct mpivf_pending *pending, int threads)
{
    size_t each = (of->n + (size_t)threads - 1) / (size_t)threads;
    size_t max = mpivf_pending_queries(topk->k);
    each = (each + MPIVF_GROUP - 1) / MPIVF_GROUP * MPIVF_GROUP;
    each = each < max ? each : max;
    long parts = each > 0 ? (long)((of->n + each - 1) / each) : 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (long t = 0; t < parts; t++) {
        struct mpivf_scan_of part = part_of(of, (size_t)t * each, each);
        int thread = omp_get_thread_num();
        mpivf_nearest_scan(queries, &part, packed, topk, &tile[thread], &pending[thread]);
    }
}
