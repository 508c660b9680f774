#include "search/scan.h"

#include "base/then.h"
#include "io/checksum.h"

#include <string.h>

enum { READ_BYTES = 4 << 20, ROUND_BYTES = 64 << 20 };

/* One rank's buffers. */
struct scanning {
    struct mpivf_scan *scan;
    const struct mpivf_probes *chosen;
    struct mpivf_topk *topk;
    struct mpivf_packed_queries queries;
    struct mpivf_packed_rows packed;
    struct mpivf_pending *pending;            /* owned, one for each thread */
    struct mpivf_planes planes;               /* that are read: /id and those of the codec */
    size_t read_bytes;                        /* of a row in them */
    size_t capacity;                          /* rows */
    void *buffer[MPIVF_PLANES];               /* owned, [capacity] rows of each that is read */
    int64_t *id;                              /* plane 0 */
    float *row;                               /* owned: rows decoded */
    struct mpivf_checksum *sum[MPIVF_PLANES]; /* owned: of the list at hand; NULL: unchecked */
    struct mpivf_pool pool;                   /* of what is owned */
    uint64_t list, end;
};

static void
lay_out(struct scanning *s, struct mpivf_pool *pool, const struct mpivf_index_meta *meta,
        size_t queries, int threads)
{
    size_t rows = READ_BYTES / (meta->dim * sizeof(float));
    const struct mpivf_filter *filter = mpivf_filter_best(meta->dim);
    s->capacity = rows < 64 ? 64 : rows;
    /* a list's checksum is over all planes, and a search does not read stored rows */
    bool checked = s->planes.vector < 0;
    s->planes.count = s->planes.code + s->planes.codes;
    s->read_bytes = mpivf_planes_row_bytes(&s->planes);
    for (int p = 0; p < s->planes.count; p++) {
        s->buffer[p] = mpivf_pool_take(pool, s->capacity, s->planes.plane[p].row_bytes);
        s->sum[p] = checked ? mpivf_checksum_take(pool) : NULL;
    }
    s->id = s->buffer[0];
    s->row = mpivf_pool_take(pool, s->capacity * meta->dim, sizeof *s->row);
    s->pending = mpivf_pending_take(pool, threads);
    mpivf_packed_queries_lay_out(&s->queries, pool, meta->metric, filter, meta->dim, queries, NULL,
                                 threads);
    mpivf_packed_rows_lay_out(&s->packed, pool, meta->metric, filter, meta->dim, s->capacity, NULL,
                              threads);
}

size_t
mpivf_scan_bytes(const struct mpivf_index_meta *meta, uint64_t queries, int threads)
{
    struct scanning s;
    struct mpivf_pool pool = mpivf_pool_counting();
    mpivf_planes_of(meta, NULL, &s.planes);
    lay_out(&s, &pool, meta, queries, threads);
    return pool.bytes;
}

/* The first list of a rank's share of the work, counted as rows times queries. */
static uint64_t
first_list(const struct mpivf_index *index, const struct mpivf_probes *chosen, int rank, int size)
{
    double total = 0, before = 0;
    if (rank == size)
        return chosen->lists;
    for (uint64_t l = 0; l < chosen->lists; l++)
        total += (double)(index->list_offset[l + 1] - index->list_offset[l]) *
                 (double)(chosen->first[l + 1] - chosen->first[l]);
    double goal = total * rank / size;
    uint64_t list = 0;
    for (; list < chosen->lists && before < goal; list++)
        before += (double)(index->list_offset[list + 1] - index->list_offset[list]) *
                  (double)(chosen->first[list + 1] - chosen->first[list]);
    return list;
}

static mpivf_status
scanning_init(struct scanning *s, const float *row)
{
    const struct mpivf_index_meta *meta = &s->scan->index->meta;
    struct mpivf_context *ctx = s->scan->par->ctx;
    s->pool = mpivf_pool_taking(ctx, "the scan buffer");
    mpivf_planes_of(meta, &s->scan->index->layout, &s->planes);
    lay_out(s, &s->pool, meta, s->chosen->queries, ctx->threads);
    if (s->pool.failed)
        return MPIVF_MEMORY;
    mpivf_packed_queries_fill(&s->queries, row, s->chosen->queries, s->scan->coarse->centre);
    return MPIVF_OK;
}

static mpivf_status
read_rows(struct scanning *s, uint64_t first, uint64_t rows)
{
    struct mpivf_index *index = s->scan->index;
    struct mpivf_context *ctx = s->scan->par->ctx;
    struct mpivf_file file = mpivf_index_file(index);
    mpivf_status status = MPIVF_OK;
    for (int p = 0; p < s->planes.count; p++) {
        const struct mpivf_plane *plane = &s->planes.plane[p];
        THEN(status, mpivf_file_read(ctx, &file, s->buffer[p], rows * plane->row_bytes,
                                     plane->offset + first * plane->row_bytes));
    }
    return status;
}

/* Add rows [from, from + rows) of the buffer to the checksum of their list. */
static void
add_to_checksum(const struct scanning *s, size_t from, size_t rows)
{
    void *at[MPIVF_PLANES];
    if (s->sum[0] == NULL)
        return;
    mpivf_planes_at(&s->planes, s->buffer, from, at);
    for (int p = 0; p < s->planes.count; p++)
        mpivf_checksum_add(s->sum[p], at[p], rows * s->planes.plane[p].row_bytes);
}

/* A list has been read to its end: is it as it was written? */
static mpivf_status
check_list(const struct scanning *s, uint64_t list)
{
    const struct mpivf_index *index = s->scan->index;
    struct mpivf_context *ctx = s->scan->par->ctx;
    struct mpivf_file file = mpivf_index_file(index);
    uint64_t sum[MPIVF_PLANES], written;
    if (s->sum[0] == NULL)
        return MPIVF_OK;
    for (int p = 0; p < s->planes.count; p++) {
        sum[p] = mpivf_checksum_value(s->sum[p]);
        mpivf_checksum_start(s->sum[p]);
    }
    mpivf_status status = mpivf_file_read(ctx, &file, &written, sizeof written,
                                          index->layout.list_checksum + list * sizeof written);
    if (status == MPIVF_OK && mpivf_index_list_checksum(sum, s->planes.count) != written)
        status = mpivf_fail(ctx, MPIVF_CORRUPT,
                            "'%s' is damaged in list %llu (its checksum "
                            "differs); mpivf verify counts the damaged lists, build it again",
                            index->path, (unsigned long long)list);
    return status;
}

/* Decode rows [from, from + rows) of the buffer, which lie in `list`. */
static void
decode(const struct scanning *s, uint64_t list, size_t from, size_t rows)
{
    size_t dim = s->packed.dim;
    void *at[MPIVF_PLANES];
    mpivf_planes_at(&s->planes, s->buffer, from, at);
    s->scan->index->meta.codec->decode(at + s->planes.code, rows, dim,
                                       s->scan->coarse->centroid + list * dim, s->row);
}

/* Compare those rows with the queries of their list. */
static void
compare(struct scanning *s, uint64_t list, uint64_t first, size_t from, size_t rows)
{
    const struct mpivf_probes *chosen = s->chosen;
    struct mpivf_coarse *coarse = s->scan->coarse;
    uint64_t asked = chosen->first[list + 1] - chosen->first[list];
    decode(s, list, from, rows);
    mpivf_packed_rows_fill(&s->packed, s->row, rows, coarse->centre,
                           s->scan->positions ? NULL : s->id + from, (int64_t)(first + from));
    struct mpivf_scan_of askers = {.subset = chosen->query + chosen->first[list], .n = asked};
    mpivf_nearest_scan_threads(&s->queries, &askers, &s->packed, s->topk, coarse->tile, s->pending,
                               coarse->threads);
    s->scan->pairs += asked * rows;
}

/* Scan one buffer's worth from row `*row` of the file on; moves *row and s->list on. */
static mpivf_status
scan_buffer(struct scanning *s, uint64_t *row)
{
    const uint64_t *offset = s->scan->index->list_offset;
    uint64_t first = *row, end = first, list = s->list;
    /* whole run of lists that somebody asks for, as far as the buffer goes */
    while (list < s->end && s->chosen->first[list + 1] > s->chosen->first[list] &&
           end - first < s->capacity) {
        end = offset[list + 1];
        list++;
    }
    if (end - first > s->capacity)
        end = first + s->capacity;
    mpivf_status status = read_rows(s, first, end - first);
    while (status == MPIVF_OK && *row < end) {
        uint64_t stop = offset[s->list + 1] < end ? offset[s->list + 1] : end;
        if (stop > *row) {
            compare(s, s->list, first, *row - first, stop - *row);
            add_to_checksum(s, *row - first, stop - *row);
        }
        *row = stop;
        if (*row == offset[s->list + 1])
            status = check_list(s, s->list++);
    }
    return status;
}

/* Go on until about ROUND_BYTES are read or the share is done. */
static mpivf_status
scan_round(struct scanning *s, uint64_t *row, uint64_t *read)
{
    const uint64_t *offset = s->scan->index->list_offset;
    mpivf_status status = MPIVF_OK;
    uint64_t bytes = 0;
    while (s->list < s->end && status == MPIVF_OK && bytes < ROUND_BYTES) {
        bool wanted = s->chosen->first[s->list + 1] > s->chosen->first[s->list];
        if (!wanted || offset[s->list + 1] <= *row) {
            s->list++; /* skip to the start of the next */
            *row = offset[s->list] > *row ? offset[s->list] : *row;
            continue;
        }
        if (*row < offset[s->list])
            *row = offset[s->list];
        uint64_t before = *row;
        status = scan_buffer(s, row);
        *read += *row - before;
        bytes += (*row - before) * s->read_bytes;
    }
    return status;
}

mpivf_status
mpivf_scan_all(struct mpivf_scan *scan, const float *row, const struct mpivf_probes *chosen,
               struct mpivf_topk *topk, struct mpivf_progress *progress)
{
    const struct mpivf_par *par = scan->par;
    struct scanning s = {.scan = scan, .chosen = chosen, .topk = topk};
    mpivf_status status = mpivf_agree_all(par, scanning_init(&s, row));
    s.list = first_list(scan->index, chosen, par->rank, par->size);
    s.end = first_list(scan->index, chosen, par->rank + 1, par->size);
    uint64_t at = scan->index->list_offset[s.list];
    for (bool more = status == MPIVF_OK; more;) {
        uint64_t read = 0;
        status = scan_round(&s, &at, &read);
        progress->phase->rows += read;
        progress->phase->bytes_read += read * s.read_bytes;
        status = mpivf_round_all(progress, status, read, s.list < s.end, &more);
    }
    mpivf_pool_clear(&s.pool);
    return status;
}
