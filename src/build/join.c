#include "build/join.h"

#include "base/compare.h"
#include "base/row_set.h"
#include "base/then.h"
#include "index/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_BUFFER = 4 << 20,
    MIN_BUFFER = 16 << 10,
    SLACK = 64 << 10 /* of small things, and ranges */
};

/* What the output's header is made of. */
struct header {
    struct mpivf_index first; /* owned: the first input */
    struct mpivf_index_meta meta;
    uint64_t *list_offset; /* owned */
    int64_t *rejected;     /* owned */
    struct mpivf_row_set covered;
};

static void
header_clear(struct mpivf_context *ctx, struct header *header)
{
    mpivf_index_close(&header->first);
    mpivf_free(ctx, header->list_offset);
    mpivf_free(ctx, header->rejected);
    mpivf_row_set_clear(ctx, &header->covered);
}

/* Put the ids of `more` behind those there are; no longer than that, for they may be millions. */
static mpivf_status
add_rejected(struct mpivf_context *ctx, struct header *header, const struct mpivf_index *more)
{
    uint64_t have = header->meta.rejected, n = more->meta.rejected;
    int64_t *longer = mpivf_alloc(ctx, "the header of a merged shard", have + n, sizeof *longer);
    if (longer == NULL)
        return MPIVF_MEMORY;
    if (have > 0)
        memcpy(longer, header->rejected, have * sizeof *longer);
    if (n > 0)
        memcpy(longer + have, more->rejected, n * sizeof *longer);
    mpivf_free(ctx, header->rejected);
    header->rejected = longer;
    return MPIVF_OK;
}

/* The stamp of both; rows of several versions are of none. */
static void
join_stamp(struct mpivf_index_meta *meta, const struct mpivf_index_meta *more)
{
    uint64_t rows = meta->stamp.rows + more->stamp.rows;
    meta->stamped = meta->stamped && more->stamped;
    if (meta->stamp.version != more->stamp.version)
        meta->stamp = (struct mpivf_stamp){.version = 0};
    meta->stamp.rows = rows;
}

static mpivf_status
add_input(struct mpivf_context *ctx, struct header *header, const char *path)
{
    struct mpivf_index index;
    struct mpivf_index_meta *meta = &header->meta;
    bool first = header->list_offset == NULL;
    mpivf_status status = mpivf_index_open(ctx, path, &index);
    if (status == MPIVF_OK && first) {
        *meta = index.meta;
        meta->rows = meta->rejected = 0;
        meta->stamp.rows = 0;
        header->list_offset =
            mpivf_alloc_zero(ctx, "list offsets", meta->lists + 1, sizeof *header->list_offset);
        status = header->list_offset ? MPIVF_OK : MPIVF_MEMORY;
    } else if (status == MPIVF_OK) {
        status = mpivf_index_match(ctx, &header->first, &index);
    }
    THEN(status, add_rejected(ctx, header, &index));
    THEN(status, mpivf_row_set_put(ctx, &header->covered, index.range, index.meta.ranges));
    if (status == MPIVF_OK) {
        for (uint64_t l = 0; l <= meta->lists; l++)
            header->list_offset[l] += index.list_offset[l];
        meta->rows += index.meta.rows;
        meta->rejected += index.meta.rejected;
        join_stamp(meta, &index.meta);
    }
    if (first)
        header->first = index; /* stays open for comparison */
    else
        mpivf_index_close(&index);
    return status;
}

/* The centroids that go into the last file; they have to be those the rows were assigned by. */
static mpivf_status
load_model(struct mpivf_context *ctx, const struct header *header, const char *path,
           struct mpivf_coarse *coarse)
{
    struct mpivf_index trained;
    mpivf_status status = mpivf_index_open(ctx, path, &trained);
    if (status == MPIVF_OK && trained.meta.model_fingerprint != header->meta.model_fingerprint)
        status = mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was made with another model than '%s'",
                            header->first.path, path);
    THEN(status, mpivf_index_coarse(&trained, coarse));
    mpivf_index_close(&trained);
    return status;
}

mpivf_status
mpivf_join_create(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
                  const char *model, const struct mpivf_file *file, uint64_t *rows)
{
    assert(inputs > 0);
    struct header header = {.first = {.fd = -1}};
    struct mpivf_coarse coarse = {.ctx = NULL};
    struct mpivf_index_layout layout;
    mpivf_status status = MPIVF_OK;
    /* sizes of lists are sums, the rest of the header is joined */
    for (uint64_t i = 0; i < inputs && status == MPIVF_OK; i++)
        status = add_input(ctx, &header, input[i]);
    if (status == MPIVF_OK && model)
        status = load_model(ctx, &header, model, &coarse);
    if (status == MPIVF_OK) {
        struct mpivf_index_meta *meta = &header.meta;
        qsort(header.rejected, meta->rejected, sizeof *header.rejected, mpivf_compare_i64);
        mpivf_row_set_order(&header.covered, NULL);
        meta->ranges = header.covered.ranges;
        meta->centroids = model ? meta->lists : 0;
        if (model && meta->rows + meta->rejected == meta->source_rows)
            meta->stamped = false; /* an index: its bytes follow from the rows alone */
        status = mpivf_index_create(ctx, file, meta, coarse.centroid, header.list_offset,
                                    header.rejected, header.covered.range, &layout);
        *rows = meta->rows;
    }
    mpivf_coarse_clear(&coarse);
    header_clear(ctx, &header);
    return status;
}

/* One part at work. */
struct fill {
    struct mpivf_context *ctx;
    uint64_t inputs;
    struct mpivf_index *input;   /* owned, [inputs] */
    struct mpivf_stream *stream; /* owned, [inputs] */
    uint64_t *stored;            /* owned, [inputs, run]: checksums the inputs promise */
    struct mpivf_index output;
    struct mpivf_file file; /* owned: the output, for writing */
    struct mpivf_stream out;
    uint64_t *checksum;     /* owned, [run] */
    struct mpivf_pool pool; /* of what is owned of these */
    uint64_t first, end;    /* the run of lists */
};

static void
lay_out(struct fill *f, struct mpivf_pool *pool, uint64_t inputs, uint64_t run)
{
    f->input = mpivf_pool_take(pool, inputs, sizeof *f->input);
    f->stream = mpivf_pool_take(pool, inputs, sizeof *f->stream);
    f->stored = mpivf_pool_take(pool, inputs * run, sizeof *f->stored);
    f->checksum = mpivf_pool_take(pool, run, sizeof *f->checksum);
}

size_t
mpivf_join_bytes(const struct mpivf_index_meta *meta, uint64_t inputs, int threads)
{
    struct fill f;
    struct mpivf_pool pool = mpivf_pool_counting();
    size_t opened = mpivf_index_open_bytes(meta), stream = mpivf_stream_bytes(meta, MIN_BUFFER);
    lay_out(&f, &pool, inputs, meta->lists); /* a rank alone fills all lists */
    size_t create = 3 * opened + mpivf_coarse_bytes(meta->lists, meta->dim, threads);
    size_t fill = pool.bytes + (inputs + 1) * (opened + stream);
    return (create > fill ? create : fill) + SLACK;
}

static mpivf_status
fill_init(struct fill *f, const char *const *input, const char *partial, uint64_t part,
          uint64_t parts)
{
    struct mpivf_context *ctx = f->ctx;
    f->file.fd = -1;
    mpivf_status status = mpivf_index_open(ctx, partial, &f->output);
    if (status)
        return status;
    /* this part's run of lists, in the output and in every input */
    f->first = mpivf_index_cut(&f->output, part, parts);
    f->end = mpivf_index_cut(&f->output, part + 1, parts);
    size_t run = f->end - f->first;
    f->pool = mpivf_pool_taking(ctx, "the merge");
    lay_out(f, &f->pool, f->inputs, run);
    if (f->pool.failed) {
        f->inputs = 0; /* there is nothing to clear in them */
        return MPIVF_MEMORY;
    }
    memset(f->input, 0, f->inputs * sizeof *f->input);
    memset(f->stream, 0, f->inputs * sizeof *f->stream);
    for (uint64_t i = 0; i < f->inputs && status == MPIVF_OK; i++) {
        status = mpivf_index_open(ctx, input[i], &f->input[i]);
        THEN(status, mpivf_index_match(ctx, &f->output, &f->input[i]));
    }
    if (status)
        return status;
    /* all streams share what is left */
    size_t each = mpivf_memory_left(ctx) / (f->inputs + 2);
    each = each > MAX_BUFFER ? MAX_BUFFER : each < MIN_BUFFER ? MIN_BUFFER : each - 4096;
    for (uint64_t i = 0; i < f->inputs && status == MPIVF_OK; i++) {
        const struct mpivf_index *from = &f->input[i];
        struct mpivf_file file = mpivf_index_file(from);
        status = mpivf_stream_init(ctx, &f->stream[i], file, &from->meta, &from->layout,
                                   from->list_offset[f->first], from->list_offset[f->end], each);
        THEN(status, mpivf_file_read(ctx, &file, f->stored + i * run, run * sizeof *f->stored,
                                     from->layout.list_checksum + f->first * sizeof *f->stored));
    }
    THEN(status, mpivf_file_update(ctx, partial, &f->file));
    THEN(status, mpivf_stream_init(ctx, &f->out, f->file, &f->output.meta, &f->output.layout,
                                   f->output.list_offset[f->first], 0, each));
    return status;
}

static mpivf_status
fill_clear(struct fill *f)
{
    struct mpivf_context *ctx = f->ctx;
    for (uint64_t i = 0; f->stream && i < f->inputs; i++) {
        mpivf_stream_clear(&f->stream[i]);
        mpivf_index_close(&f->input[i]);
    }
    mpivf_stream_clear(&f->out);
    mpivf_status status = mpivf_file_close(ctx, &f->file);
    mpivf_index_close(&f->output);
    mpivf_pool_clear(&f->pool);
    return status;
}

static int64_t
id_at_hand(const struct mpivf_stream *stream)
{
    int64_t id;
    memcpy(&id, mpivf_stream_row(stream, 0), sizeof id);
    return id;
}

/* Merge one list of all inputs by id. */
static mpivf_status
fill_list(struct fill *f, uint64_t list)
{
    int64_t last = -1;
    uint64_t rows = f->output.list_offset[list + 1] - f->output.list_offset[list];
    mpivf_status status = MPIVF_OK;
    for (uint64_t n = 0; n < rows && status == MPIVF_OK; n++) {
        uint64_t from = f->inputs;
        int64_t min = 0;
        /* the smallest id at hand of all inputs */
        for (uint64_t i = 0; i < f->inputs; i++) {
            struct mpivf_stream *stream = &f->stream[i];
            if (stream->row + stream->at >= f->input[i].list_offset[list + 1])
                continue; /* this input has no more of the list */
            status = mpivf_stream_next(stream);
            if (status)
                return status;
            int64_t id = id_at_hand(stream);
            if (from == f->inputs || id < min) {
                from = i;
                min = id;
            }
        }
        if (from == f->inputs)
            return mpivf_fail(f->ctx, MPIVF_INTERNAL, "list %llu came out short",
                              (unsigned long long)list);
        if (min == last)
            return mpivf_fail(f->ctx, MPIVF_INPUT, "the id %lld is given to two rows",
                              (long long)last);
        struct mpivf_stream *stream = &f->stream[from];
        void *row[MPIVF_PLANES];
        for (int p = 0; p < stream->planes.count; p++)
            row[p] = mpivf_stream_row(stream, p);
        status = mpivf_stream_put(&f->out, row);
        mpivf_stream_advance(stream);
        last = min;
    }
    /* every input had what it promised */
    for (uint64_t i = 0; i < f->inputs && status == MPIVF_OK; i++) {
        uint64_t stored = f->stored[i * (f->end - f->first) + list - f->first];
        if (mpivf_stream_end_list(&f->stream[i]) != stored)
            status = mpivf_fail(f->ctx, MPIVF_CORRUPT, "'%s' is damaged in list %llu",
                                f->input[i].path, (unsigned long long)list);
    }
    if (status == MPIVF_OK)
        f->checksum[list - f->first] = mpivf_stream_end_list(&f->out);
    return status;
}

mpivf_status
mpivf_join_fill(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
                const char *partial, uint64_t part, uint64_t parts, uint64_t *rows, uint64_t *bytes)
{
    struct fill f = {.ctx = ctx, .inputs = inputs};
    mpivf_status status = fill_init(&f, input, partial, part, parts);
    for (uint64_t l = f.first; l < f.end && status == MPIVF_OK; l++)
        status = fill_list(&f, l);
    THEN(status, mpivf_stream_flush(&f.out));
    THEN(status, mpivf_file_write(ctx, &f.file, f.checksum, (f.end - f.first) * sizeof *f.checksum,
                                  f.output.layout.list_checksum + f.first * sizeof *f.checksum));
    THEN(status, mpivf_file_sync(ctx, &f.file));
    if (status == MPIVF_OK) {
        *rows += f.output.list_offset[f.end] - f.output.list_offset[f.first];
        *bytes += f.out.bytes;
    }
    mpivf_status closed = fill_clear(&f);
    return status ? status : closed;
}
