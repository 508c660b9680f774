/*
 * stream: rows of inverted lists, one after the other, through a bounded buffer.
 *
 * A stream goes over consecutive rows of a file, list by list, and keeps the checksum of the
 * list at hand. A reading stream checks nothing itself: compare at each list's end.
 */
#ifndef MPIVF_INDEX_STREAM_H
#define MPIVF_INDEX_STREAM_H

#include "index/format.h"

struct mpivf_stream {
    struct mpivf_context *ctx;
    struct mpivf_file file; /* not owned */
    struct mpivf_planes planes;
    struct mpivf_pool pool;                   /* of what is owned */
    struct mpivf_checksum *sum[MPIVF_PLANES]; /* owned */
    char *buffer[MPIVF_PLANES];               /* owned, [capacity] rows each */
    size_t capacity, filled, at; /* rows; reading: at < filled is at hand; writing: at = filled */
    size_t hashed;               /* rows of the buffer already in the checksums */
    uint64_t row, end;           /* of the file: the buffer's first row; reading stops at end */
    uint64_t bytes;              /* moved so far */
};

/*
 * Start at file row `row`; reading ends at `end`. About `bytes` of buffer, one row at least.
 * Release with mpivf_stream_clear, also after failure. Local.
 */
mpivf_status
mpivf_stream_init(struct mpivf_context *ctx, struct mpivf_stream *stream, struct mpivf_file file,
                  const struct mpivf_index_meta *meta, const struct mpivf_index_layout *layout,
                  uint64_t row, uint64_t end, size_t bytes);

/* What it takes for that many bytes of buffer. Local. */
size_t
mpivf_stream_bytes(const struct mpivf_index_meta *meta, size_t bytes);

void
mpivf_stream_clear(struct mpivf_stream *stream);

/* Reading: have the next row at hand; there must be one. Local. */
mpivf_status
mpivf_stream_next(struct mpivf_stream *stream);

/* The row at hand in plane p. */
static inline char *
mpivf_stream_row(const struct mpivf_stream *stream, int p)
{
    return stream->buffer[p] + stream->at * stream->planes.plane[p].row_bytes;
}

/* Reading: the row at hand is done with. */
static inline void
mpivf_stream_advance(struct mpivf_stream *stream)
{
    stream->at++;
}

/* Writing: add a row, a pointer for each plane. Local. */
mpivf_status
mpivf_stream_put(struct mpivf_stream *stream, void *const *row);

/* Writing: let everything reach the file. Local. */
mpivf_status
mpivf_stream_flush(struct mpivf_stream *stream);

/*
 * A list ends before the row at hand (reading) or after the last one (writing): its checksum.
 * Local.
 */
uint64_t
mpivf_stream_end_list(struct mpivf_stream *stream);

#endif
