/* A claimed folder: made, gone on with, refused to others, locked, removed. */
#include "checks.h"

#include "io/claim.h"

#include <sys/wait.h>
#include <unistd.h>

static const char mine[] = "{\"source\": \"12ab\", \"lists\": 8, \"part\": \"0/0\"}";

/* The one name that work has in these tests. */
static bool
ours(const char *name)
{
    return strcmp(name, "shard-1.h5") == 0 || strcmp(name, "shard-1.h5.partial") == 0;
}

static struct mpivf_claim_rules
rules_of(const char *identity)
{
    return (struct mpivf_claim_rules){.identity = identity, .ours = ours};
}

static mpivf_status
open_all(struct checks *t, struct mpivf_claim *claim, const char *folder, const char *identity)
{
    struct mpivf_claim_rules rules = rules_of(identity);
    return mpivf_claim_open_all(claim, &t->par, folder, &rules);
}

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
        status = mpivf_file_save(&t->ctx, path_in(t, "manifest.json"), text, strlen(text));
    CHECK(t, mpivf_agree_all(&t->par, status) == MPIVF_OK);
}

/* Leave a claimed folder behind, as a run that was killed does. */
static void
leave_all(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    mpivf_claim_clear(&claim);
}

/* Every rank is refused with the same status and a text that has `says`. */
static void
refused_all(struct checks *t, const char *identity, mpivf_status expected, const char *says)
{
    struct mpivf_claim claim;
    CHECK(t, open_all(t, &claim, folder_of(t), identity) == expected);
    CHECK(t, strstr(t->ctx.error, says) != NULL);
    CHECK(t, claim.lock.fd < 0 || t->par.rank == 0);
    mpivf_claim_clear(&claim);
    mpivf_clear_error(&t->ctx);
}

static void
remove_all(struct checks *t)
{
    mpivf_status status = MPIVF_OK;
    settle_all(t);
    if (t->par.rank == 0)
        status = mpivf_claim_remove(&t->ctx, folder_of(t), ours);
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
    settle_all(t); /* rank 0 makes it now */
    CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, strcmp(claim.folder, folder_of(t)) == 0);
    CHECK(t, strcmp(claim.identity, mine) == 0);
    CHECK(t, (claim.lock.fd >= 0) == (t->par.rank == 0));
    CHECK(t, mpivf_claim_exists(folder_of(t)));
    settle_all(t);
    json_t *more = json_pack("{s:b, s:[i, i]}", "model", 1, "shards", 3, 4);
    CHECK(t, write_all(t, &claim, more) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    CHECK(t, mpivf_claim_exists(folder_of(t)));
    json_t *found = json_load_file(path_in(t, "manifest.json"), 0, NULL);
    json_t *identity = json_loads(mine, 0, NULL);
    json_t *wanted =
        json_pack("{s:s, s:i, s:o, s:[], s:b, s:[i, i]}", "format", "mpivf-work", "version", 3,
                  "identity", identity, "outputs", "model", 1, "shards", 3, 4);
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
    CHECK(t, open_all(t, &claim, folder_of(t), same) == MPIVF_OK);
    CHECK(t, mpivf_claim_exists(folder_of(t)));
    CHECK(t, write_all(t, &claim, json_pack("{s:b}", "model", 0)) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
    json_t *found = json_load_file(path_in(t, "manifest.json"), 0, NULL);
    CHECK(t, json_object_size(found) == 4);
    json_decref(found);
    mpivf_claim_clear(&claim);
    remove_all(t);
}

static void
other_identity(struct checks *t)
{
    leave_all(t);
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 9, \"part\": \"0/0\"}", MPIVF_MISMATCH,
                "command (lists is 8 there and 9 here); finish that one");
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 8, \"k\": 5}", MPIVF_MISMATCH,
                "(k is not set there and 5 here)");
    refused_all(t, "{\"source\": \"12ab\", \"lists\": 8}", MPIVF_MISMATCH, "(its options differ)");
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
        {8, "a.h5", "12 bytes", MPIVF_MISMATCH, "began: 10 bytes then, 12 bytes now; start over"},
        {8, "b\"\n.h5", "12 bytes", MPIVF_MISMATCH,
         "on 'a.h5' (10 bytes), not on 'b??.h5' (12 bytes)"},
        {8, "\303\244", "1 byte", MPIVF_MISMATCH, "not on '\303\244' (1 byte)"},
        {8, "\344", "1 byte", MPIVF_MISMATCH, "not on '?' (1 byte)"},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        mpivf_claim_source(7, 1, "a.h5", "10 bytes", source);
        snprintf(identity, sizeof identity, "{\"source\": %s}", source);
        struct mpivf_claim claim;
        CHECK(t, open_all(t, &claim, folder_of(t), identity) == MPIVF_OK);
        CHECK(t, write_all(t, &claim, json_object()) == MPIVF_OK);
        CHECK(t, mpivf_claim_untouched(folder_of(t), identity));
        mpivf_claim_clear(&claim);
        mpivf_claim_source(tries[i].fingerprint, 2, tries[i].name, tries[i].seen, source);
        snprintf(identity, sizeof identity, "{\"source\": %s}", source);
        CHECK(t, !mpivf_claim_untouched(folder_of(t), identity));
        CHECK(t, mpivf_claim_check(&t->ctx, folder_of(t), identity) == tries[i].status);
        CHECK(t, strstr(t->ctx.error, tries[i].says) != NULL);
        mpivf_clear_error(&t->ctx);
        remove_all(t);
    }
}

static void
damaged_manifest(struct checks *t)
{
    leave_all(t);
    overwrite_all(t, "{\"format\": \"mpivf-work\", \"version\": 3, \"ident");
    refused_all(t, mine, MPIVF_CORRUPT, "out.work' to start over");
    overwrite_all(t, "");
    refused_all(t, mine, MPIVF_CORRUPT, "cannot read");
    overwrite_all(t, "[1, 2]");
    refused_all(t, mine, MPIVF_CORRUPT, "cannot read");
    overwrite_all(t, "{\"version\": 1}"); /* of somebody else */
    refused_all(t, mine, MPIVF_CORRUPT, "cannot read");
    overwrite_all(t, "{\"format\": \"mpivf-work\", \"version\": 2}");
    refused_all(t, mine, MPIVF_MISMATCH, "another version of mpivf");
    overwrite_all(t, "{\"format\": \"mpivf-work\", \"version\": 4}");
    refused_all(t, mine, MPIVF_MISMATCH, "another version of mpivf");
    overwrite_all(t, "{\"format\": \"mpivf-work\", \"version\": 3}");
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
    CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
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
    char missing[sizeof t->folder + 16];
    snprintf(missing, sizeof missing, "%s/no/such", t->folder);
    CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_OK);
    if (t->par.rank == t->par.size - 1)
        strcpy(claim.folder, missing);
    CHECK(t, mpivf_claim_seen_all(&claim) == MPIVF_IO);
    CHECK(t,
          strstr(t->ctx.error, "cannot see '") && strstr(t->ctx.error, "/no/such/manifest.json'"));
    CHECK(t, strstr(t->ctx.error, "file system that all ranks share") != NULL);
    mpivf_clear_error(&t->ctx);
    mpivf_claim_clear(&claim);
    remove_all(t);
}

static void
failed_write(struct checks *t)
{
    struct mpivf_claim claim;
    CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
    CHECK(t, write_all(t, &claim, NULL) == MPIVF_MEMORY);
    mpivf_clear_error(&t->ctx);
    CHECK(t, mpivf_claim_exists(folder_of(t))); /* the one before */
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
        CHECK(t, mpivf_claim_remove(&t->ctx, folder_of(t), ours) == MPIVF_OK);
        CHECK(t, mpivf_file_exists(path_in(t, "notes.txt")));
        CHECK(t, !mpivf_claim_exists(folder_of(t)));
        CHECK(t, !mpivf_file_exists(path_in(t, "lock")));
        CHECK(t, mpivf_file_remove(&t->ctx, path_in(t, "notes.txt")) == MPIVF_OK);
        CHECK(t, mpivf_folder_remove(&t->ctx, folder_of(t)) == MPIVF_OK);
    }
    remove_all(t); /* not there is fine */
}

/* Rank 0 puts a file there, as a user does. */
static void
put_all(struct checks *t, const char *name, const char *text)
{
    if (t->par.rank == 0) {
        struct mpivf_file file;
        CHECK(t, mpivf_file_create(&t->ctx, path_in(t, name), &file) == MPIVF_OK);
        CHECK(t, mpivf_file_write(&t->ctx, &file, text, strlen(text), 0) == MPIVF_OK);
        CHECK(t, mpivf_file_close(&t->ctx, &file) == MPIVF_OK);
    }
    settle_all(t);
}

/* Each rank sees whether it is there before any rank goes on. */
static void
there_all(struct checks *t, const char *name, bool there)
{
    CHECK(t, mpivf_file_exists(path_in(t, name)) == there);
    settle_all(t);
}

/* A folder that has the name, and files that have names of ours. */
static void
folder_of_others(struct checks *t)
{
    static const char *const name[] = {"shard-1.h5", "notes.txt", "lock", "manifest.json.partial"};
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        if (t->par.rank == 0)
            CHECK(t, mpivf_folder_create(&t->ctx, folder_of(t)) == MPIVF_OK);
        put_all(t, name[i], "mine");
        refused_all(t, mine, MPIVF_EXISTS, "is no work folder of mpivf");
        there_all(t, name[i], true);
        CHECK(t, i == 2 || !mpivf_file_exists(path_in(t, "lock"))); /* nothing was added */
        settle_all(t);
        if (t->par.rank == 0) {
            CHECK(t, mpivf_claim_remove(&t->ctx, folder_of(t), ours) == MPIVF_OK);
            CHECK(t, mpivf_file_remove(&t->ctx, path_in(t, name[i])) == MPIVF_OK);
            CHECK(t, mpivf_folder_remove(&t->ctx, folder_of(t)) == MPIVF_OK);
        }
        settle_all(t);
    }
}

/* What a run leaves that was killed before it had a manifest is nobody's and in nobody's way. */
static void
killed_at_the_start(struct checks *t)
{
    for (int files = 0; files < 3; files++) {
        if (t->par.rank == 0)
            CHECK(t, mpivf_folder_create(&t->ctx, folder_of(t)) == MPIVF_OK);
        settle_all(t);
        if (files > 0)
            put_all(t, "lock", "");
        if (files > 1)
            put_all(t, "manifest.json.partial", "{\n  \"format\": \"mpiv");
        leave_all(t);
        there_all(t, "manifest.json.partial", false);
        remove_all(t);
    }
}

static void
starting_over(struct checks *t)
{
    static const char other[] = "{\"source\": \"other\"}";
    struct mpivf_claim claim;
    for (int same = 0; same < 2; same++) {
        struct mpivf_claim_rules rules = rules_of(same ? mine : other);
        leave_all(t);
        put_all(t, "shard-1.h5", "work");
        put_all(t, "shard-10.h5", "mine");
        rules.over = true;
        CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), &rules) == MPIVF_OK);
        there_all(t, "shard-1.h5", same != 0); /* forced, one goes on with what is one's own */
        there_all(t, "shard-10.h5", true);
        mpivf_claim_clear(&claim);
        rules.no_work = true;
        CHECK(t, mpivf_claim_open_all(&claim, &t->par, folder_of(t), &rules) == MPIVF_OK);
        there_all(t, "shard-1.h5", false);
        mpivf_claim_clear(&claim);
        settle_all(t);
        if (t->par.rank == 0)
            CHECK(t, mpivf_file_remove(&t->ctx, path_in(t, "shard-10.h5")) == MPIVF_OK);
        remove_all(t);
    }
}

/* A folder with work stays; one without goes with the failure. */
static void
abandoned(struct checks *t)
{
    static const char *const name[] = {"shard-1.h5", "shard-1.h5.partial", NULL};
    for (int i = 0; i < 3; i++) {
        struct mpivf_claim claim;
        CHECK(t, open_all(t, &claim, folder_of(t), mine) == MPIVF_OK);
        if (name[i])
            put_all(t, name[i], "work");
        settle_all(t);
        if (t->par.rank == 0)
            mpivf_claim_abandon(&claim);
        settle_all(t);
        CHECK(t, mpivf_file_exists(folder_of(t)) == (i == 0));
        mpivf_claim_clear(&claim);
        mpivf_claim_abandon(&claim); /* cleared is fine */
        remove_all(t);
    }
}

static void
no_place(struct checks *t)
{
    struct mpivf_claim claim;
    char long_name[MPIVF_PATH + 10], missing[sizeof t->folder + 16];
    snprintf(missing, sizeof missing, "%s/no/such", t->folder);
    CHECK(t, open_all(t, &claim, missing, mine) == MPIVF_IO);
    CHECK(t, strstr(t->ctx.error, missing) != NULL);
    mpivf_claim_clear(&claim);
    mpivf_clear_error(&t->ctx);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    CHECK(t, open_all(t, &claim, long_name, mine) == MPIVF_USAGE);
    mpivf_claim_clear(&claim);
    mpivf_clear_error(&t->ctx);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"claim: a new folder, its manifest, its removal", new_folder},
        {"claim: the same identity goes on", same_identity},
        {"claim: another identity is refused with what differs", other_identity},
        {"claim: the rows of a source count, not its name or time", sources},
        {"claim: a damaged or foreign manifest is refused", damaged_manifest},
        {"claim: a folder that another process holds is refused", held_by_another},
        {"claim: the lock is held until the claim is cleared", lock_until_cleared},
        {"claim: a rank that cannot see the manifest fails all", unseen},
        {"claim: the manifest stays when a new one cannot be written", failed_write},
        {"claim: a folder of others is refused and not touched", folder_of_others},
        {"claim: a folder without a manifest yet is entered", killed_at_the_start},
        {"claim: the work of another command goes when it is forced to", starting_over},
        {"claim: a folder without work goes with the failure", abandoned},
        {"claim: files of others stay", files_of_others},
        {"claim: a folder that cannot be made", no_place},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
