#include "base/then.h"
#include "cmd/command.h"

#include <mpivf/index.h>

#include <inttypes.h>

struct fields {
    struct mpivf_common common;
    int64_t rejected;
};

/* clang-format off */
static const struct mpivf_option options[] = {
    {"rejected", 0, MPIVF_INTEGER, offsetof(struct fields, rejected), 0, 1e9, "N",
     "ids of rejected rows to list, at most", NULL},
    MPIVF_COMMON_OPTIONS};
/* clang-format on */

static void
defaults(void *fields)
{
    ((struct fields *)fields)->rejected = 10;
}

static json_t *
fingerprint(uint64_t value)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, value);
    return json_string(text);
}

static mpivf_status
show(struct mpivf_call *call, struct mpivf_index *index)
{
    const struct fields *f = call->fields;
    const struct mpivf_index_meta *meta = &index->meta;
    struct mpivf_list_sizes list_sizes;
    mpivf_status status =
        mpivf_index_list_sizes(call->par->ctx, index->list_offset, meta->lists, &list_sizes);
    if (status)
        return status;
    mpivf_call_set(call, "kind",
                   json_string(meta->source_rows == 0        ? "model"
                               : mpivf_index_complete(index) ? "index"
                                                             : "shard"));
    mpivf_call_set(call, "metric", json_string(mpivf_metric_name(meta->metric)));
    mpivf_call_set(call, "codec", json_string(mpivf_codec_name(meta->codec)));
    mpivf_call_set(call, "dim", json_integer((json_int_t)meta->dim));
    mpivf_call_set(call, "lists", json_integer((json_int_t)meta->lists));
    mpivf_call_set(call, "rows_stored", json_integer((json_int_t)meta->rows));
    mpivf_call_set(call, "rows_rejected", json_integer((json_int_t)meta->rejected));
    mpivf_call_set(call, "rows_read",
                   json_integer((json_int_t)mpivf_range_rows(index->range, meta->ranges)));
    mpivf_call_set(call, "source_rows", json_integer((json_int_t)meta->source_rows));
    mpivf_call_set(call, "ids", json_string(meta->ids ? "dataset" : "row numbers"));
    mpivf_call_set(call, "raw_rows", json_boolean(meta->store));
    mpivf_call_set(call, "seed", json_integer((json_int_t)meta->seed));
    mpivf_call_set(call, "sample", json_integer((json_int_t)meta->sample));
    mpivf_call_set(call, "objective", json_real(meta->objective));
    mpivf_list_sizes_show(call, &list_sizes);
    mpivf_call_set(call, "model_fingerprint", fingerprint(meta->model_fingerprint));
    mpivf_call_set(call, "source_fingerprint", fingerprint(meta->source_fingerprint));
    if (meta->stamped)
        mpivf_stamp_show(call, &meta->stamp);
    uint64_t max = (uint64_t)f->rejected;
    call->listing = (struct mpivf_listing){"rejected_ids", index->rejected,
                                           meta->rejected < max ? meta->rejected : max};
    index->rejected = NULL; /* goes with the listing */
    return MPIVF_OK;
}

static mpivf_status
run_all(struct mpivf_call *call)
{
    const struct mpivf_par *par = call->par;
    struct mpivf_index index;
    mpivf_status status = MPIVF_OK;
    if (par->rank == 0) {
        status = mpivf_index_open(par->ctx, call->operand[0], &index);
        THEN(status, show(call, &index));
        mpivf_index_close(&index);
    }
    return mpivf_agree_all(par, status);
}

extern const struct mpivf_command mpivf_cmd_info;
const struct mpivf_command mpivf_cmd_info = {
    .name = "info",
    .group = "Quality",
    .summary = "what an index, shard or model holds",
    .usage = "FILE [OPTIONS]",
    .text = "Tell kind, shape, training, list sizes and fingerprints of an index, a shard or "
            "a model. rows_read = rows_stored + rows_rejected, always.",
    .examples = "  mpivf info sift.idx\n"
                "  mpivf info part-3 --json\n"
                "  mpivf info sift.idx --rejected 1000\n",
    .options = options,
    .fields = sizeof(struct fields),
    .defaults = defaults,
    .min = 1,
    .max = 1,
    .run_all = run_all,
};
