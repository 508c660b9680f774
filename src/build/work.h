/*
 * work: the folder in which a build lives until its index is whole.
 *
 * It is claimed (io/claim.h) by every option that shapes the index, and the source; its
 * manifest lists the shards too. FOLDER/model.h5 is the trained quantizer;
 * FOLDER/shard-ROW-ROWS.h5 are finished shards. These with .partial behind, and joined-*.partial,
 * were under way when a run ended and are removed. No other names are ours.
 *
 * A shard tells in its header which rows it covers, so the folder needs no other record to go
 * on, with any number of ranks: what no shard covers is still to be done, and a shard whose rows
 * another one covers too has been merged and is removed.
 */
#ifndef MPIVF_BUILD_WORK_H
#define MPIVF_BUILD_WORK_H

#include "base/row_set.h"
#include "index/format.h"
#include "io/claim.h"

struct mpivf_work_shard {
    char path[MPIVF_PATH];
    uint64_t rows, rejected, first;
    uint64_t version; /* of the source, see struct mpivf_stamp */
};

/* The same on every rank after mpivf_work_scan_all. */
struct mpivf_work {
    struct mpivf_claim claim;
    char model[MPIVF_PATH];
    bool has_model;
    struct mpivf_work_shard *shard; /* owned, by first row */
    uint64_t shards;
    struct mpivf_row_set covered; /* owned */
};

/*
 * Claim the folder and find in it the work of an earlier run with the same identity. As
 * mpivf_claim_open_all and mpivf_claim_seen_all; rules->ours is filled in. Release with
 * mpivf_work_clear, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_work_open_all(struct mpivf_work *work, const struct mpivf_par *par, const char *folder,
                    const struct mpivf_claim_rules *rules);

/* Has an earlier run left a trained quantizer there? Asked before the folder is claimed. Local. */
bool
mpivf_work_has_model(const char *folder);

/* Is this the name of a file that only a work folder has? Local. */
bool
mpivf_work_owns(const char *name);

/* Is this how damage in a file of the folder shows? Local. */
bool
mpivf_work_is_damage(mpivf_status status);

/* After that, known to all ranks: the error says also that --force starts over. Local. */
mpivf_status
mpivf_work_damaged(const struct mpivf_work *work);

/* Forget the failure and all work in the folder, which begins anew. Collective, agreed. */
mpivf_status
mpivf_work_restart_all(struct mpivf_work *work);

/* Look through the folder again and bring the manifest up to date. Collective, agreed. */
mpivf_status
mpivf_work_scan_all(struct mpivf_work *work);

/* Nothing to release is fine. Local. */
void
mpivf_work_clear(struct mpivf_work *work);

#endif
