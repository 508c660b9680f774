/*
 * claim: a folder in which one command works until its output is whole.
 *
 * FOLDER/manifest.json says that it is ours ("format": "mpivf-work") and whose: `identity`, every
 * option that shapes the bytes of the output, and its sources (mpivf_claim_source), of which the
 * fingerprints count and the rest is for messages. The same command again finds the folder its own
 * and goes on; any other is refused with the first option that differs, or starts over when it was
 * forced to. "outputs" lists the partials of the command (io/output.h), which the one that goes on
 * removes. The members after that are for people to read. FOLDER/lock keeps a second run out while
 * the first is at work; where the file system knows no locks nothing does.
 *
 * A folder without our manifest is somebody else's, and is refused and not touched, unless there
 * is nothing in it but what a run leaves that was killed before it had written one. In a folder of
 * ours only files go whose names are exactly those that the command gives (`ours`); what else lies
 * there stays. When the folder is removed the manifest goes after all of these, and the lock after
 * it: a removal that is killed leaves work of ours, or an empty folder (but for its lock).
 *
 * The order is: open, which writes the manifest of a new folder; look through it; write the
 * manifest again as often as there is something to tell (rank 0); seen.
 */
#ifndef MPIVF_IO_CLAIM_H
#define MPIVF_IO_CLAIM_H

#include "io/output.h"

#include <mpivf/par.h>

#include <jansson.h>

struct mpivf_claim {
    const struct mpivf_par *par; /* not owned; NULL = no claim */
    char folder[MPIVF_PATH];
    char *identity;                      /* owned, the text of a JSON object */
    const struct mpivf_outputs *outputs; /* not owned; NULL = none to be listed */
    bool (*ours)(const char *name);
    struct mpivf_file lock; /* owned; rank 0 holds it while at work */
};

/* What a command does with its folder. */
struct mpivf_claim_rules {
    const char *identity;           /* JSON text, the same on every rank; copied */
    bool (*ours)(const char *name); /* the names it gives, beside those of the claim itself */
    bool over;                      /* remove the work of another command, instead of refusing */
    bool no_work; /* remove that of this command too: there is nothing to go on with */
    const struct mpivf_outputs *outputs; /* those of the command, NULL = none; has to stay */
};

/*
 * Make the folder, or enter the one that an earlier run with the same identity left, and lock it.
 * MPIVF_EXISTS when another process is at work in it or it is not ours, else as mpivf_claim_check.
 * The claim must stay where it is until it is cleared. Release with mpivf_claim_clear, also after
 * failure. Collective, agreed.
 */
mpivf_status
mpivf_claim_open_all(struct mpivf_claim *claim, const struct mpivf_par *par, const char *folder,
                     const struct mpivf_claim_rules *rules);

/*
 * MPIVF_MISMATCH when the manifest names another identity, MPIVF_CORRUPT when it cannot
 * be read; MPIVF_OK also when there is none. Local.
 */
mpivf_status
mpivf_claim_check(struct mpivf_context *ctx, const char *folder, const char *identity);

/*
 * A source as a member of an identity, JSON text {"fingerprint", "version", "name", "seen"}. The
 * version is that of struct mpivf_stamp; `seen` is how its files looked. Local.
 */
enum { MPIVF_CLAIM_SOURCE = 512 };
void
mpivf_claim_source(uint64_t fingerprint, uint64_t version, const char *name, const char *seen,
                   char text[MPIVF_CLAIM_SOURCE]);

/* Is the identity there this one, with the very versions of the sources? Local. */
bool
mpivf_claim_untouched(const char *folder, const char *identity);

/* Is there a manifest of ours? Local. */
bool
mpivf_claim_exists(const char *folder);

/* Does the manifest list this partial file among the outputs? Local. */
bool
mpivf_claim_lists(const char *folder, const char *name);

/* Has a run of the work in `folder` given this output its name? Sets output->earlier. Local. */
bool
mpivf_claim_named(const char *folder, struct mpivf_output *output);

/*
 * Write the manifest anew, whole or not at all: the identity, the outputs, then the members of
 * `more`, an object that is given away (json_object() for none; NULL: no memory to make it).
 * Local, for rank 0.
 */
mpivf_status
mpivf_claim_write(const struct mpivf_claim *claim, json_t *more);

/* MPIVF_IO when a rank cannot see the manifest, which rank 0 has written. Collective, agreed. */
mpivf_status
mpivf_claim_seen_all(const struct mpivf_claim *claim);

/* Remove the work that is in the folder, which stays claimed. Local, for rank 0. */
mpivf_status
mpivf_claim_empty(const struct mpivf_claim *claim);

/*
 * After a failure, before the claim is cleared: when there is nothing in the folder that a next run
 * could go on with, remove it; what is asked then may be something else. Local, for rank 0.
 */
void
mpivf_claim_abandon(struct mpivf_claim *claim);

/* Drop the lock and what is owned; the folder stays. Without par: nothing. Local. */
void
mpivf_claim_clear(struct mpivf_claim *claim);

/*
 * Remove the files whose names are `ours` or the claim's, its lock last, then the folder unless
 * something else is in it. A folder that is not there or not ours is let be, and so is one that
 * another process is at work in. Local.
 */
mpivf_status
mpivf_claim_remove(struct mpivf_context *ctx, const char *folder, bool (*ours)(const char *name));

#endif
