/*
 * shard: rows gathered in memory and written as one sorted file.
 *
 * A shard buffer collects assigned, encoded rows until it is full; then mpivf_shard_write sorts
 * them by (list, id), writes them as a shard and empties it. A shard is whole when it has its name,
 * which tells its first row and how many it covers.
 *
 * All threads work. Memory: 24 bytes and the row's planes for each row of capacity, 16 bytes a
 * list, and a MiB of buffers a thread, four at least.
 */
#ifndef MPIVF_BUILD_SHARD_H
#define MPIVF_BUILD_SHARD_H

#include "base/pool.h"
#include "index/format.h"

struct mpivf_shard_buffer {
    struct mpivf_context *ctx;
    struct mpivf_index_meta meta; /* of every shard; rows, rejected and ranges set when written */
    const float *centroid;        /* not owned, [lists, dim] */
    uint64_t rowsum;              /* of the rows covered */
    size_t capacity, rows;
    struct mpivf_planes planes;
    void *plane[MPIVF_PLANES]; /* owned, [capacity] rows each */
    int64_t *id;               /* plane 0 */
    uint32_t *list;            /* owned, [capacity] */
    uint32_t *order; /* owned, [capacity]; of rows put last, their numbers among those given */
    uint64_t *offset, *checksum; /* owned, [lists + 1] */
    int64_t *rejected;           /* owned, [capacity] */
    size_t rejects;
    struct mpivf_range *range; /* owned, [max_ranges] */
    size_t ranges, max_ranges;
    uint64_t bytes_written;
    struct mpivf_pool pool; /* of what is owned */
};

/* Bytes of it, and of writing it. Local. */
size_t
mpivf_shard_buffer_bytes(const struct mpivf_index_meta *meta, size_t capacity, int threads);

/* Release with mpivf_shard_buffer_clear, also after failure. Local. */
mpivf_status
mpivf_shard_buffer_init(struct mpivf_context *ctx, struct mpivf_shard_buffer *buffer,
                        const struct mpivf_index_meta *meta, const float *centroid,
                        size_t capacity);

void
mpivf_shard_buffer_clear(struct mpivf_shard_buffer *buffer);

/* Is there room for `rows` rows out of `ranges` ranges? Local. */
bool
mpivf_shard_buffer_fits(const struct mpivf_shard_buffer *buffer, size_t rows, size_t ranges);

/* Note that these ranges, whose rows have this checksum, are covered by what is put in. Local. */
void
mpivf_shard_buffer_cover(struct mpivf_shard_buffer *buffer, const struct mpivf_range *range,
                         size_t ranges, uint64_t rowsum);

/* Encode and keep n rows; a row whose list is UINT32_MAX was rejected. Local. */
void
mpivf_shard_buffer_put(struct mpivf_shard_buffer *buffer, const float *row, size_t n,
                       const uint32_t *list, const int64_t *id);

/*
 * Write what is kept as a shard into `folder` and empty the buffer; nothing for an empty one.
 * Local.
 */
mpivf_status
mpivf_shard_write(struct mpivf_shard_buffer *buffer, const char *folder);

/* The same, a shard without rows of an empty one: a part of a job array may have none. Local. */
mpivf_status
mpivf_shard_write_any(struct mpivf_shard_buffer *buffer, const char *folder);

/* The name of the shard that covers these rows, for mpivf_path. */
#define MPIVF_SHARD_NAME "%s/shard-%016llx-%llu.h5"

/* The name of a joined shard of a round until it is whole. */
#define MPIVF_JOINED_NAME "%s/joined-%llu-%llu.partial"

#endif
