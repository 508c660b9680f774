/* manifest: FOLDER/manifest.json, written by rank 0. */
#ifndef MPIVF_BUILD_MANIFEST_H
#define MPIVF_BUILD_MANIFEST_H

#include "build/work.h"

/* MPIVF_MISMATCH when the file names another identity; MPIVF_OK also when there is no file. */
mpivf_status
mpivf_manifest_check(struct mpivf_context *ctx, const struct mpivf_work *work);

bool
mpivf_manifest_exists(const struct mpivf_work *work);

/* Write it anew, whole or not at all. */
mpivf_status
mpivf_manifest_write(struct mpivf_context *ctx, const struct mpivf_work *work);

#endif
