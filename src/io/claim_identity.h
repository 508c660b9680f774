/* claim_identity: whether two identities of work are the same, and what differs (io/claim.h). */
#ifndef MPIVF_IO_CLAIM_IDENTITY_H
#define MPIVF_IO_CLAIM_IDENTITY_H

#include <mpivf/context.h>

#include <jansson.h>

/*
 * MPIVF_MISMATCH when the identity in the manifest of `folder`, NULL when it has none, is not that
 * of the command: the first member that differs is told. Of a source only the fingerprint counts.
 * Local.
 */
mpivf_status
mpivf_claim_compare(struct mpivf_context *ctx, const char *folder, const json_t *there,
                    json_t *here);

#endif
