/* Inputs: ranks that see other files under one name, and files that change. */
#include "checks.h"

#include "io/inputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
static const int64_t THEN = 1700000000250000000;

/* A file of so many bytes and this time. Local. */
static void
make(struct checks *t, const char *path, size_t bytes, int64_t modified)
{
    char content[64] = {0};
    struct mpivf_file file;
    CHECK(t, mpivf_file_remove(&t->ctx, path) == MPIVF_OK);
    CHECK(t, mpivf_file_create(&t->ctx, path, &file) == MPIVF_OK);
    CHECK(t, mpivf_file_write(&t->ctx, &file, content, bytes, 0) == MPIVF_OK);
    CHECK(t, mpivf_file_close(&t->ctx, &file) == MPIVF_OK);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = modified / SECOND, .tv_nsec = modified % SECOND}};
    CHECK(t, utimensat(AT_FDCWD, path, times, 0) == 0);
}

/* A folder of this rank's own, in which it then is: "file" is another one for each. Local. */
static void
enter(struct checks *t, char folder[128])
{
    snprintf(folder, 128, "%s/rank-%d", t->folder, t->par.rank);
    CHECK(t, mpivf_folder_create(&t->ctx, folder) == MPIVF_OK);
    CHECK(t, chdir(folder) == 0);
}

static void
leave(struct checks *t, char *folder)
{
    CHECK(t, chdir("/") == 0);
    CHECK(t, remove_tree(&t->ctx, folder) == MPIVF_OK);
}

static void
times(struct checks *t)
{
    char text[MPIVF_TIME_TEXT];
    CHECK(t, mpivf_inputs_same_time(THEN, THEN));
    CHECK(t, !mpivf_inputs_same_time(THEN, THEN + 1));
    CHECK(t, mpivf_inputs_same_time(THEN, THEN / SECOND * SECOND));
    CHECK(t, mpivf_inputs_same_time(THEN / SECOND * SECOND, THEN));
    CHECK(t, !mpivf_inputs_same_time(THEN, THEN / SECOND * SECOND + SECOND));
    setenv("TZ", "UTC", 1);
    mpivf_inputs_time_text(THEN, text);
    CHECK(t, strcmp(text, "2023-11-14 22:13:20.250") == 0);
}

static void
list(struct checks *t)
{
    struct mpivf_inputs inputs = {.file = NULL};
    char folder[128];
    enter(t, folder);
    make(t, "a", 5, THEN);
    make(t, "b", 0, THEN + 1);
    CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "a") == MPIVF_OK);
    CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "b") == MPIVF_OK);
    make(t, "a", 6, THEN + 2);
    CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "a") == MPIVF_OK);
    CHECK(t, inputs.files == 2 && inputs.file[0].bytes == 5 && inputs.file[0].modified == THEN);
    CHECK(t, inputs.file[1].bytes == 0 && inputs.file[1].modified == THEN + 1);
    CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "c") == MPIVF_IO && inputs.files == 2);
    CHECK(t, strstr(t->ctx.error, "cannot open 'c': No such file") != NULL);
    mpivf_inputs_clear(&t->ctx, &inputs);
    leave(t, folder);
}

/*
 * Rank 0's file has 5 bytes of THEN; rank `other` has one of `bytes`, of `modified`, or none for no
 * time.
 */
static void
share_all(struct checks *t, int other, size_t bytes, int64_t modified, const char *says)
{
    struct mpivf_inputs inputs = {.file = NULL};
    char folder[128], who[32];
    bool mine = t->par.rank == other;
    enter(t, folder);
    if (!mine || modified)
        make(t, "file", mine ? bytes : 5, mine ? modified : THEN);
    make(t, "more", 1, THEN);
    if (t->par.rank == 0) {
        CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "more") == MPIVF_OK);
        CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "file") == MPIVF_OK);
    }
    mpivf_status status = mpivf_inputs_share_all(&t->par, &inputs);
    CHECK(t, status == (says && other < t->par.size ? MPIVF_INPUT : MPIVF_OK));
    if (status == MPIVF_OK) {
        CHECK(t, inputs.files == 2 && strcmp(inputs.file[1].path, "file") == 0);
        CHECK(t,
              inputs.file[1].bytes == 5 && mpivf_inputs_same_time(inputs.file[1].modified, THEN));
        CHECK(t, mpivf_inputs_unchanged_all(&t->par, &inputs) == MPIVF_OK);
    } else {
        snprintf(who, sizeof who, "rank %d on ", other);
        CHECK(t, strstr(t->ctx.error, who) == t->ctx.error && strstr(t->ctx.error, says) != NULL);
    }
    mpivf_clear_error(&t->ctx);
    mpivf_inputs_clear(&t->ctx, &inputs);
    leave(t, folder);
}

static void
ranks(struct checks *t)
{
    setenv("TZ", "UTC", 1);
    for (int other = 1; other < 3; other++) {
        share_all(t, other, 5, THEN, NULL);
        share_all(t, other, 5, THEN / SECOND * SECOND, NULL);
        share_all(t, other, 7, THEN,
                  "sees another 'file': 7 bytes there, 5 on rank 0; copy it with");
        share_all(t, other, 5, THEN + SECOND,
                  "sees another 'file': modified 2023-11-14 22:13:21.250 there, 2023-11-14 "
                  "22:13:20.250 on rank 0; copy");
        share_all(t, other, 0, 0, "cannot open 'file': No such file or directory; put it on");
    }
}

static void
content(struct checks *t)
{
    uint64_t last = (uint64_t)t->par.size - 1, rank = (uint64_t)t->par.rank;
    char who[32];
    CHECK(t, mpivf_inputs_content_all(&t->par, "x.h5", 77) == MPIVF_OK);
    mpivf_status status =
        mpivf_inputs_content_all(&t->par, "x.h5", rank == last && last > 0 ? 78 : 77);
    CHECK(t, status == (last > 0 ? MPIVF_INPUT : MPIVF_OK));
    snprintf(who, sizeof who, "rank %d on ", t->par.size - 1);
    CHECK(t, last == 0 || (strstr(t->ctx.error, who) == t->ctx.error &&
                           strstr(t->ctx.error, "finds other content in 'x.h5'") != NULL));
}

/* Changed for one rank only, too. */
static void
change_all(struct checks *t, int rank, size_t bytes, int64_t modified, const char *says)
{
    struct mpivf_inputs inputs = {.file = NULL};
    char folder[128];
    enter(t, folder);
    make(t, "file", 5, THEN);
    CHECK(t, mpivf_inputs_add(&t->ctx, &inputs, "file") == MPIVF_OK);
    CHECK(t, mpivf_inputs_unchanged_all(&t->par, &inputs) == MPIVF_OK);
    if (t->par.rank == rank && modified)
        make(t, "file", bytes, modified);
    else if (t->par.rank == rank)
        CHECK(t, unlink("file") == 0);
    CHECK(t, mpivf_inputs_unchanged_all(&t->par, &inputs) == MPIVF_INPUT);
    CHECK(t, strstr(t->ctx.error, says) != NULL);
    mpivf_clear_error(&t->ctx);
    mpivf_inputs_clear(&t->ctx, &inputs);
    leave(t, folder);
}

static void
changes(struct checks *t)
{
    setenv("TZ", "UTC", 1);
    for (int rank = 0; rank < t->par.size; rank++) {
        change_all(t, rank, 6, THEN,
                   "'file' was modified while it was read (at 2023-11-14 22:13:20.250)");
        change_all(t, rank, 5, THEN + SECOND, "while it was read (at 2023-11-14 22:13:21.250)");
        change_all(t, rank, 0, 0, "cannot see 'file' any more after reading it: No such file");
    }
    struct mpivf_inputs none = {.file = NULL};
    CHECK(t, mpivf_inputs_unchanged_all(&t->par, &none) == MPIVF_OK);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"inputs: times of one version", times},
        {"inputs: a file stays as it was when it was taken in", list},
        {"inputs: a rank that sees another file is named", ranks},
        {"inputs: a rank that sees other content is named", content},
        {"inputs: a file that changes is named", changes},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
