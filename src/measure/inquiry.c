#include "measure/inquiry.h"

#include "io/checksum.h"
#include "io/result.h"
#include "math/distance.h"
#include "measure/part.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

mpivf_status
mpivf_inquiry_output(const struct mpivf_inquiry *inquiry, size_t s, char *path)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    const char *out = inquiry->out;
    int stem = mpivf_result_stem(out);
    if (inquiry->options->prefixes == 0)
        return mpivf_path(ctx, path, "%s", out);
    return mpivf_path(ctx, path, "%.*s-%s%s", stem, out, inquiry->options->prefix_name[s], out + stem);
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
            return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE, "--prefix %s is more than the %llu rows "
                              "of the base", options->prefix_name[i], (unsigned long long)rows);
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
        return mpivf_fail(ctx, MPIVF_USAGE, "%llu queries are more than one run takes; --queries N "
                          "takes N of them", (unsigned long long)inquiry->queries);
    return MPIVF_OK;
}

static mpivf_status
open_ids_all(struct mpivf_inquiry *inquiry)
{
    const struct mpivf_truth_options *options = inquiry->options;
    if (options->ids == NULL)
        return MPIVF_OK;
    return mpivf_source_open_ids_all(&inquiry->ids, inquiry->par, options->ids, "id",
                                     options->read_mode, inquiry->base.rows);
}

/*
 * Everything that shapes the bytes of the truth. --bad-rows is not in it: work done under fail
 * met no bad row and is good for skip; the other way is refused at the end. Nor is --also: other
 * files are made from the same answers.
 */
static mpivf_status
write_identity_all(struct mpivf_inquiry *inquiry)
{
    const struct mpivf_truth_options *o = inquiry->options;
    uint64_t base, query, ids = 0;
    mpivf_status status = mpivf_source_fingerprint_all(&inquiry->base, &base);
    if (status == MPIVF_OK)
        status = mpivf_source_fingerprint_all(&inquiry->query, &query);
    if (status == MPIVF_OK && o->ids)
        status = mpivf_source_fingerprint_all(&inquiry->ids, &ids);
    if (status)
        return status;
    int n = snprintf(inquiry->identity, sizeof inquiry->identity,
                     "{%s\"base\": \"%016" PRIx64 "\", \"queries\": \"%016" PRIx64 "\", \"ids\": "
                     "\"%016" PRIx64 "\", \"number of queries\": %" PRIu64 ", \"self\": %s, "
                     "\"k\": %" PRIu64 ", \"metric\": \"%s\", \"prefixes\": [",
                     inquiry->f64 ? "\"values\": \"f64\", " : "", base, query, ids, inquiry->queries,
                     o->self ? "true" : "false", o->k,
                     mpivf_metric_name(o->metric));
    for (size_t s = 0; s < inquiry->segments; s++)
        n += snprintf(inquiry->identity + n, sizeof inquiry->identity - (size_t)n, "%s%" PRIu64,
                      s ? ", " : "", inquiry->prefix[s]);
    snprintf(inquiry->identity + n, sizeof inquiry->identity - (size_t)n, "]}");
    return MPIVF_OK;
}

uint64_t
mpivf_inquiry_mark(const struct mpivf_inquiry *inquiry)
{
    uint64_t mark = mpivf_checksum_of(inquiry->identity, strlen(inquiry->identity));
    return mark ? mark : 1;
}

/* Are all outputs there, and of this very inquiry? */
static mpivf_status
look_for_answers(struct mpivf_inquiry *inquiry)
{
    char path[MPIVF_PATH];
    mpivf_status status = MPIVF_OK;
    inquiry->answered = inquiry->options->again && !mpivf_claim_exists(inquiry->folder);
    for (size_t s = 0; s < inquiry->segments && status == MPIVF_OK; s++) {
        status = mpivf_inquiry_output(inquiry, s, path);
        inquiry->answered = inquiry->answered && status == MPIVF_OK &&
                            mpivf_result_answers(inquiry->par->ctx, path, mpivf_inquiry_mark(inquiry));
    }
    return status;
}

/* Outputs must not be there, unless an earlier run of this very command was about to end. */
static mpivf_status
check_outputs(const struct mpivf_inquiry *inquiry, const char *base, const char *queries)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    const char *input[] = {base, queries, inquiry->options->ids};
    int also = inquiry->options->also;
    bool force = inquiry->options->force;
    char path[MPIVF_PATH], output[MPIVF_PATH];
    mpivf_status status = MPIVF_OK;
    if (mpivf_claim_exists(inquiry->folder)) {
        force |= mpivf_claim_check(ctx, inquiry->folder, inquiry->identity) == MPIVF_OK;
        mpivf_forgive(ctx);
    }
    for (size_t s = 0; s < inquiry->segments && status == MPIVF_OK; s++) {
        status = mpivf_inquiry_output(inquiry, s, path);
        for (int i = 0; i < mpivf_result_outputs(also) && status == MPIVF_OK; i++) {
            status = mpivf_result_output(ctx, path, also, i, output);
            if (status == MPIVF_OK)
                status = mpivf_file_writable(ctx, output, force);
            for (int j = 0; j < 3 && status == MPIVF_OK; j++)
                if (input[j])
                    status = mpivf_file_distinct(ctx, output, input[j]);
        }
    }
    return status;
}

/* What would only be found out at the end. */
static mpivf_status
check_also(const struct mpivf_inquiry *inquiry)
{
    if (inquiry->options->also == 0)
        return MPIVF_OK;
    if (inquiry->options->ids)
        return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE, "--also writes ids of 32 bits: not with --ids");
    if (inquiry->base.rows > (uint64_t)INT32_MAX + 1)
        return mpivf_fail(inquiry->par->ctx, MPIVF_USAGE, "--also writes ids of 32 bits, and there are "
                          "%llu rows; use the .h5 file", (unsigned long long)inquiry->base.rows);
    return MPIVF_OK;
}

mpivf_status
mpivf_inquiry_open_all(struct mpivf_inquiry *inquiry, const struct mpivf_par *par, const char *base,
                       const char *queries, const char *out,
                       const struct mpivf_truth_options *options)
{
    *inquiry = (struct mpivf_inquiry){
        .par = par, .options = options, .out = out, .asking = options->self ? base : queries};
    enum mpivf_read_mode mode = options->read_mode;
    mpivf_status status = mpivf_claim_folder(par->ctx, out, NULL, "work", inquiry->folder);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK)
        status = mpivf_source_open_all(&inquiry->base, par, base, "train", mode);
    if (status == MPIVF_OK)
        status = mpivf_source_open_all(&inquiry->query, par, inquiry->asking,
                                       options->self ? "train" : "test", mode);
    inquiry->f64 = inquiry->base.type == MPIVF_F64 || inquiry->query.type == MPIVF_F64;
    if (status == MPIVF_OK)
        status = check_query(inquiry, base, queries);
    if (status == MPIVF_OK)
        status = open_ids_all(inquiry);
    if (status == MPIVF_OK)
        status = set_prefixes(inquiry);
    if (status == MPIVF_OK)
        status = check_also(inquiry);
    if (status == MPIVF_OK)
        status = write_identity_all(inquiry);
    if (status == MPIVF_OK && par->rank == 0) {
        status = look_for_answers(inquiry);
        if (status == MPIVF_OK && !inquiry->answered)
            status = check_outputs(inquiry, base, queries);
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

static mpivf_status
find_part(struct mpivf_context *ctx, void *arg, const char *name)
{
    (void)ctx;
    *(bool *)arg |= mpivf_part_owns(name);
    return MPIVF_OK;
}

mpivf_status
mpivf_inquiry_claim_all(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim)
{
    const struct mpivf_par *par = inquiry->par;
    mpivf_status status = mpivf_claim_open_all(claim, par, inquiry->folder, inquiry->identity);
    if (status)
        return status;
    bool parts = false;
    if (par->rank == 0 && !mpivf_claim_exists(inquiry->folder))
        status = mpivf_folder_list(par->ctx, inquiry->folder, find_part, &parts);
    if (parts)
        status = mpivf_fail(par->ctx, MPIVF_MISMATCH, "'%s' has parts but no manifest.json that tells "
                            "whose they are; remove the folder", inquiry->folder);
    if (par->rank == 0 && status == MPIVF_OK)
        status = mpivf_claim_write(claim, json_object());
    status = mpivf_agree_all(par, status);
    return status ? status : mpivf_claim_seen_all(claim);
}

void
mpivf_inquiry_leave(const struct mpivf_inquiry *inquiry, struct mpivf_claim *claim)
{
    struct mpivf_context *ctx = inquiry->par->ctx;
    bool parts = false;
    if (claim->par && inquiry->par->rank == 0 && claim->lock.fd >= 0 &&
        mpivf_claim_check(ctx, inquiry->folder, inquiry->identity) == MPIVF_OK) { /* it is ours */
        mpivf_status status = mpivf_folder_list(ctx, inquiry->folder, find_part, &parts);
        if (status == MPIVF_OK && !parts)
            (void)mpivf_claim_remove(ctx, inquiry->folder, mpivf_claim_owns);
    }
    mpivf_claim_clear(claim);
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
        inquiry->f64
            ? mpivf_source_load_f64_all(&inquiry->query, inquiry->queries, first, n, &f64)
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
                                (unsigned long long)mpivf_source_spread(
                                    inquiry->query.rows, inquiry->queries, first + i),
                                inquiry->asking, mpivf_inquiry_or_large(inquiry));
    status = mpivf_agree_all(inquiry->par, status); /* they may see different files */
    if (status) {
        mpivf_free(inquiry->par->ctx, *query);
        *query = NULL;
    }
    return status;
}
