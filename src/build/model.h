/* model: a trained quantizer as an index without rows. */
#ifndef MPIVF_BUILD_MODEL_H
#define MPIVF_BUILD_MODEL_H

#include "index/format.h"

#include <mpivf/train.h>

/* Write it at `path`, with `stamp` unless that is NULL, whole or not at all. Local. */
mpivf_status
mpivf_model_write(struct mpivf_context *ctx, const char *path, const struct mpivf_coarse *coarse,
                  const struct mpivf_train_options *options, const struct mpivf_trained *trained,
                  const struct mpivf_stamp *stamp);

#endif
