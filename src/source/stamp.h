/* stamp: which version of its files a source is, for what is made of it (mpivf/source.h). */
#ifndef MPIVF_SOURCE_STAMP_H
#define MPIVF_SOURCE_STAMP_H

#include "io/claim.h"

#include <mpivf/source.h>

/*
 * An open source as a member of the identity of a work folder, by name, object and version. Local.
 */
void
mpivf_source_claim(const struct mpivf_source *source, char text[MPIVF_CLAIM_SOURCE]);

/*
 * Refuse to go on with work on a source, and ids unless NULL, which had the stamp `then`: `what`,
 * "rows that were compared", have changed. Returns MPIVF_MISMATCH. Local.
 */
mpivf_status
mpivf_source_changed(const struct mpivf_source *source, const struct mpivf_source *ids,
                     const struct mpivf_stamp *then, const char *what);

#endif
