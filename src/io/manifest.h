/* manifest: the file that says whose a work folder is (io/claim.h); here is what claim.c needs. */
#ifndef MPIVF_IO_MANIFEST_H
#define MPIVF_IO_MANIFEST_H

#include "io/claim.h"

/* Its name, and how its text begins: with the format. */
#define MPIVF_MANIFEST_NAME "manifest.json"
#define MPIVF_MANIFEST_FORMAT "mpivf-work"

/* FOLDER/manifest.json. Local. */
mpivf_status
mpivf_manifest_path(struct mpivf_context *ctx, const char *folder, char path[MPIVF_PATH]);

/* Remove those of the partials listed in the manifest that are of these outputs. Local. */
mpivf_status
mpivf_manifest_tidy(const char *folder, const struct mpivf_outputs *outputs);

#endif
