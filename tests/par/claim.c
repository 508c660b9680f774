/* A claimed folder: made, gone on with, refused to others, locked, removed. */
#include "checks.h"

#include "io/claim.h"

#include <sys/wait.h>
#include <unistd.h>

static const char mine[] = "{\"source\": \"12ab\", \"lists\": 8, \"part\": \"0/0\"}";

/* The folder of a test, the same on every rank. */
static const char *
folder_of(const struct checks *t)
{
    static char folder[MPIVF_PATH];
    snprintf(folder, sizeof folder, "%s/out.work", t->folder);
    return folder;
}

static const char *
path_in(const struct checks *t, const char *name)
{
    static char path[MPIVF_PATH];
    snprintf(path, sizeof path, "%s/out.work/%s", t->folder, name);
    return path;
}

/* What one rank does to the files next must not meet what another still looks at. */
static void
settle_all(struct checks *t)
{
    CHECK(t, mpivf_agree_all(&t->par, MPIVF_OK) == MPIVF_OK);
}

static mpivf_status
write_all(struct checks *t, const struct mpivf_claim *claim, json_t *more)
{
    mpivf_status status = MPIVF_OK;
    if (t->par.rank == 0)
        status = mpivf_claim_write(claim, more);
    else
        json_decref(more);
    return mpivf_agree_all(&t->par, status);
}

/* Rank 0 puts `text` in the place of the manifest. */
static void
overwrite_all(struct checks *t, const char *text)
{
    mpivf_status status = MPIVF_OK;
    if (t->par.rank == 0)
        status = mpivf_file_save(&t->ctx, path_in(t, "manifest.json"), text,
                                 strlen(text));
    CHECK(t, mpivf_agree_all(&t->par, status) == MPIVF_OK);
}

/* Leave a claimed folder behind, as a run that was killed does. */
static void
leave_all(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    mpivf_claim_clear(&claim);
}

/* Every rank is refused with the same status and a text that has `says`. */
static void
refused_all(struct checks *t, const char *identity, mpivf_status expected,
            const char *says)
{
    struct mpivf_claim claim;
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), identity) == expected);
    CHECK(t, strstr(t->ctx.error, says) != NULL);
    CHECK(t, claim.lock.fd < 0 || t->par.rank == 0);
    mpivf_claim_clear(&claim);
    mpivf_forgive(&t->ctx);
}

static void
remove_all(struct checks *t)
{
    mpivf_status status = MPIVF_OK;
    settle_all(t);
    if (t->par.rank == 0)
        status = mpivf_claim_remove(&t->ctx, folder_of(t), mpivf_claim_owns);
    CHECK(t, mpivf_agree_all(&t->par, status) == MPIVF_OK);
    CHECK(t, !mpivf_file_exists(folder_of(t)));
    settle_all(t);
}

static void
new_folder(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, !mpivf_claim_exists(folder_of(t)));
    CHECK(t, mpivf_claim_check(&t->ctx, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, strcmp(claim.folder, folder_of(t)) == 0);
    CHECK(t, strcmp(claim.identity, mine) == 0);
    CHECK(t, (claim.lock.fd >= 0) == (t->par.rank == 0));
    CHECK(t, !mpivf_claim_exists(folder_of(t)));
    settle_all(t);
    json_t *more = json_pack("{s:b, s:[i, i]}", "model", 1, "shards", 3, 4);
    CHECK(t, write_all(t, &claim, more) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    CHECK(t, mpivf_claim_exists(folder_of(t)));
    json_t *found = json_load_file(path_in(t, "manifest.json"), 0, NULL);
    json_t *identity = json_loads(mine, 0, NULL);
    json_t *wanted = json_pack("{s:s, s:i, s:o, s:b, s:[i, i]}", "format", "mpivf-work",
                               "version", 2, "identity", identity, "model", 1,
                               "shards", 3, 4);
    CHECK(t, json_equal(found, wanted));
    json_decref(found);
    json_decref(wanted);
    mpivf_claim_clear(&claim);
    remove_all(t);
}

/* In another order of members, too: what counts is what they say. */
static void
same_identity(struct checks *t)
{
    static const char same[] = "{\"part\": \"0/0\", \"lists\": 8, \"source\": \"12ab\"}";
    struct mpivf_claim claim;
    leave_all(t);
    CHECK(t, mpivf_claim_check(&t->ctx, folder_of(t), same) == MPIVF_OK);
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), same) == MPIVF_OK);
    CHECK(t, mpivf_claim_exists(folder_of(t)));
    CHECK(t, write_all(t, &claim, json_pack("{s:b}", "model", 0)) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
    json_t *found = json_load_file(path_in(t, "manifest.json"), 0, NULL);
    CHECK(t, json_object_size(found) == 3);
    json_decref(found);
    mpivf_claim_clear(&claim);
    remove_all(t);
}

static void
other_identity(struct checks *t)
{
    leave_all(t);
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 9, \"part\": \"0/0\"}",
                MPIVF_MISMATCH, "command (lists is 8 there and 9 here); finish that one");
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 8, \"k\": 5}", MPIVF_MISMATCH,
                "(k is not set there and 5 here)");
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 8}", MPIVF_MISMATCH,
                "(its options differ)");
    refused_all(t, "{\"source\": ", MPIVF_INTERNAL, "is not JSON");
    CHECK(t, mpivf_claim_check(&t->ctx, folder_of(t), mine) == MPIVF_OK); /* as it was */
    remove_all(t);
}

/* Of a source the fingerprint counts; its name and how it looked are for the message. */
static void
sources(struct checks *t)
{
    char source[MPIVF_CLAIM_SOURCE], identity[2 * MPIVF_CLAIM_SOURCE];
    const struct {
        uint64_t fingerprint;
        const char *name, *seen;
        mpivf_status status;
        const char *says;
    } tries[] = {
        {7, "a.h5", "10 bytes", MPIVF_OK, ""},
        {7, "./a.h5", "11 bytes", MPIVF_OK, ""},
        {8, "a.h5", "12 bytes", MPIVF_MISMATCH, "'a.h5' changed since the work in '"},
        {8, "a.h5", "12 bytes", MPIVF_MISMATCH, "began: 10 bytes then, 12 bytes now; remove"},
        {8, "b\"\n.h5", "12 bytes", MPIVF_MISMATCH, "on 'a.h5' (10 bytes), not on 'b??.h5' (12 bytes)"},
        {8, "\303\244", "1 byte", MPIVF_MISMATCH, "not on '\303\244' (1 byte)"},
        {8, "\344", "1 byte", MPIVF_MISMATCH, "not on '?' (1 byte)"},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        mpivf_claim_source(7, "a.h5", "10 bytes", source);
        snprintf(identity, sizeof identity, "{\"source\": %s}", source);
        struct mpivf_claim claim;
        CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), identity) == MPIVF_OK);
        CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
        mpivf_claim_clear(&claim);
        mpivf_claim_source(tries[i].fingerprint, tries[i].name, tries[i].seen, source);
        snprintf(identity, sizeof identity, "{\"source\": %s}", source);
        CHECK(t, mpivf_claim_check(&t->ctx, folder_of(t), identity) == tries[i].status);
        CHECK(t, strstr(t->ctx.error, tries[i].says) != NULL);
        mpivf_forgive(&t->ctx);
        remove_all(t);
    }
}

static void
damaged_manifest(struct checks *t)
{
    leave_all(t);
    overwrite_all(t, "{\"format\": \"mpivf-work\", \"version\": 2, \"ident");
    refused_all(t, mine, MPIVF_CORRUPT, "out.work' to start over");
    overwrite_all(t, "");
    refused_all(t, mine, MPIVF_CORRUPT, "cannot read");
    overwrite_all(t, "[1, 2]");
    refused_all(t, mine, MPIVF_MISMATCH, "another version of mpivf");
    overwrite_all(t, "{\"version\": 3}");
    refused_all(t, mine, MPIVF_MISMATCH, "another version of mpivf");
    overwrite_all(t, "{\"version\": 2}");
    refused_all(t, mine, MPIVF_MISMATCH, "(source is not set there and \"12ab\" here)");
    remove_all(t);
}

/* Hold the lock until the parent closes its end of `gate`; a byte on `ready` tells it. */
static void
hold_lock(struct checks *t, const int ready[2], const int gate[2])
{
    struct mpivf_file lock;
    char byte = 0;
    close(gate[1]);
    if (mpivf_file_lock(&t->ctx, path_in(t, "lock"), &lock) == MPIVF_OK)
        byte = 1;
    if (write(ready[1], &byte, 1) == 1)
        byte = read(gate[0], &byte, 1) == 0;
    _exit(byte != 1);
}

static void
held_by_another(struct checks *t)
{
    int ready[2] = {-1, -1}, gate[2] = {-1, -1};
    pid_t child = -1;
    char byte = 0;
    leave_all(t);
    if (t->par.rank == 0) {
        CHECK(t, pipe(ready) == 0 && pipe(gate) == 0);
        child = fork();
        if (child == 0)
            hold_lock(t, ready, gate);
        CHECK(t, child > 0 && read(ready[0], &byte, 1) == 1 && byte == 1);
    }
    mpivf_bcast_all(&t->par, &byte, 1);
    refused_all(t, mine, MPIVF_EXISTS, "another process is at work on");
    if (t->par.rank == 0) {
        int ended = 1;
        close(gate[1]);
        CHECK(t, child > 0 && waitpid(child, &ended, 0) == child && ended == 0);
        close(gate[0]);
        close(ready[0]);
        close(ready[1]);
    }
    mpivf_bcast_all(&t->par, &byte, 1);
    leave_all(t); /* the lock of a process that has ended is nobody's */
    remove_all(t);
}

static void
lock_until_cleared(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), mine) == MPIVF_OK);
    refused_all(t, mine, MPIVF_EXISTS, "another process is at work on");
    mpivf_claim_clear(&claim);
    CHECK(t, claim.par == NULL && claim.identity == NULL);
    mpivf_claim_clear(&claim); /* cleared is fine */
    leave_all(t);
    remove_all(t);
}

/* The last rank looks elsewhere, as a node does that has a file system of its own. */
static void
unseen(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_IO);
    CHECK(t, strstr(t->ctx.error, "file system that all ranks share") != NULL);
    mpivf_forgive(&t->ctx);
    CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    if (t->par.rank == t->par.size - 1)
        strcpy(claim.folder, "/no/such");
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_IO);
    CHECK(t, strstr(t->ctx.error, "cannot see '/no/such/manifest.json'") != NULL);
    mpivf_forgive(&t->ctx);
    mpivf_claim_clear(&claim);
    remove_all(t);
}

static void
failed_write(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, NULL) == MPIVF_MEMORY);
    mpivf_forgive(&t->ctx);
    CHECK(t, !mpivf_claim_exists(folder_of(t)));
    mpivf_claim_clear(&claim);
    remove_all(t);
}

/* Only rank 0 touches the disk. */
static void
files_of_others(struct checks *t)
{
    leave_all(t);
    if (t->par.rank == 0) {
        CHECK(t, mpivf_file_save(&t->ctx, path_in(t, "notes.txt"), "x", 1) == MPIVF_OK);
        CHECK(t, mpivf_claim_remove(&t->ctx, folder_of(t), mpivf_claim_owns) == MPIVF_OK);
        CHECK(t, mpivf_file_exists(path_in(t, "notes.txt")));
        CHECK(t, !mpivf_claim_exists(folder_of(t)));
        CHECK(t, !mpivf_file_exists(path_in(t, "lock")));
        CHECK(t, mpivf_file_remove(&t->ctx, path_in(t, "notes.txt")) == MPIVF_OK);
    }
    remove_all(t);
    remove_all(t); /* not there is fine */
}

static void
names(struct checks *t)
{
    char folder[MPIVF_PATH];
    CHECK(t, mpivf_claim_folder(&t->ctx, "a/b.idx", NULL, "work", folder) == MPIVF_OK);
    CHECK(t, strcmp(folder, "a/b.idx.work") == 0);
    CHECK(t, mpivf_claim_folder(&t->ctx, "a/b.idx", "/tmp", "work", folder) == MPIVF_OK);
    CHECK(t, strcmp(folder, "/tmp/b.idx.work") == 0);
    CHECK(t, mpivf_claim_folder(&t->ctx, "b.idx", "s", "merge", folder) == MPIVF_OK);
    CHECK(t, strcmp(folder, "s/b.idx.merge") == 0);
    CHECK(t, mpivf_claim_owns("manifest.json") && mpivf_claim_owns("lock"));
    CHECK(t, mpivf_claim_owns("manifest.json.partial"));
    CHECK(t, !mpivf_claim_owns("locks") && !mpivf_claim_owns("model.h5"));
}

static void
no_place(struct checks *t)
{
    struct mpivf_claim claim;
    char long_name[MPIVF_PATH + 10];
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, "/no/such/place", mine) == MPIVF_IO);
    CHECK(t, strstr(t->ctx.error, "/no/such/place") != NULL);
    mpivf_claim_clear(&claim);
    mpivf_forgive(&t->ctx);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    CHECK(t, mpivf_claim_open_all(&claim, &t->par, long_name, mine) == MPIVF_USAGE);
    mpivf_claim_clear(&claim);
    mpivf_forgive(&t->ctx);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"claim: names", names},
        {"claim: a new folder, its manifest, its removal", new_folder},
        {"claim: the same identity goes on", same_identity},
        {"claim: another identity is refused with what differs", other_identity},
        {"claim: the rows of a source count, not its name or time", sources},
        {"claim: a damaged or foreign manifest is refused", damaged_manifest},
        {"claim: a folder that another process holds is refused", held_by_another},
        {"claim: the lock is held until the claim is cleared", lock_until_cleared},
        {"claim: a rank that cannot see the manifest fails all", unseen},
        {"claim: no manifest is left by a failed write", failed_write},
        {"claim: files of others stay", files_of_others},
        {"claim: a folder that cannot be made", no_place},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
