#include <mpivf/report.h>

#include "base/fault.h"
#include "base/then.h"
#include "io/output.h"

#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What one rank sends. */
struct rank_report {
    struct mpivf_report report;
    char host[64];
    int threads;
    uint64_t limit;
};

static json_t *
phase_json(const struct mpivf_phase *phase, int rank)
{
    return json_pack("{s:i, s:f, s:I, s:I, s:I, s:I, s:I}", "rank", rank, "seconds", phase->seconds,
                     "rows", (json_int_t)phase->rows, "bytes_read", (json_int_t)phase->bytes_read,
                     "bytes_written", (json_int_t)phase->bytes_written, "buffer_peak_bytes",
                     (json_int_t)phase->buffer_peak, "resident_peak_bytes",
                     (json_int_t)phase->resident_peak);
}

/* Text of any bytes: what is not UTF-8 is shown by its ASCII. */
static json_t *
text_json(const char *text)
{
    char ascii[1024];
    json_t *json = json_string(text);
    if (json)
        return json;
    snprintf(ascii, sizeof ascii, "%s", text);
    for (char *c = ascii; *c; c++)
        *c = *c & 0x80 ? '?' : *c;
    return json_string(ascii);
}

static json_t *
report_json(const struct rank_report *rank, int ranks, const char *command)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *phases = json_array(), *list = json_array();
    for (int r = 0; r < ranks; r++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:i, s:I}", "rank", r, "host",
                                              rank[r].host, "threads", rank[r].threads,
                                              "buffer_limit_bytes", (json_int_t)rank[r].limit));
    for (int p = 0; p < rank[0].report.phases; p++) {
        json_t *each = json_array();
        double slowest = 0;
        for (int r = 0; r < ranks; r++) {
            const struct mpivf_phase *phase = &rank[r].report.phase[p];
            slowest = phase->seconds > slowest ? phase->seconds : slowest;
            json_array_append_new(each, phase_json(phase, r));
        }
        json_array_append_new(phases,
                              json_pack("{s:s, s:f, s:o}", "phase", rank[0].report.phase[p].name,
                                        "seconds", slowest, "ranks", each));
    }
    json_t *figures = json_object();
    for (int i = 0; i < rank[0].report.figures; i++)
        json_object_set_new(figures, rank[0].report.figure[i].name,
                            json_real(rank[0].report.figure[i].value));
    return json_pack("{s:s, s:o, s:s, s:i, s:o, s:o, s:o}", "format", "mpivf-report", "command",
                     text_json(command), "finished", when, "ranks", ranks, "processes", list,
                     "phases", phases, "figures", figures);
}

static mpivf_status
write_json(struct mpivf_context *ctx, struct mpivf_output *output, bool worked, json_t *json)
{
    if (!worked && output->place.there)
        return MPIVF_OK;
    char *text = json && !mpivf_fault(ctx, MPIVF_FAULT_JSON_WRITE)
                     ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6))
                     : NULL;
    if (text == NULL)
        return mpivf_fail(ctx, MPIVF_MEMORY, "the machine has no memory for '%s'", output->given);
    mpivf_status status = mpivf_file_write(ctx, &output->file, text, strlen(text), 0);
    free(text);
    THEN(status, mpivf_output_commit(ctx, output));
    return status;
}

mpivf_status
mpivf_report_write_all(const struct mpivf_par *par, const struct mpivf_report *report,
                       struct mpivf_output *output, const char *command)
{
    struct mpivf_context *ctx = par->ctx;
    size_t ranks = par->rank == 0 ? (size_t)par->size : 0;
    struct rank_report mine = {
        .report = *report, .threads = ctx->threads, .limit = ctx->memory.limit};
    if (gethostname(mine.host, sizeof mine.host - 1) != 0)
        strcpy(mine.host, "unknown");
    struct rank_report *all = mpivf_alloc(ctx, "the report", ranks, sizeof *all);
    mpivf_status status = mpivf_agree_all(par, all ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        mpivf_gather_all(par, &mine, sizeof mine, all);
        if (par->rank == 0) {
            json_t *json = report_json(all, par->size, command);
            status = write_json(ctx, output, report->phases > 0, json);
            json_decref(json);
        }
    }
    mpivf_free(ctx, all);
    return mpivf_agree_all(par, status);
}
