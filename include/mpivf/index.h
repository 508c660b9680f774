/*
 * index: the file that everything is for.
 *
 * An index, a shard (the same over part of the rows) and a model (the same without rows) are
 * one format, an HDF5 file:
 *
 *   /centroid       f32 [lists, dim]   a shard inside a work folder has 0 rows here
 *   /list_offset    u64 [lists + 1]    list l is rows list_offset[l] .. list_offset[l+1]-1
 *   /list_checksum  u64 [lists]        XXH3 of the XXH3s of the list in each plane
 *   /rejected       i64 [rejected]     ids of bad rows, ascending
 *   /row_range      u64 [n, 2]         rows of the source covered: (first, count), ascending
 *
 * and the planes, what the rows of lists are made of, in list order. The attribute planes lists
 * their names; which they are follows from the codec and from what is stored:
 *
 *   /id             i64 [rows]         inside a list ascending and different
 *   /code           [rows, dim]        f32, f16 or i8, by attribute codec
 *   /factor         f32 [rows, 2]      for codec int8: row = factor[0] centroid + factor[1] code
 *   /vector         f32 [rows, dim]    the rows themselves, when they are stored
 *
 * Root attributes: format, version, metric, codec, planes, dim, lists, rows, rejected, source_rows,
 * seed, sample, objective, ids, store, model_fingerprint, source_fingerprint, header_checksum (of
 * all the others and of list_offset, rejected, row_range). Datasets are contiguous, those of 4096
 * bytes or more aligned to 4096; nothing in the file depends on time, path, ranks, threads or
 * memory.
 *
 * But a shard, like the model in a work folder, tells which version of its source it is of, in
 * further attributes: source_version, a hash of the sizes and times of the files, source_bytes,
 * source_modified, nanoseconds since 1970 (these three are 0 for rows of several versions), and
 * rows_checksum (source/rowsum.h), under header_checksum too. They are not in an index, whose bytes
 * follow from the rows alone.
 *
 * Always: the covered rows = rows + rejected; an index proper covers 0 .. source_rows-1.
 */
#ifndef MPIVF_INDEX_H
#define MPIVF_INDEX_H

#include <mpivf/api.h>
#include <mpivf/par.h>
#include <mpivf/range.h>
#include <mpivf/source.h>
#include <mpivf/type.h>

MPIVF_API_BEGIN

struct mpivf_inputs;

/* The attributes. */
struct mpivf_index_meta {
    enum mpivf_metric metric;
    const struct mpivf_codec *codec; /* not owned; mpivf_codec_name tells it */
    uint64_t dim, lists, rows, rejected, source_rows;
    uint64_t seed, sample; /* of the training; rows it used */
    double objective;      /* mean distance of a trained row to its centroid */
    bool store;            /* /vector holds the raw rows */
    bool ids;              /* ids came from a dataset, not from row numbers */
    uint64_t model_fingerprint, source_fingerprint;
    uint64_t ranges;          /* of row_range */
    uint64_t centroids;       /* rows of /centroid: lists or 0 */
    bool stamped;             /* the file has: */
    struct mpivf_stamp stamp; /* its rows, or for a model those that it was trained on */
};

enum { MPIVF_PLANES = 6 }; /* at most */

/* Where the datasets start in the file; planes in their order. */
struct mpivf_index_layout {
    uint64_t centroid, list_offset, list_checksum, rejected, row_range, plane[MPIVF_PLANES];
};

/* An open file. */
struct mpivf_index {
    struct mpivf_context *ctx; /* not owned */
    char *path;                /* owned */
    int fd;                    /* owned; -1 = closed */
    struct mpivf_index_meta meta;
    struct mpivf_index_layout layout;
    uint64_t *list_offset;       /* owned, [lists + 1] */
    struct mpivf_range *range;   /* owned, [meta.ranges] */
    int64_t *rejected;           /* owned, [meta.rejected] */
    struct mpivf_inputs *inputs; /* owned: the file, as all ranks saw it; NULL = only one did */
};

/*
 * Open and check the header. MPIVF_INPUT when it is not such a file, MPIVF_CORRUPT when the
 * header does not add up or the file is truncated. Memory: 8 bytes a list and a rejected row.
 * Release with mpivf_index_close, also after failure. Local.
 */
mpivf_status
mpivf_index_open(struct mpivf_context *ctx, const char *path, struct mpivf_index *index);

/*
 * The same on every rank, with one rank reading the header. MPIVF_INPUT also when a rank sees a
 * file of another size or time, or other checksums of the lists. Collective, agreed.
 */
mpivf_status
mpivf_index_open_all(const struct mpivf_par *par, const char *path, struct mpivf_index *index);

/* MPIVF_INPUT when the file was modified since all ranks opened it. Collective, agreed. */
mpivf_status
mpivf_index_unchanged_all(const struct mpivf_par *par, const struct mpivf_index *index);

/* Nothing to release is fine. Local. */
void
mpivf_index_close(struct mpivf_index *index);

/* Does it cover every row of its source? Local. */
bool
mpivf_index_complete(const struct mpivf_index *index);

/* What a damaged file has wrong. */
struct mpivf_verdict {
    uint64_t lists_damaged, first_damaged; /* by checksum or order of ids; the smallest */
    bool centroids_damaged;
};

/*
 * Read every byte of data and compare with the checksums: each rank takes an even share of the
 * rows. MPIVF_CORRUPT with the lists named, or MPIVF_OK. The verdict is set in both cases.
 * Memory: a MiB, and on rank 0 the centroids. Collective, agreed.
 */
mpivf_status
mpivf_index_verify_all(const struct mpivf_par *par, struct mpivf_index *index,
                       struct mpivf_verdict *verdict);

/* How rows spread over lists. */
struct mpivf_list_sizes {
    uint64_t lists, empty, smallest, median, p99, largest;
    double mean, max_over_mean;
};

/* Of the sizes offset[l+1] - offset[l]. MPIVF_MEMORY. Local. */
mpivf_status
mpivf_index_list_sizes(struct mpivf_context *ctx, const uint64_t *offset, uint64_t lists,
                       struct mpivf_list_sizes *list_sizes);

MPIVF_API_END

#endif
