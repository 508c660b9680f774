/*
 * reader: the rows of a slab, batch after batch, the next one read while this one is worked on.
 *
 * There are two buffers and a thread aside. It reads and decodes into one buffer while the caller
 * computes on the other:
 *
 *   for (bool more = true; more;) {
 *       status = mpivf_reader_next_each(reader, &batch);
 *       mpivf_reader_ahead(reader);
 *       ... compute: no HDF5, no MPI ...
 *       status = first failure of that and mpivf_reader_wait(reader);
 *       status = mpivf_round_all(progress, status, batch->rows, mpivf_reader_more(reader), &more);
 *   }
 *
 * Rows that have to be read by all ranks together, and MPIs that know one thread only, are read
 * when they are asked for, into a single buffer. When the system has no thread for us, the next
 * batch is read before the caller goes on.
 */
#ifndef MPIVF_SOURCE_READER_H
#define MPIVF_SOURCE_READER_H

#include "base/pool.h"
#include "source/slab.h"

#include <pthread.h>

/* Rows as they were read: [rows, dim] and their ids, `range` after `range`. */
struct mpivf_batch {
    float *row;                /* owned by the reader, and so are the next three */
    double *lost;              /* as mpivf_source_read_measured_each has it; NULL unless float64 */
    int64_t *id;               /* row numbers when there are no others */
    struct mpivf_range *range; /* ascending and apart */
    size_t ranges;
    uint64_t rows;
};

struct mpivf_reader {
    struct mpivf_context *ctx;   /* not owned */
    struct mpivf_source *source; /* not owned */
    struct mpivf_source *ids;    /* not owned; NULL = row numbers */
    struct mpivf_slab *slab;     /* not owned */
    size_t batch_rows;           /* at most */
    bool f64;                    /* rows come as float64 */
    bool aside;                  /* there are two buffers */
    struct mpivf_batch batch[2]; /* at hand, and the next */
    struct mpivf_range *after;   /* owned; the batch after that, for the disk */
    size_t afters;
    struct mpivf_pool pool; /* of what is owned */
    bool ready;             /* batch[1] is filled or being filled */
    bool running;           /* by the thread */
    pthread_t thread;
    mpivf_status status; /* of batch[1] */
};

/* Bytes of it, for batches of so many rows. Local. */
size_t
mpivf_reader_bytes(const struct mpivf_source *source, const struct mpivf_source *ids, bool f64,
                   size_t batch_rows);

/*
 * Read `slab` in batches of so many rows at most, with the ids of `ids` (NULL: row numbers). With
 * f64 batch->row is float64 until mpivf_reader_narrow. MPIVF_MEMORY. Release with
 * mpivf_reader_clear, also after failure. Local.
 */
mpivf_status
mpivf_reader_init(struct mpivf_reader *reader, struct mpivf_source *source,
                  struct mpivf_source *ids, struct mpivf_slab *slab, size_t batch_rows, bool f64);

/* Waits for what is under way. Local. */
void
mpivf_reader_clear(struct mpivf_reader *reader);

/*
 * The next batch, which the caller may change and has until the next call; 0 rows at the end. As
 * mpivf_source_read_each: collective, own status. Failure leaves a batch of unknown rows.
 */
mpivf_status
mpivf_reader_next_each(struct mpivf_reader *reader, struct mpivf_batch **batch);

/* Make the batch at hand float32, in a reader with f64; once. Local. */
void
mpivf_reader_narrow(struct mpivf_reader *reader);

/* Begin to read the batch after this one, if that can be done aside. Local. */
void
mpivf_reader_ahead(struct mpivf_reader *reader);

/* Have nothing under way: before HDF5 or MPI are used. How the reading went. Local. */
mpivf_status
mpivf_reader_wait(struct mpivf_reader *reader);

/* Is there another batch? Not while one is read. Local. */
bool
mpivf_reader_more(const struct mpivf_reader *reader);

#endif
