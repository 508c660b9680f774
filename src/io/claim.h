/*
 * claim: a folder in which one command works until its output is whole.
 *
 * FOLDER/manifest.json says whose it is: `identity`, every option that shapes the bytes
 * of the output, and its sources (mpivf_claim_source), of which the fingerprints count and
 * the rest is for messages. The same command again finds the folder its own and goes on;
 * any other is refused with the first option that differs. The members after the identity
 * are for people to read. FOLDER/lock keeps a second run out while the first is at work;
 * where the file system knows no locks nothing does.
 *
 * What else is in the folder is the command's business, and so is what files without a
 * manifest mean to it. The order is: open; look through the folder; write the manifest
 * (rank 0), before any file that could be taken for another command's; seen. The manifest
 * goes last when the folder is removed, so that a killed removal leaves no files that are
 * nobody's.
 */
#ifndef MPIVF_IO_CLAIM_H
#define MPIVF_IO_CLAIM_H

#include "io/file.h"

#include <mpivf/par.h>

#include <jansson.h>

struct mpivf_claim {
    const struct mpivf_par *par; /* not owned; NULL = no claim */
    char folder[MPIVF_PATH];
    char *identity;         /* owned, the text of a JSON object */
    struct mpivf_file lock; /* owned; rank 0 holds it while at work */
};

/* DIR/NAME.KIND for an output DIR/NAME; `scratch` for DIR unless it is NULL. Local. */
mpivf_status
mpivf_claim_folder(struct mpivf_context *ctx, const char *output, const char *scratch,
                   const char *kind, char folder[MPIVF_PATH]);

/*
 * Make the folder, or enter the one that an earlier run with the same `identity` left
 * (JSON text, the same on every rank; copied), and lock it. MPIVF_EXISTS when another
 * process is at work in it, else as mpivf_claim_check. The claim must stay where it is
 * until it is cleared. Release with mpivf_claim_clear, also after failure. Collective.
 */
mpivf_status
mpivf_claim_open_all(struct mpivf_claim *claim, const struct mpivf_par *par,
                     const char *folder, const char *identity);

/*
 * MPIVF_MISMATCH when the manifest names another identity, MPIVF_CORRUPT when it cannot
 * be read; MPIVF_OK also when there is none. Local.
 */
mpivf_status
mpivf_claim_check(struct mpivf_context *ctx, const char *folder, const char *identity);

/*
 * A source as a member of an identity, JSON text {"fingerprint", "name", "seen"}; `seen` is
 * how its files looked. Local.
 */
enum { MPIVF_CLAIM_SOURCE = 512 };
void
mpivf_claim_source(uint64_t fingerprint, const char *name, const char *seen,
                   char text[MPIVF_CLAIM_SOURCE]);

/* Is there a manifest? Local. */
bool
mpivf_claim_exists(const char *folder);

/*
 * Write the manifest anew, whole or not at all: the identity, then the members of `more`,
 * an object that is given away (json_object() for none; NULL: no memory to make it).
 * Local, for rank 0.
 */
mpivf_status
mpivf_claim_write(const struct mpivf_claim *claim, json_t *more);

/* MPIVF_IO when a rank cannot see the manifest, which rank 0 has written. Collective. */
mpivf_status
mpivf_claim_seen_all(const struct mpivf_claim *claim);

/* Drop the lock and what is owned; the folder stays. Without par: nothing. Local. */
void
mpivf_claim_clear(struct mpivf_claim *claim);

/* Is this the name of a file of the claim itself: manifest, lock, manifest under way? */
bool
mpivf_claim_owns(const char *name);

/*
 * Remove the files whose names are `ours`, the manifest last, then the folder unless
 * something else is in it. `ours` has to know the names of the claim too. Not there is
 * fine. Local.
 */
mpivf_status
mpivf_claim_remove(struct mpivf_context *ctx, const char *folder,
                   bool (*ours)(const char *name));

#endif
