/*
 * A program of somebody else, in C: build an index of generated rows, search it, make the truth and
 * compare. usage: mpirun -n RANKS consumer FOLDER
 */
#include <mpivf/mpivf.h>

#include <stdio.h>
#include <string.h>

static mpivf_status
generate_all(const struct mpivf_par *par, const char *path)
{
    struct mpivf_outputs outputs;
    struct mpivf_generate_options options;
    struct mpivf_report report = {.phases = 0};
    mpivf_generate_options_init(&options);
    options.rows = 3000;
    options.queries = 50;
    options.dim = 16;
    mpivf_outputs_init(&outputs, par);
    struct mpivf_output *output = mpivf_outputs_write(&outputs, path);
    mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
    if (status == MPIVF_OK)
        status = mpivf_generate_all(par, output, &options, &report);
    mpivf_outputs_end(&outputs);
    return status;
}

static mpivf_status
build_all(const struct mpivf_par *par, const char *rows, const char *path)
{
    struct mpivf_outputs outputs;
    struct mpivf_build_options options;
    struct mpivf_report report = {.phases = 0};
    struct mpivf_build_summary built;
    mpivf_build_options_init(&options);
    options.train.lists = 20;
    mpivf_outputs_init(&outputs, par);
    mpivf_outputs_read(&outputs, rows);
    struct mpivf_build_files files = {.outputs = &outputs,
                                      .index = mpivf_outputs_write(&outputs, path)};
    files.work = mpivf_outputs_folder(&outputs, mpivf_output_path(files.index), NULL, "work");
    mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
    if (status == MPIVF_OK)
        status = mpivf_build_all(par, rows, &files, &options, &report, &built);
    if (status == MPIVF_OK)
        status = mpivf_build_clean_all(par, &files);
    if (status == MPIVF_OK && par->rank == 0)
        printf("%llu rows in %llu lists\n", (unsigned long long)built.rows,
               (unsigned long long)built.trained.lists);
    mpivf_outputs_end(&outputs);
    return status;
}

static mpivf_status
search_all(const struct mpivf_par *par, const char *index, const char *queries, const char *path)
{
    struct mpivf_outputs outputs;
    struct mpivf_search_options options;
    struct mpivf_report report = {.phases = 0};
    struct mpivf_search_summary searched;
    mpivf_search_options_init(&options);
    options.probes = 20; /* all lists: exact */
    mpivf_outputs_init(&outputs, par);
    mpivf_outputs_read(&outputs, index);
    mpivf_outputs_read(&outputs, queries);
    struct mpivf_output *output = mpivf_outputs_write(&outputs, path);
    mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
    if (status == MPIVF_OK)
        status = mpivf_search_all(par, index, queries, output, &options, &report, &searched);
    mpivf_outputs_end(&outputs);
    return status;
}

static mpivf_status
truth_all(const struct mpivf_par *par, const char *base, const char *queries, const char *path)
{
    struct mpivf_outputs outputs;
    struct mpivf_truth_options options;
    struct mpivf_truth_files files;
    struct mpivf_report report = {.phases = 0};
    struct mpivf_truth_summary made;
    mpivf_truth_options_init(&options);
    options.k = 10;
    mpivf_outputs_init(&outputs, par);
    mpivf_outputs_read(&outputs, base);
    mpivf_outputs_read(&outputs, queries);
    mpivf_truth_name(&outputs, path, &options, &files);
    mpivf_status status = mpivf_outputs_declare_all(&outputs, false);
    if (status == MPIVF_OK)
        status = mpivf_truth_all(par, base, queries, &files, &options, &report, &made);
    if (status == MPIVF_OK)
        status = mpivf_truth_clean_all(par, &files);
    mpivf_outputs_end(&outputs);
    return status;
}

int
main(int argc, char **argv)
{
    struct mpivf_context ctx;
    struct mpivf_par par;
    char rows[1024], index[1024], result[1024], truth[1024];
    struct mpivf_eval_summary eval = {.depths = 1};
    mpivf_context_init(&ctx);
    mpivf_par_start_all(&par, &argc, &argv, &ctx);
    if (argc != 2 || strcmp(mpivf_version(), MPIVF_VERSION) != 0)
        return 2;
    snprintf(rows, sizeof rows, "%s/rows.h5", argv[1]);
    snprintf(index, sizeof index, "%s/index", argv[1]);
    snprintf(result, sizeof result, "%s/result.h5", argv[1]);
    snprintf(truth, sizeof truth, "%s/truth.h5", argv[1]);
    mpivf_status status = generate_all(&par, rows);
    if (status == MPIVF_OK)
        status = build_all(&par, rows, index);
    if (status == MPIVF_OK)
        status = search_all(&par, index, rows, result);
    if (status == MPIVF_OK)
        status = truth_all(&par, rows, rows, truth);
    if (status == MPIVF_OK && par.rank == 0)
        status = mpivf_eval_files(&ctx, result, truth, &eval);
    status = mpivf_agree_all(&par, status);
    if (par.rank == 0 && status == MPIVF_OK)
        printf("recall@10 %.4f\n", eval.at[eval.depths - 1].tie_recall);
    if (par.rank == 0 && status)
        fprintf(stderr, "%s\n", ctx.error);
    mpivf_par_stop_all(&par);
    return mpivf_exit_code(status);
}
