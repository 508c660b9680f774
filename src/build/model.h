/* model: a trained quantizer as an index without rows. */
#ifndef MPIVF_BUILD_MODEL_H
#define MPIVF_BUILD_MODEL_H

#include "index/format.h"

#include <mpivf/train.h>

/* Bytes it takes on the disk. Local. */
uint64_t
mpivf_model_bytes(uint64_t lists, uint64_t dim);

/* Write it into a new, empty file, with `stamp` unless that is NULL. Local. */
mpivf_status
mpivf_model_write(struct mpivf_context *ctx, const struct mpivf_file *file,
                  const struct mpivf_coarse *coarse, const struct mpivf_train_options *options,
                  const struct mpivf_train_summary *trained, const struct mpivf_stamp *stamp);

#endif
