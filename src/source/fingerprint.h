/*
 * fingerprint: a 64-bit mark of the rows of a source, which all ranks have to agree on.
 *
 * It is that of shape, type and the elements as they lie in the file: of all of them up to 4 MiB,
 * else of 64 runs of rows, chosen by a hash, of 64 KiB or a row each; and of whether rows that were
 * never written are bad ones. Cost: each rank reads that much. Memory: 64 KiB or a row.
 */
#ifndef MPIVF_SOURCE_FINGERPRINT_H
#define MPIVF_SOURCE_FINGERPRINT_H

#include <mpivf/source.h>

/*
 * Set source->fingerprint of a source just opened as `name`. MPIVF_INPUT when a rank reads other
 * rows than the rest. Collective, agreed.
 */
mpivf_status
mpivf_fingerprint_all(struct mpivf_source *source, const char *name);

#endif
