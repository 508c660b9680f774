/* sample: the m rows with the smallest hashes of (seed, row number), read by all ranks. */
#ifndef MPIVF_BUILD_SAMPLE_H
#define MPIVF_BUILD_SAMPLE_H

#include <mpivf/train.h>

struct mpivf_sample {
    float *row;    /* owned, [rows, dim] */
    uint64_t *key; /* owned, [rows]: the hash that drew the row */
    size_t rows;   /* on this rank */
};

/*
 * Read the sampled rows of this rank's slab; unit length for ip and cosine. Bad rows are an
 * error or left out. Release with mpivf_sample_clear, also after failure. Collective.
 */
mpivf_status
mpivf_sample_read_all(const struct mpivf_par *par, struct mpivf_source *source,
                      const struct mpivf_train_options *options, uint64_t wanted,
                      struct mpivf_progress *progress, struct mpivf_sample *sample);

void
mpivf_sample_clear(struct mpivf_context *ctx, struct mpivf_sample *sample);

#endif
