/* manifest: the file that says whose a work folder is (io/claim.h); here is what claim.c needs. */
#ifndef MPIVF_IO_MANIFEST_H
#define MPIVF_IO_MANIFEST_H

#include "io/claim.h"

/* FOLDER/manifest.json. Local. */
mpivf_status
mpivf_manifest_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH]);

/* Remove those of the partials listed in the manifest that are of these outputs. Local. */
mpivf_status
mpivf_manifest_tidy(const char *folder, const struct mpivf_outputs *outputs);

#endif
