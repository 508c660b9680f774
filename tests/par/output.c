/* Outputs on all ranks: the same names, the same refusal, and one that goes on. */
#include "checks.h"

#include "io/output.h"

#include <sys/stat.h>
#include <unistd.h>

static struct mpivf_output *
name_all(struct checks *t, struct mpivf_outputs *outputs, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    mpivf_outputs_init(outputs, &t->par);
    return mpivf_outputs_write(outputs, path);
}

/* Nobody looks any more. */
static void
end_all(struct checks *t, struct mpivf_outputs *outputs)
{
    mpivf_sum_u64_all(&t->par, 0);
    mpivf_outputs_end(outputs);
    mpivf_sum_u64_all(&t->par, 0);
}

static void
same_names(struct checks *t)
{
    struct mpivf_outputs outputs;
    struct mpivf_output *out = name_all(t, &outputs, "out");
    struct mpivf_output *work =
        mpivf_outputs_folder(&outputs, mpivf_output_path(out), NULL, "work");
    char names[3][MPIVF_PATH];
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_OK);
    strcpy(names[0], out->path);
    strcpy(names[1], out->partial);
    strcpy(names[2], work->path);
    mpivf_bcast_all(&t->par, names, sizeof names);
    CHECK(t, strcmp(out->path, names[0]) == 0 && strcmp(out->partial, names[1]) == 0);
    CHECK(t, strcmp(work->path, names[2]) == 0 && strstr(names[2], "/out.work") != NULL);
    CHECK(t, mpivf_file_exists(out->partial) && (out->file.fd >= 0) == (t->par.rank == 0));
    end_all(t, &outputs);
    CHECK(t, !mpivf_file_exists(names[1]));
}

/* Every rank writes its share; the name comes once. */
static void
all_write(struct checks *t)
{
    struct mpivf_outputs outputs;
    struct mpivf_output *out = name_all(t, &outputs, "out");
    struct mpivf_file file = {.fd = -1};
    unsigned char found[64] = {0}, mine = (unsigned char)(t->par.rank + 1);
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_OK);
    CHECK(t, mpivf_file_update(&t->ctx, out->partial, &file) == MPIVF_OK);
    CHECK(t, mpivf_file_write(&t->ctx, &file, &mine, 1, (uint64_t)t->par.rank) == MPIVF_OK);
    CHECK(t, mpivf_file_close(&t->ctx, &file) == MPIVF_OK);
    mpivf_sum_u64_all(&t->par, 0);
    if (t->par.rank == 0)
        CHECK(t, mpivf_output_commit(&t->ctx, out) == MPIVF_OK);
    mpivf_sum_u64_all(&t->par, 0);
    CHECK(t, mpivf_file_open(&t->ctx, out->path, &file) == MPIVF_OK);
    CHECK(t, mpivf_file_read(&t->ctx, &file, found, (size_t)t->par.size, 0) == MPIVF_OK);
    for (int rank = 0; rank < t->par.size; rank++)
        CHECK(t, found[rank] == rank + 1);
    mpivf_file_drop(&file);
    end_all(t, &outputs);
    name_all(t, &outputs, "out");
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_EXISTS);
    CHECK(t, strstr(t->ctx.error, "--force") != NULL);
    mpivf_clear_error(&t->ctx);
    end_all(t, &outputs);
}

/* What rank 0 alone can see fails all; what fails before that too. */
static void
refused_together(struct checks *t)
{
    struct mpivf_outputs outputs;
    char name[300];
    name_all(t, &outputs, "no/such/folder");
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_IO);
    CHECK(t, strstr(t->ctx.error, "there is no folder") != NULL);
    mpivf_clear_error(&t->ctx);
    end_all(t, &outputs);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    mpivf_outputs_init(&outputs, &t->par);
    mpivf_outputs_write(&outputs, name);
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_USAGE);
    mpivf_clear_error(&t->ctx);
    end_all(t, &outputs);
    name_all(t, &outputs, "late");
    if (t->par.rank == t->par.size - 1) /* a rank without memory */
        outputs.status = mpivf_fail(&t->ctx, MPIVF_MEMORY, "no memory");
    CHECK(t, mpivf_outputs_declare_all(&outputs, false) == MPIVF_MEMORY);
    mpivf_clear_error(&t->ctx);
    end_all(t, &outputs);
}

/* Every rank is a command of its own, as under a launcher that does not know this MPI. */
static void
many_singletons(struct checks *t)
{
    struct mpivf_outputs outputs;
    struct mpivf_par self;
    struct mpivf_context ctx;
    char path[128];
    snprintf(path, sizeof path, "%s/single", t->folder);
    mpivf_context_init(&ctx);
    mpivf_par_init_all(&self, MPI_COMM_SELF, &ctx);
    for (int turn = 0; turn < 20; turn++) {
        mpivf_outputs_init(&outputs, &self);
        mpivf_outputs_write(&outputs, path);
        mpivf_sum_u64_all(&t->par, 0); /* all in one instant */
        mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
        CHECK(t, status == MPIVF_OK || status == MPIVF_EXISTS);
        CHECK(t, mpivf_sum_u64_all(&t->par, status == MPIVF_OK) == 1);
        mpivf_clear_error(&ctx);
        end_all(t, &outputs);
    }
    CHECK(t, ctx.memory.used == 0);
    mpivf_par_clear_all(&self);
}

int
main(int argc, char **argv)
{
    static const struct par_test tests[] = {
        {"output: the same names on every rank", same_names},
        {"output: every rank writes, the name comes once", all_write},
        {"output: a refusal is every rank's", refused_together},
        {"output: of many singletons one goes on", many_singletons},
    };
    return run_tests_all(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
