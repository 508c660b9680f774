/* The agreement and the rounds: one failure reaches every rank, with its text. */
#include "checks.h"

#include "par/array.h"

#include <mpivf/progress.h>

/* Fail on this rank when it is one of the two, and agree. */
static mpivf_status
fail_on_all(struct checks *t, int first, int second)
{
    mpivf_status status = MPIVF_OK;
    mpivf_clear_error(&t->ctx);
    if (t->par.rank == first)
        status = mpivf_fail(&t->ctx, MPIVF_CORRUPT, "the cause on %d", first);
    if (t->par.rank == second && second != first)
        status = mpivf_fail(&t->ctx, MPIVF_IO, "another on %d", second);
    return mpivf_agree_all(&t->par, status);
}

static void
expect_text(struct checks *t, int rank, const char *text)
{
    char want[64];
    if (rank == 0)
        snprintf(want, sizeof want, "%s %d", text, rank);
    else
        snprintf(want, sizeof want, "rank %d: %s %d", rank, text, rank);
    CHECK(t, strcmp(t->ctx.error, want) == 0);
}

static void
nobody_fails(struct checks *t)
{
    CHECK(t, mpivf_agree_all(&t->par, MPIVF_OK) == MPIVF_OK);
    CHECK(t, t->ctx.error[0] == '\0');
}

static void
each_rank_in_turn(struct checks *t)
{
    for (int rank = 0; rank < t->par.size; rank++) {
        CHECK(t, fail_on_all(t, rank, rank) == MPIVF_CORRUPT);
        expect_text(t, rank, "the cause on");
    }
}

static void
two_at_once(struct checks *t)
{
    for (int a = 0; a < t->par.size; a++)
        for (int b = 0; b < t->par.size; b++) {
            if (a == b)
                continue;
            CHECK(t, fail_on_all(t, a, b) == (a < b ? MPIVF_CORRUPT : MPIVF_IO));
            expect_text(t, a < b ? a : b, a < b ? "the cause on" : "another on");
        }
}

static void
all_at_once(struct checks *t)
{
    mpivf_fail(&t->ctx, MPIVF_MEMORY, "no room on %d", t->par.rank);
    CHECK(t, mpivf_agree_all(&t->par, MPIVF_MEMORY) == MPIVF_MEMORY);
    expect_text(t, 0, "no room on");
}

/* A failure that has been agreed on passes further agreements unchanged. */
static void
agreed_again(struct checks *t)
{
    int last = t->par.size - 1;
    mpivf_status status = fail_on_all(t, last, last);
    for (int i = 0; i < 3; i++)
        status = mpivf_agree_all(&t->par, status);
    CHECK(t, status == MPIVF_CORRUPT);
    expect_text(t, last, "the cause on");
}

static void
every_status(struct checks *t)
{
    for (int status = 1; status < MPIVF_STATUSES; status++) {
        bool mine = t->par.rank == t->par.size - 1;
        mpivf_clear_error(&t->ctx);
        if (mine)
            mpivf_fail(&t->ctx, (mpivf_status)status, "s");
        CHECK(t, mpivf_agree_all(&t->par, mine ? (mpivf_status)status : MPIVF_OK) ==
                     (mpivf_status)status);
    }
}

/* Rank r has r pieces: the others wait in the loop for the last. */
static void
rounds_of_uneven_length(struct checks *t)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    int pieces = t->par.rank, rounds = 0;
    uint64_t all = 0;
    mpivf_phase_begin(&progress, &t->par, &report, "test", "rows", 5);
    for (bool more = true; more; rounds++) {
        uint64_t n = pieces > 0 ? 10 : 0;
        pieces -= pieces > 0;
        CHECK(t, mpivf_round_all(&progress, MPIVF_OK, n, pieces > 0, &more) == MPIVF_OK);
    }
    mpivf_phase_end(&progress);
    for (int rank = 0; rank < t->par.size; rank++)
        all += 10 * (uint64_t)rank;
    CHECK(t, progress.done == all);
    CHECK(t, rounds == (t->par.size > 1 ? t->par.size - 1 : 1));
    CHECK(t, report.phases == 1 && strcmp(report.phase[0].name, "test") == 0);
}

static void
a_failure_stops_all_rounds(struct checks *t)
{
    struct mpivf_report report = {0};
    struct mpivf_progress progress;
    int failing = t->par.size / 2, rounds = 0;
    mpivf_status status = MPIVF_OK;
    mpivf_phase_begin(&progress, &t->par, &report, "test", "rows", 0);
    for (bool more = true; more && rounds < 50; rounds++) {
        if (t->par.rank == failing && rounds == 3)
            status = mpivf_fail(&t->ctx, MPIVF_INPUT, "bad row on %d", failing);
        status = mpivf_round_all(&progress, status, 1, true, &more); /* everybody still has work */
    }
    mpivf_phase_end(&progress);
    CHECK(t, rounds == 4);
    CHECK(t, status == MPIVF_INPUT);
    expect_text(t, failing, "bad row on");
}

/* Rank 0's numbers, however many, on every rank. */
static void
an_array_of_rank_0(struct checks *t)
{
    for (uint64_t n = 0; n < 3000; n += n / 2 + 1) {
        uint64_t count = t->par.rank == 0 ? n : 77, *number = NULL;
        if (t->par.rank == 0)
            number = mpivf_alloc(&t->ctx, "numbers", n, sizeof *number);
        for (uint64_t i = 0; t->par.rank == 0 && i < n; i++)
            number[i] = i * i + n;
        CHECK(t, mpivf_bcast_array_all(&t->par, "numbers", &number, &count, sizeof *number) ==
                     MPIVF_OK);
        CHECK(t, count == n);
        for (uint64_t i = 0; i < n; i++)
            CHECK(t, number[i] == i * i + n);
        mpivf_free(&t->ctx, number);
    }
}

/* The last rank has no memory for it: nobody goes on. */
static void
an_array_too_long_for_one(struct checks *t)
{
    uint64_t count = 1 << 20, *number = NULL;
    size_t limit = t->ctx.memory.limit;
    mpivf_clear_error(&t->ctx);
    if (t->par.rank == 0)
        number = mpivf_alloc_zero(&t->ctx, "numbers", count, sizeof *number);
    if (t->par.rank > 0 && t->par.rank == t->par.size - 1)
        t->ctx.memory.limit = t->ctx.memory.used + (1 << 20);
    mpivf_status status =
        mpivf_bcast_array_all(&t->par, "numbers", &number, &count, sizeof *number);
    CHECK(t, status == (t->par.size > 1 ? MPIVF_MEMORY : MPIVF_OK));
    CHECK(t, t->par.size == 1 || strstr(t->ctx.error, "numbers") != NULL);
    t->ctx.memory.limit = limit;
    mpivf_free(&t->ctx, number);
    mpivf_clear_error(&t->ctx);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"agree: nobody fails", nobody_fails},
        {"agree: each rank fails in turn", each_rank_in_turn},
        {"agree: two fail at once, the lower rank tells", two_at_once},
        {"agree: all fail at once", all_at_once},
        {"agree: an agreed failure stays as it is", agreed_again},
        {"agree: every status", every_status},
        {"array: rank 0's, on every rank", an_array_of_rank_0},
        {"array: too long for one rank", an_array_too_long_for_one},
        {"round: a rank that is done keeps joining", rounds_of_uneven_length},
        {"round: a failure stops all", a_failure_stops_all_rounds},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
