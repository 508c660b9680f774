#include <mpivf/generate.h>

#include "base/rng.h"
#include "base/then.h"
#include "io/hdf5.h"
#include "io/output.h"
#include "par/root.h"
#include "source/decode.h"

#include <string.h>

void
mpivf_generate_options_init(struct mpivf_generate_options *options)
{
    *options = (struct mpivf_generate_options){.rows = 200000,
                                               .queries = 1000,
                                               .dim = 96,
                                               .clusters = 1000,
                                               .intrinsic = 12,
                                               .seed = 1,
                                               .noise = 0.3,
                                               .type = MPIVF_F32};
}

enum { PIECE_BYTES = 8 << 20, SMALL = 4096 };
static const double SPREAD = 2.0; /* of the centres, against 1 inside a cluster */

struct generating {
    const struct mpivf_par *par;
    const struct mpivf_generate_options *options;
    struct mpivf_h5_dataset dataset[2]; /* train, test */
    float *centre, *basis;              /* owned: [clusters, dim], [clusters, intrinsic, dim] */
    float *row;                         /* owned, [piece_rows, dim] */
    uint16_t *half;                     /* owned, as many */
    uint64_t piece_rows;
};

/* Before a file is made. */
static mpivf_status
plan_memory(struct generating *g)
{
    const struct mpivf_generate_options *o = g->options;
    g->piece_rows = PIECE_BYTES / (o->dim * sizeof(float)) + 1;
    uint64_t clusters = o->clusters * (o->intrinsic + 1);
    size_t piece = g->piece_rows * (sizeof(float) + sizeof(uint16_t));
    size_t need = o->dim * (clusters * sizeof(float) + piece) + SMALL;
    return mpivf_memory_plan(g->par->ctx, "generating so many clusters", need, 0,
                             "ask for fewer --clusters or --intrinsic", NULL);
}

static mpivf_status
generating_init(struct generating *g)
{
    const struct mpivf_generate_options *o = g->options;
    struct mpivf_context *ctx = g->par->ctx;
    uint64_t directions = o->clusters * o->intrinsic;
    g->centre = mpivf_alloc(ctx, "the clusters", o->clusters * o->dim, sizeof(float));
    g->basis = mpivf_alloc(ctx, "the clusters", directions * o->dim, sizeof(float));
    g->row = mpivf_alloc(ctx, "the rows", g->piece_rows * o->dim, sizeof(float));
    g->half = mpivf_alloc(ctx, "the rows", g->piece_rows * o->dim, sizeof(uint16_t));
    if (!g->centre || !g->basis || !g->row || !g->half)
        return MPIVF_MEMORY;
    for (uint64_t i = 0; i < o->clusters * o->dim; i++)
        g->centre[i] = (float)(SPREAD * mpivf_random_normal(o->seed, MPIVF_FOR_CLUSTER, i));
    for (uint64_t i = 0; i < directions * o->dim; i++)
        g->basis[i] = (float)mpivf_random_normal(o->seed, MPIVF_FOR_BASIS, i);
    return MPIVF_OK;
}

static void
generating_clear(struct generating *g)
{
    struct mpivf_context *ctx = g->par->ctx;
    mpivf_free(ctx, g->centre);
    mpivf_free(ctx, g->basis);
    mpivf_free(ctx, g->row);
    mpivf_free(ctx, g->half);
}

static void
make_row(const struct generating *g, uint64_t number, float *row)
{
    const struct mpivf_generate_options *o = g->options;
    uint64_t cluster = mpivf_random(o->seed, MPIVF_FOR_ROW, number) % o->clusters;
    const float *basis = g->basis + cluster * o->intrinsic * o->dim;
    memcpy(row, g->centre + cluster * o->dim, o->dim * sizeof *row);
    for (uint64_t j = 0; j < o->intrinsic; j++, basis += o->dim) {
        float along =
            (float)mpivf_random_normal(o->seed + 1, MPIVF_FOR_ROW, number * o->intrinsic + j);
        for (uint64_t i = 0; i < o->dim; i++)
            row[i] += along * basis[i];
    }
    for (uint64_t i = 0; i < o->dim && o->noise > 0; i++)
        row[i] +=
            (float)(o->noise * mpivf_random_normal(o->seed, MPIVF_FOR_NOISE, number * o->dim + i));
}

/* Write rows [first, first + n) of dataset d; queries are numbered behind the base rows. */
static mpivf_status
write_piece(struct generating *g, const struct mpivf_file *file, int d, uint64_t first, uint64_t n)
{
    const struct mpivf_generate_options *o = g->options;
    uint64_t number = first + (d == 1 ? o->rows : 0);
    size_t row_bytes = o->dim * mpivf_type_size(o->type);
#pragma omp parallel for num_threads(g->par->ctx->threads)
    for (uint64_t i = 0; i < n; i++) {
        make_row(g, number + i, g->row + i * o->dim);
        for (uint64_t j = 0; o->type == MPIVF_F16 && j < o->dim; j++)
            g->half[i * o->dim + j] = mpivf_half_from_float(g->row[i * o->dim + j]);
    }
    const void *data = o->type == MPIVF_F16 ? (const void *)g->half : g->row;
    return mpivf_file_write(g->par->ctx, file, data, n * row_bytes,
                            g->dataset[d].offset + first * row_bytes);
}

static mpivf_status
write_shares_all(struct generating *g, const struct mpivf_file *file,
                 struct mpivf_progress *progress)
{
    const struct mpivf_par *par = g->par;
    mpivf_status status = MPIVF_OK;
    for (int d = 0; d < 2 && status == MPIVF_OK; d++) {
        uint64_t row = mpivf_share_first(g->dataset[d].dim[0], par->rank, par->size);
        uint64_t end = mpivf_share_first(g->dataset[d].dim[0], par->rank + 1, par->size);
        for (bool more = true; more;) {
            uint64_t n = end - row < g->piece_rows ? end - row : g->piece_rows;
            status = write_piece(g, file, d, row, n);
            row += n;
            progress->phase->rows += n;
            progress->phase->bytes_written +=
                n * g->options->dim * mpivf_type_size(g->options->type);
            status = mpivf_round_all(progress, status, n, row < end, &more);
        }
    }
    return status;
}

static mpivf_status
create(struct generating *g, const struct mpivf_output *output)
{
    struct mpivf_h5_attribute attribute[] = {
        {.name = "type", .kind = MPIVF_H5_TEXT, .text = "dense"},
        {.name = "distance", .kind = MPIVF_H5_TEXT, .text = "euclidean"},
        {.name = "point_type", .kind = MPIVF_H5_TEXT, .text = "float"},
        {.name = "dimension", .kind = MPIVF_H5_U64, .number = g->options->dim},
    };
    struct mpivf_context *ctx = g->par->ctx;
    uint64_t bytes = (g->options->rows + g->options->queries) * g->options->dim *
                     mpivf_type_size(g->options->type);
    mpivf_status status = mpivf_output_space(ctx, output, bytes, "the file");
    THEN(status, mpivf_h5_create(ctx, &output->file, attribute, 4, g->dataset, 2));
    return status;
}

static mpivf_status
write_all(struct generating *g, const struct mpivf_output *output, struct mpivf_progress *progress)
{
    const struct mpivf_par *par = g->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_file file = {.fd = -1};
    mpivf_status status = ROOT_ALL(par, create(g, output));
    if (status)
        return status;
    mpivf_bcast_all(par, g->dataset, sizeof g->dataset);
    g->dataset[0].name = "train"; /* pointers of rank 0 mean nothing here */
    g->dataset[1].name = "test";
    status = generating_init(g);
    THEN(status, mpivf_file_update(ctx, output->partial, &file));
    status = mpivf_agree_all(par, status);
    THEN(status, write_shares_all(g, &file, progress));
    THEN(status, mpivf_file_sync(ctx, &file));
    mpivf_status closed = mpivf_file_close(ctx, &file);
    return mpivf_agree_all(par, status ? status : closed);
}

mpivf_status
mpivf_generate_all(const struct mpivf_par *par, struct mpivf_output *output,
                   const struct mpivf_generate_options *options, struct mpivf_report *report)
{
    struct generating g = {
        .par = par,
        .options = options,
        .dataset = {{"train", options->type, 2, {options->rows, options->dim}, 0},
                    {"test", options->type, 2, {options->queries, options->dim}, 0}}};
    struct mpivf_progress progress;
    mpivf_phase_begin(&progress, par, report, "generate", "rows", options->rows + options->queries);
    mpivf_status status = mpivf_agree_all(par, plan_memory(&g));
    THEN(status, write_all(&g, output, &progress));
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_output_commit(par->ctx, output);
    generating_clear(&g);
    mpivf_phase_end(&progress);
    return mpivf_agree_all(par, status);
}
