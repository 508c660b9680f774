#include "base/fault.h"
#include "base/limit.h"
#include "base/then.h"
#include "cmd/command.h"
#include "math/blas.h"
#include "math/kernel.h"

#include <mpivf/version.h>

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What the options of any command go into. */
union fields {
    struct mpivf_common common;
    char bytes[1024];
};

enum { RESERVE = 24 << 20 }; /* what libraries take beside our buffers while running */

static void
print_version(void)
{
    mpivf_blas_init();
    printf("mpivf %s (kernels %s, BLAS core %s)\n", mpivf_version(), mpivf_kernel()->name,
           mpivf_blas_core());
}

static void
print_help(void)
{
    printf(
        "mpivf builds one IVF index file from vectors that do not fit in memory, on as many MPI\n"
        "ranks as you give it, and makes the exact ground truth to judge it by.\n\n"
        "Usage: [mpirun -n RANKS] mpivf COMMAND [OPERANDS] [OPTIONS]\n");
    const char *group = "";
    for (int i = 0; mpivf_commands[i]; i++) {
        const struct mpivf_command *command = mpivf_commands[i];
        if (strcmp(group, command->group) != 0)
            printf("\n%s\n", command->group);
        group = command->group;
        printf("  %-10s %s\n", command->name, command->summary);
    }
    printf("\nA dataset is named FILE[:OBJECT]: sift.h5:train, cells.h5ad:obsm/X_pca, emb.npy.\n"
           "mpivf COMMAND --help tells a command's options; mpivf --version the version.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 quality below the limit.\n");
}

static void
set_defaults(const struct mpivf_command *command, union fields *fields)
{
    assert(command->fields <= sizeof *fields);
    if (command->defaults)
        command->defaults(fields);
}

static void
print_command_help(const struct mpivf_command *command)
{
    union fields fields = {.bytes = {0}};
    set_defaults(command, &fields);
    printf("Usage: mpivf %s %s\n\n", command->name, command->usage);
    mpivf_option_wrap(stdout, 0, command->text);
    if (command->options[0].kind != MPIVF_HEADING)
        printf("\nOptions:\n");
    mpivf_option_print(command->options, &fields, stdout);
    printf("\nExamples:\n%s", command->examples);
    printf("\nEnvironment:\n"
           "  OMP_NUM_THREADS         threads of a rank where --threads is not given\n"
           "  MPIVF_KERNEL            instruction set: portable, avx2, avx512, vnni, neon\n"
           "  MPIVF_FILTER            filter: int8, int7, int16, float32 or sgemm\n"
           "  MPIVF_AXES              axes that rows are compared along first; 0 = none.\n"
           "                          Results have the same bytes with any of these\n"
           "  HDF5_USE_FILE_LOCKING   FALSE on file systems without locks\n");
}

/* Everything written so far must have arrived. */
static int
finish_output(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "mpivf: cannot write to standard output\n");
        return code ? code : 1;
    }
    return code;
}

/* ---- notes on standard error, rank 0 only ---- */

struct screen {
    bool bar_open; /* the last line was a bar and has no end yet */
};

static void
show_note(void *arg, const char *line)
{
    struct screen *screen = arg;
    bool bar = line[0] == '\r';
    if (screen->bar_open)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "mpivf: %s%s", bar ? line + 1 : line, bar ? "" : "\n");
    screen->bar_open = bar;
    fflush(stderr);
}

/* ---- a run ---- */

/* Turn --memory, which is about the whole process, into a limit for our buffers. */
static mpivf_status
set_memory(const struct mpivf_par *par, uint64_t asked)
{
    struct mpivf_context *ctx = par->ctx;
    size_t all = asked ? asked : mpivf_memory_default(par->node_size);
    size_t base = mpivf_fault_taken(mpivf_memory_resident() + RESERVE);
    if (all < base + (1 << 20))
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "--memory %.1f MiB is too little: the program itself and its "
                          "libraries take %.1f MiB",
                          (double)all / 1048576, (double)base / 1048576);
    ctx->memory.limit = all - base;
    ctx->memory.beside = base;
    return MPIVF_OK;
}

/* The command line as one text; to be freed. */
static char *
join_line(int argc, char **argv)
{
    char *line = NULL;
    size_t size;
    FILE *stream = open_memstream(&line, &size);
    for (int i = 0; stream && i < argc; i++)
        fprintf(stream, "%s%s", i ? " " : "", argv[i]);
    if (stream)
        fclose(stream);
    return line;
}

/* What would make a run slow or wrong without failing. */
static void
warn(const struct mpivf_par *par)
{
    struct mpivf_context *ctx = par->ctx;
    const char *tasks = getenv("SLURM_NTASKS");
    if (par->size == 1 && tasks && atoi(tasks) > 1 && getenv("SLURM_STEP_ID"))
        mpivf_note(ctx, "Slurm started %s tasks, MPI sees one: use srun --mpi=pmix", tasks);
    if (ctx->threads > mpivf_par_processors())
        mpivf_note(ctx, "%d threads a rank on %d processors: see mpirun --bind-to and --map-by",
                   ctx->threads, mpivf_par_processors());
}

/* The result's members, then the listing as the last one: it is never JSON in memory. */
static void
print_json(const json_t *result, const struct mpivf_listing *listing)
{
    if (listing->name == NULL) {
        json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
        return;
    }
    char *text = json_dumps(result, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("%.*s,\n  \"%s\": [", text ? (int)strlen(text) - 2 : 0, text ? text : "", listing->name);
    for (uint64_t i = 0; i < listing->count; i++)
        printf("%s\n    %lld", i > 0 ? "," : "", (long long)listing->id[i]);
    printf("%s]\n}\n", listing->count > 0 ? "\n  " : "");
    free(text);
}

static void
print_result(const struct mpivf_command *command, const struct mpivf_common *common,
             const struct mpivf_call *call)
{
    const struct mpivf_listing *listing = &call->listing;
    if (json_object_size(call->result) == 0)
        return;
    if (common->json) {
        print_json(call->result, listing);
        return;
    }
    if (command->print)
        command->print(call->result);
    else
        mpivf_result_print(call->result);
    for (uint64_t i = 0; i < listing->count; i++)
        printf("%-22s %lld\n", i == 0 ? listing->name : "", (long long)listing->id[i]);
}

static int
run(const struct mpivf_command *command, void *fields, const char **operand, int operands, int argc,
    char **argv)
{
    const struct mpivf_common *common = fields;
    struct mpivf_context ctx;
    struct mpivf_par par;
    struct screen screen = {false};
    mpivf_context_init(&ctx);
    char *line = join_line(argc, argv);
    mpivf_par_start_all(&par, &argc, &argv, &ctx);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond ulimit -f is to fail, not to kill */
    mpivf_blas_init();
    (void)mpivf_kernel();
    ctx.threads = common->threads ? (int)common->threads : mpivf_par_threads(&par);
    ctx.note_arg = &screen;
    ctx.warn = par.rank == 0 ? show_note : NULL;
    if (par.rank == 0 && !common->quiet) {
        ctx.note = show_note;
        warn(&par);
    }
    struct mpivf_call call = {.par = &par,
                              .operand = operand,
                              .operands = operands,
                              .fields = fields,
                              .line = line ? line : command->name,
                              .result = json_object()};
    mpivf_outputs_init(&call.outputs, &par);
    mpivf_status status = set_memory(&par, common->memory);
    THEN(status, mpivf_limit_files(&ctx, 0));
    status = mpivf_agree_all(&par, status);
    THEN(status, command->run_all(&call));
    status = mpivf_agree_all(&par, status);
    mpivf_outputs_end(&call.outputs);
    int code = mpivf_exit_code(status);
    if (par.rank == 0) {
        if (status == MPIVF_OK || status == MPIVF_BELOW)
            print_result(command, common, &call);
        code = finish_output(code);
        if (screen.bar_open)
            fputs("\r\033[K", stderr);
        if (status)
            fprintf(stderr, "mpivf %s: %s\n", command->name, ctx.error);
        fflush(stderr);
    }
    mpivf_free(&ctx, call.listing.id);
    json_decref(call.result);
    mpivf_par_stop_all(&par);
    free(line);
    return code;
}

static const struct mpivf_command *
find_command(const char *name)
{
    for (int i = 0; mpivf_commands[i]; i++)
        if (strcmp(mpivf_commands[i]->name, name) == 0)
            return mpivf_commands[i];
    return NULL;
}

static bool
is(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int
main(int argc, char **argv)
{
    static const char *operand[MPIVF_OPERANDS];
    static union fields fields;
    /* before MPI starts the first rank tells; the others end well, or it would be cut short */
    bool speaks = mpivf_par_launched_rank() == 0, help = false;
    int operands = 0;

    if (argc < 2 || is(argv[1], "--help", "-h") || is(argv[1], "help", "--help")) {
        const struct mpivf_command *about = argc > 2 ? find_command(argv[2]) : NULL;
        if (speaks && about)
            print_command_help(about);
        else if (speaks)
            print_help();
        return finish_output(argc < 2 && speaks ? 2 : 0);
    }
    if (is(argv[1], "--version", "version")) {
        if (speaks)
            print_version();
        return finish_output(0);
    }
    const struct mpivf_command *command = find_command(argv[1]);
    if (command == NULL) {
        if (speaks)
            fprintf(stderr, "mpivf: there is no command '%s'; see mpivf help\n", argv[1]);
        return speaks ? 2 : 0;
    }
    struct mpivf_context ctx;
    mpivf_context_init(&ctx);
    set_defaults(command, &fields);
    mpivf_status status = mpivf_option_parse(&ctx, command->options, &fields, argc - 1, argv + 1,
                                             operand, command->min, command->max, &operands, &help);
    if (help) {
        if (speaks)
            print_command_help(command);
        return finish_output(0);
    }
    if (status) {
        if (speaks)
            fprintf(stderr, "mpivf %s: %s\n", command->name, ctx.error);
        return speaks ? mpivf_exit_code(status) : 0;
    }
    return run(command, &fields, operand, operands, argc, argv);
}
