#include "measure/request.h"

#include "base/then.h"
#include "io/checksum.h"
#include "io/inputs.h"
#include "io/result.h"
#include "math/distance.h"
#include "measure/checkpoint.h"
#include "source/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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
mpivf_request_outputs(const struct mpivf_request *request, size_t s)
{
    return request->files->output + s * (size_t)mpivf_result_outputs(request->options->also);
}

/* ---- checks ---- */

static mpivf_status
set_prefixes(struct mpivf_request *request)
{
    const struct mpivf_truth_options *options = request->options;
    uint64_t rows = request->base.rows;
    request->segments = options->prefixes > 0 ? options->prefixes : 1;
    request->prefix[0] = rows;
    for (size_t i = 0; i < options->prefixes; i++) {
        if (options->prefix[i] > rows)
            return mpivf_fail(request->par->ctx, MPIVF_USAGE,
                              "--prefix %s is more than the %llu rows "
                              "of the base",
                              options->prefix_name[i], (unsigned long long)rows);
        if (options->prefix[i] == 0 || (i > 0 && options->prefix[i] <= options->prefix[i - 1]))
            return mpivf_fail(request->par->ctx, MPIVF_USAGE,
                              "--prefix takes numbers of rows that ascend");
        request->prefix[i] = options->prefix[i];
    }
    return MPIVF_OK;
}

static mpivf_status
check_query(struct mpivf_request *request, const char *base, const char *queries)
{
    struct mpivf_context *ctx = request->par->ctx;
    uint64_t max = request->options->queries;
    if (request->query.dim != request->base.dim)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "the queries '%s' have %llu columns, '%s' has %llu",
                          queries, (unsigned long long)request->query.dim, base,
                          (unsigned long long)request->base.dim);
    request->queries = max > 0 && max < request->query.rows ? max : request->query.rows;
    if (request->queries > INT32_MAX)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "%llu queries are more than one run takes; --queries N "
                          "takes N of them",
                          (unsigned long long)request->queries);
    return MPIVF_OK;
}

static mpivf_status
open_ids_all(struct mpivf_request *request)
{
    const struct mpivf_truth_options *options = request->options;
    if (options->ids == NULL)
        return MPIVF_OK;
    return mpivf_source_open_ids_all(&request->ids, request->par, options->ids, "id",
                                     options->reading, request->base.rows);
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
write_identity(const struct mpivf_request *request, bool full, char *text, size_t size)
{
    const struct mpivf_truth_options *o = request->options;
    char base[MPIVF_CLAIM_SOURCE], query[MPIVF_CLAIM_SOURCE], ids[MPIVF_CLAIM_SOURCE];
    name_source(&request->base, full, base);
    name_source(&request->query, full, query);
    name_source(&request->ids, full, ids);
    int n =
        snprintf(text, size,
                 "{%s\"base\": %s, \"queries\": %s, \"ids\": %s, \"number of queries\": %" PRIu64
                 ", \"self\": %s, \"k\": %" PRIu64 ", \"metric\": \"%s\", \"prefixes\": [",
                 request->f64 ? "\"values\": \"f64\", " : "", base, query, ids, request->queries,
                 o->self ? "true" : "false", o->k, mpivf_metric_name(o->metric));
    for (size_t s = 0; s < request->segments; s++)
        n += snprintf(text + n, size - (size_t)n, "%s%" PRIu64, s ? ", " : "", request->prefix[s]);
    snprintf(text + n, size - (size_t)n, "]}");
}

uint64_t
mpivf_request_mark(const struct mpivf_request *request)
{
    uint64_t mark = mpivf_checksum_of(request->mark, strlen(request->mark));
    return mark ? mark : 1;
}

/* Are all outputs there, and of this very request? */
static void
look_for_answers(struct mpivf_request *request)
{
    uint64_t mark = mpivf_request_mark(request);
    request->answered = request->options->again && !mpivf_claim_exists(request->folder);
    for (size_t s = 0; s < request->segments && request->answered; s++)
        request->answered = mpivf_result_answers(request->par->ctx,
                                                 mpivf_request_outputs(request, s)[0]->path, mark);
}

/* Outputs must not be there, unless an earlier run of this very command had named them. */
static mpivf_status
check_outputs(const struct mpivf_request *request)
{
    struct mpivf_context *ctx = request->par->ctx;
    size_t outputs = request->segments * (size_t)mpivf_result_outputs(request->options->also);
    bool same = mpivf_claim_exists(request->folder) &&
                mpivf_claim_check(ctx, request->folder, request->identity) == MPIVF_OK;
    mpivf_clear_error(ctx);
    mpivf_status status = MPIVF_OK;
    for (size_t i = 0; i < outputs && status == MPIVF_OK; i++) {
        struct mpivf_output *output = request->files->output[i];
        output->replace |= same && mpivf_claim_named(request->folder, output);
        status = mpivf_output_check(ctx, output);
    }
    return status;
}

/* The results and, unless earlier runs have some, the checkpoints with the answers beside them. */
static mpivf_status
check_space(const struct mpivf_request *request)
{
    uint64_t k = request->options->k;
    uint64_t checkpoint = request->queries * (k + 2) * sizeof(struct mpivf_candidate);
    checkpoint = mpivf_claim_exists(request->folder) ? 0 : checkpoint;
    uint64_t each = mpivf_result_bytes(request->queries, k, request->options->also);
    return mpivf_output_space(request->par->ctx, request->files->output[0],
                              request->segments * (each + checkpoint), "the truth");
}

/* What would only be found out at the end. */
static mpivf_status
check_also(const struct mpivf_request *request)
{
    if (request->options->also == 0)
        return MPIVF_OK;
    if (request->options->ids)
        return mpivf_fail(request->par->ctx, MPIVF_USAGE,
                          "--also writes ids of 32 bits: not with --ids");
    if (request->base.rows > (uint64_t)INT32_MAX + 1)
        return mpivf_fail(request->par->ctx, MPIVF_USAGE,
                          "--also writes ids of 32 bits, and there are "
                          "%llu rows; use the .h5 file",
                          (unsigned long long)request->base.rows);
    return MPIVF_OK;
}

/*
 * Is each pair of rows to be compared once (math/mirror.h)? Where all rows ask, and products cost
 * more than holding what is found for either side: LEAST of them for a neighbour, and 38 k bytes
 * for a row. It shapes checkpoints, so nothing but the request may decide.
 */
static bool
is_once(const struct mpivf_request *request)
{
    enum { LEAST = 100000, MOST_K = 256 };
    const struct mpivf_truth_options *options = request->options;
    const char *forced = getenv("MPIVF_PAIRS");
    uint64_t k = options->k, products = request->base.rows * request->base.dim;
    if (!options->self || options->ids || request->queries != request->base.rows)
        return false;
    if (forced)
        return strcmp(forced, "once") == 0;
    return k <= MOST_K && products >= LEAST * k;
}

mpivf_status
mpivf_request_open_all(struct mpivf_request *request, const struct mpivf_par *par, const char *base,
                       const char *queries, const struct mpivf_truth_options *options)
{
    *request = (struct mpivf_request){
        .par = par, .options = options, .asking = options->self ? base : queries};
    struct mpivf_reading reading = options->reading;
    mpivf_status status = mpivf_source_open_all(&request->base, par, base, "train", reading);
    THEN(status, mpivf_source_open_all(&request->query, par, request->asking,
                                       options->self ? "train" : "test", reading));
    request->f64 = request->base.type == MPIVF_F64 || request->query.type == MPIVF_F64;
    THEN(status, check_query(request, base, queries));
    THEN(status, open_ids_all(request));
    THEN(status, set_prefixes(request));
    THEN(status, check_also(request));
    if (status == MPIVF_OK)
        request->once = is_once(request);
    mpivf_bcast_all(par, &request->once, sizeof request->once); /* as rank 0 has it */
    return status;
}

mpivf_status
mpivf_request_look_all(struct mpivf_request *request, const struct mpivf_truth_files *files)
{
    const struct mpivf_par *par = request->par;
    mpivf_status status = MPIVF_OK;
    request->files = files;
    request->folder = mpivf_output_path(files->work);
    write_identity(request, false, request->mark, sizeof request->mark);
    write_identity(request, true, request->identity, sizeof request->identity);
    if (par->rank == 0) {
        look_for_answers(request);
        if (!request->answered)
            status = check_outputs(request);
        if (status == MPIVF_OK && !request->answered)
            status = check_space(request);
    }
    status = mpivf_agree_all(par, status);
    mpivf_bcast_all(par, &request->answered, sizeof request->answered);
    return status;
}

void
mpivf_request_close_all(struct mpivf_request *request)
{
    mpivf_source_close_all(&request->ids);
    mpivf_source_close_all(&request->query);
    mpivf_source_close_all(&request->base);
}

mpivf_status
mpivf_request_unchanged_all(const struct mpivf_request *request)
{
    mpivf_status status = mpivf_source_unchanged_all(&request->base);
    THEN(status, mpivf_source_unchanged_all(&request->query));
    THEN(status, mpivf_source_unchanged_all(&request->ids));
    return status;
}

mpivf_status
mpivf_request_claim_all(const struct mpivf_request *request, struct mpivf_claim *claim)
{
    struct mpivf_claim_rules rules = {.identity = request->identity,
                                      .ours = mpivf_checkpoint_owns,
                                      .over = request->options->force,
                                      .outputs = request->files->outputs};
    mpivf_status status = mpivf_claim_open_all(claim, request->par, request->folder, &rules);
    THEN(status, mpivf_claim_seen_all(claim));
    return status;
}

size_t
mpivf_request_row_bytes(const struct mpivf_request *request, const struct mpivf_source *source)
{
    return request->f64 ? source->dim * sizeof(double) : mpivf_source_row_bytes(source);
}

size_t
mpivf_request_query_bytes(const struct mpivf_request *request)
{
    return mpivf_request_row_bytes(request, &request->query) + sizeof(struct mpivf_range) +
           sizeof(int64_t);
}

static mpivf_status
load_all(struct mpivf_request *request, uint64_t first, uint64_t n, void **query)
{
    float *f32 = NULL;
    double *f64 = NULL;
    mpivf_status status =
        request->f64 ? mpivf_source_load_f64_all(&request->query, request->queries, first, n, &f64)
                     : mpivf_source_load_all(&request->query, request->queries, first, n, &f32);
    *query = f64 ? (void *)f64 : f32;
    return status;
}

mpivf_status
mpivf_request_load_all(struct mpivf_request *request, uint64_t first, uint64_t n, void **query)
{
    size_t dim = request->query.dim;
    mpivf_status status = load_all(request, first, n, query);
    for (uint64_t i = 0; i < n && status == MPIVF_OK; i++)
        if (!mpivf_raw_good(mpivf_raw_at(mpivf_raw_of(request->f64, *query), i * dim), dim))
            status = mpivf_fail(request->par->ctx, MPIVF_INPUT,
                                "query %llu of '%s' has a value that is not finite%s",
                                (unsigned long long)mpivf_request_place(request, first + i),
                                request->asking, mpivf_request_or_large(request));
    status = mpivf_agree_all(request->par, status); /* they may see different files */
    if (status) {
        mpivf_free(request->par->ctx, *query);
        *query = NULL;
    }
    return status;
}
