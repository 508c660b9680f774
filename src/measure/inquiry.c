#include "measure/inquiry.h"

#include "base/then.h"
#include "io/checksum.h"
#include "io/inputs.h"
#include "io/result.h"
#include "math/distance.h"
#include "measure/part.h"
#include "source/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
mpivf_truth_name(struct mpivf_outputs *outputs, const char *out,
                 const struct mpivf_truth_options *options, struct mpivf_truth_files *files)
{
    struct mpivf_context *ctx = outputs->par->ctx;
    size_t segments = options->prefixes > 0 ? options->prefixes : 1;
    int stem = mpivf_result_stem(out), each = mpivf_result_outputs(options->also);
    char path[MPIVF_PATH], other[MPIVF_PATH];
    *files = (struct mpivf_truth_files){.outputs = outputs};
    for (size_t s = 0; s < segments; s++) {
        struct mpivf_output **output = files->output + s * (size_t)each;
        const char *prefix = options->prefixes > 0 ? options->prefix_name[s] : NULL;
        mpivf_status status = mpivf_path(ctx, path, "%.*s%s%s%s", stem, out, prefix ? "-" : "",
                                         prefix ? prefix : "", out + stem);
        for (int i = 0; i < each && status == MPIVF_OK; i++) {
            const char *hdf5 = i > 0 ? mpivf_output_path(output[0]) : path;
            status = mpivf_result_output(ctx, hdf5, options->also, i, other);
            if (status == MPIVF_OK)
                output[i] = mpivf_outputs_write(outputs, other);
        }
        outputs->status = outputs->status ? outputs->status : status;
    }
    files->work = mpivf_outputs_folder(
        outputs, options->prefixes == 0 ? mpivf_output_path(files->output[0]) : out, NULL, "work");
}

struct mpivf_output *const *
mpivf_inquiry_outputs(const struct mpivf_inquiry *inquiry, size_t s)
{
    return inquiry->files->output + s * (size_t)mpivf_result_outputs(inquiry->options->also);
}

/* ---- checks ---- */

static mpivf_status
set_prefixes(struct mpivf_inquiry *inquiry)
{
    const struct mpivf_truth_options *options = inquiry->options;
    uint64_t rows = inquiry->base.rows;
    inquiry->segments = options->prefixes > 0 ? options->prefixes : 1;
    inquiry->prefix[0] = rows;
    for (size_t i = 0; i < options->prefixes; i++) {
        if (options->prefix[i] > rows)
            return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE,
                              "--prefix %s is more than the %llu rows "
                              "of the base",
                              options->prefix_name[i], (unsigned long long)rows);
        if (options->prefix[i] == 0 || (i > 0 && options->prefix[i] <= options->prefix[i - 1]))
            return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE,
                              "--prefix takes numbers of rows that ascend");
        inquiry->prefix[i] = options->prefix[i];
    }
    return MPIVF_OK;
}

static mpivf_status
check_query(struct mpivf_inquiry *inquiry, const char *base, const char *queries)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    uint64_t most = inquiry->options->queries;
    if (inquiry->query.dim != inquiry->base.dim)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "the queries '%s' have %llu columns, '%s' has %llu",
                          queries, (unsigned long long)inquiry->query.dim, base,
                          (unsigned long long)inquiry->base.dim);
    inquiry->queries = most > 0 && most < inquiry->query.rows ? most : inquiry->query.rows;
    if (inquiry->queries > INT32_MAX)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "%llu queries are more than one run takes; --queries N "
                          "takes N of them",
                          (unsigned long long)inquiry->queries);
    return MPIVF_OK;
}

static mpivf_status
open_ids_all(struct mpivf_inquiry *inquiry)
{
    const struct mpivf_truth_options *options = inquiry->options;
    if (options->ids == NULL)
        return MPIVF_OK;
    return mpivf_source_open_ids_all(&inquiry->ids, inquiry->par, options->ids, "id",
                                     options->reading, inquiry->base.rows);
}

/* A source by its fingerprint alone, or as the claim has it. */
static void
name_source(const struct mpivf_source *source, bool full, char text[MPIVF_CLAIM_SOURCE])
{
    if (full && source->inputs)
        mpivf_source_claim(source, text);
    else
        snprintf(text, MPIVF_CLAIM_SOURCE, "\"%016" PRIx64 "\"", source->fingerprint);
}

/*
 * Everything that shapes the bytes of the truth. --bad-rows is not in it: work done under fail
 * met no bad row and is good for skip; the other way is refused at the end. Nor is --also: other
 * files are made from the same answers.
 */
static void
write_identity(const struct mpivf_inquiry *inquiry, bool full, char *text, size_t size)
{
    const struct mpivf_truth_options *o = inquiry->options;
    char base[MPIVF_CLAIM_SOURCE], query[MPIVF_CLAIM_SOURCE], ids[MPIVF_CLAIM_SOURCE];
    name_source(&inquiry->base, full, base);
    name_source(&inquiry->query, full, query);
    name_source(&inquiry->ids, full, ids);
    int n =
        snprintf(text, size,
                 "{%s\"base\": %s, \"queries\": %s, \"ids\": %s, \"number of queries\": %" PRIu64
                 ", \"self\": %s, \"k\": %" PRIu64 ", \"metric\": \"%s\", \"prefixes\": [",
                 inquiry->f64 ? "\"values\": \"f64\", " : "", base, query, ids, inquiry->queries,
                 o->self ? "true" : "false", o->k, mpivf_metric_name(o->metric));
    for (size_t s = 0; s < inquiry->segments; s++)
        n += snprintf(text + n, size - (size_t)n, "%s%" PRIu64, s ? ", " : "", inquiry->prefix[s]);
    snprintf(text + n, size - (size_t)n, "]}");
}

uint64_t
mpivf_inquiry_mark(const struct mpivf_inquiry *inquiry)
{
    uint64_t mark = mpivf_checksum_of(inquiry->mark, strlen(inquiry->mark));
    return mark ? mark : 1;
}

/* Are all outputs there, and of this very inquiry? */
static void
look_for_answers(struct mpivf_inquiry *inquiry)
{
    uint64_t mark = mpivf_inquiry_mark(inquiry);
    inquiry->answered = inquiry->options->again && !mpivf_claim_exists(inquiry->folder);
    for (size_t s = 0; s < inquiry->segments && inquiry->answered; s++)
        inquiry->answered = mpivf_result_answers(inquiry->par->ctx,
                                                 mpivf_inquiry_outputs(inquiry, s)[0]->path, mark);
}

/* Outputs must not be there, unless an earlier run of this very command had named them. */
static mpivf_status
check_outputs(const struct mpivf_inquiry *inquiry)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    size_t outputs = inquiry->segments * (size_t)mpivf_result_outputs(inquiry->options->also);
    bool same = mpivf_claim_exists(inquiry->folder) &&
                mpivf_claim_check(ctx, inquiry->folder, inquiry->identity) == MPIVF_OK;
    mpivf_forgive(ctx);
    mpivf_status status = MPIVF_OK;
    for (size_t i = 0; i < outputs && status == MPIVF_OK; i++) {
        struct mpivf_output *output = inquiry->files->output[i];
        output->replace |= same && mpivf_claim_named(inquiry->folder, output);
        status = mpivf_output_check(ctx, output);
    }
    return status;
}

/* The results and, unless earlier runs have some, the parts with the answers beside them. */
static mpivf_status
check_space(const struct mpivf_inquiry *inquiry)
{
    uint64_t k = inquiry->options->k;
    uint64_t part = inquiry->queries * (k + 2) * sizeof(struct mpivf_candidate);
    part = mpivf_claim_exists(inquiry->folder) ? 0 : part;
    uint64_t each = mpivf_result_bytes(inquiry->queries, k, inquiry->options->also);
    return mpivf_output_space(inquiry->par->ctx, inquiry->files->output[0],
                              inquiry->segments * (each + part), "the truth");
}

/* What would only be found out at the end. */
static mpivf_status
check_also(const struct mpivf_inquiry *inquiry)
{
    if (inquiry->options->also == 0)
        return MPIVF_OK;
    if (inquiry->options->ids)
        return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE,
                          "--also writes ids of 32 bits: not with --ids");
    if (inquiry->base.rows > (uint64_t)INT32_MAX + 1)
        return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE,
                          "--also writes ids of 32 bits, and there are "
                          "%llu rows; use the .h5 file",
                          (unsigned long long)inquiry->base.rows);
    return MPIVF_OK;
}

mpivf_status
mpivf_inquiry_open_all(struct mpivf_inquiry *inquiry, const struct mpivf_par *par, const char *base,
                       const char *queries, const struct mpivf_truth_options *options)
{
    *inquiry = (struct mpivf_inquiry){
        .par = par, .options = options, .asking = options->self ? base : queries};
    struct mpivf_reading reading = options->reading;
    mpivf_status status = mpivf_source_open_all(&inquiry->base, par, base, "train", reading);
    THEN(status, mpivf_source_open_all(&inquiry->query, par, inquiry->asking,
                                       options->self ? "train" : "test", reading));
    inquiry->f64 = inquiry->base.type == MPIVF_F64 || inquiry->query.type == MPIVF_F64;
    THEN(status, check_query(inquiry, base, queries));
    THEN(status, open_ids_all(inquiry));
    THEN(status, set_prefixes(inquiry));
    THEN(status, check_also(inquiry));
    return status;
}

mpivf_status
mpivf_inquiry_look_all(struct mpivf_inquiry *inquiry, const struct mpivf_truth_files *files)
{
    const struct mpivf_par *par = inquiry->par;
    mpivf_status status = MPIVF_OK;
    inquiry->files = files;
    inquiry->folder = mpivf_output_path(files->work);
    write_identity(inquiry, false, inquiry->mark, sizeof inquiry->mark);
    write_identity(inquiry, true, inquiry->identity, sizeof inquiry->identity);
    if (par->rank == 0) {
        look_for_answers(inquiry);
        if (!inquiry->answered)
            status = check_outputs(inquiry);
        if (status == MPIVF_OK && !inquiry->answered)
            status = check_space(inquiry);
    }
    status = mpivf_agree_all(par, status);
    mpivf_bcast_all(par, &inquiry->answered, sizeof inquiry->answered);
    return status;
}

void
mpivf_inquiry_close_all(struct mpivf_inquiry *inquiry)
{
    mpivf_source_close_all(&inquiry->ids);
    mpivf_source_close_all(&inquiry->query);
    mpivf_source_close_all(&inquiry->base);
}

mpivf_status
mpivf_inquiry_unchanged_all(const struct mpivf_inquiry *inquiry)
{
    mpivf_status status = mpivf_source_unchanged_all(&inquiry->base);
    THEN(status, mpivf_source_unchanged_all(&inquiry->query));
    THEN(status, mpivf_source_unchanged_all(&inquiry->ids));
    return status;
}

mpivf_status
mpivf_inquiry_claim_all(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim)
{
    struct mpivf_claim_rules rules = {.identity = inquiry->identity,
                                      .ours = mpivf_part_owns,
                                      .over = inquiry->options->force,
                                      .outputs = inquiry->files->outputs};
    mpivf_status status = mpivf_claim_open_all(claim, inquiry->par, inquiry->folder, &rules);
    THEN(status, mpivf_claim_seen_all(claim));
    return status;
}

size_t
mpivf_inquiry_row_bytes(const struct mpivf_inquiry *inquiry, const struct mpivf_source *source)
{
    return inquiry->f64 ? source->dim * sizeof(double) : mpivf_source_row_bytes(source);
}

size_t
mpivf_inquiry_query_bytes(const struct mpivf_inquiry *inquiry)
{
    return mpivf_inquiry_row_bytes(inquiry, &inquiry->query) + sizeof(struct mpivf_range) +
           sizeof(int64_t);
}

static mpivf_status
load_all(struct mpivf_inquiry *inquiry, uint64_t first, uint64_t n, void **query)
{
    float *f32 = NULL;
    double *f64 = NULL;
    mpivf_status status =
        inquiry->f64 ? mpivf_source_load_f64_all(&inquiry->query, inquiry->queries, first, n, &f64)
                     : mpivf_source_load_all(&inquiry->query, inquiry->queries, first, n, &f32);
    *query = f64 ? (void *)f64 : f32;
    return status;
}

mpivf_status
mpivf_inquiry_load_all(struct mpivf_inquiry *inquiry, uint64_t first, uint64_t n, void **query)
{
    size_t dim = inquiry->query.dim;
    mpivf_status status = load_all(inquiry, first, n, query);
    for (uint64_t i = 0; i < n && status == MPIVF_OK; i++)
        if (!mpivf_raw_good(mpivf_raw_at(mpivf_raw_of(inquiry->f64, *query), i * dim), dim))
            status = mpivf_fail(inquiry->par->ctx, MPIVF_INPUT,
                                "query %llu of '%s' has a value that is not finite%s",
                                (unsigned long long)mpivf_inquiry_place(inquiry, first + i),
                                inquiry->asking, mpivf_inquiry_or_large(inquiry));
    status = mpivf_agree_all(inquiry->par, status); /* they may see different files */
    if (status) {
        mpivf_free(inquiry->par->ctx, *query);
        *query = NULL;
    }
    return status;
}
