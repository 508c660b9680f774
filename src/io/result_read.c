#include "io/result_read.h"

#include "io/file.h"
#include "io/foreign.h"

#include <math.h>
#include <string.h>

const char *
mpivf_result_distance(enum mpivf_metric metric)
{
    return metric == MPIVF_L2 ? "euclidean" : metric == MPIVF_COSINE ? "angular" : "ip";
}

/* What files call our metrics. */
static bool
find_metric(const char *name, enum mpivf_metric *metric)
{
    static const struct {
        const char *name;
        enum mpivf_metric metric;
    } known[] = {{"euclidean", MPIVF_L2},    {"l2", MPIVF_L2}, {"angular", MPIVF_COSINE},
                 {"cosine", MPIVF_COSINE},   {"ip", MPIVF_IP}, {"dot", MPIVF_IP},
                 {"inner_product", MPIVF_IP}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) {
            *metric = known[i].metric;
            return true;
        }
    return false;
}

static mpivf_status
open_distances(struct mpivf_context *ctx, struct mpivf_result_reader *reader)
{
    const struct mpivf_h5_table *ids = &reader->neighbors, *far = &reader->distances;
    mpivf_status status = mpivf_h5_table_open(ctx, reader->path, "distances", &reader->distances);
    if (status == MPIVF_OK && (far->rows != ids->rows || far->columns != ids->columns))
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' has %llu x %llu neighbors, but %llu x %llu distances", reader->path,
                          (unsigned long long)ids->rows, (unsigned long long)ids->columns,
                          (unsigned long long)far->rows, (unsigned long long)far->columns);
    return status;
}

mpivf_status
mpivf_result_open(struct mpivf_context *ctx, const char *path, struct mpivf_result_reader *reader)
{
    struct mpivf_h5_attribute exact = {.name = "exact", .kind = MPIVF_H5_U64};
    char kind[64];
    *reader = (struct mpivf_result_reader){.path = path};
    mpivf_status status = mpivf_file_expect(ctx, path);
    if (status)
        return status;
    if (!mpivf_h5_is(path)) {
        const struct mpivf_format *const format = &mpivf_h5_format;
        return mpivf_foreign_refuse(ctx, path, "", MPIVF_FOREIGN_NEIGHBOURS, &format, 1);
    }
    status = mpivf_h5_table_open(ctx, path, "neighbors", &reader->neighbors);
    if (status)
        return status;
    reader->queries = reader->neighbors.rows;
    reader->k = reader->neighbors.columns;
    reader->distances_known = mpivf_h5_has(path, "distances");
    if (reader->distances_known)
        status = open_distances(ctx, reader);
    if (status)
        return status;
    reader->ours = mpivf_h5_text(path, "kind", kind);
    if (mpivf_h5_text(path, "distance", reader->distance))
        reader->metric_known = find_metric(reader->distance, &reader->metric);
    status = mpivf_h5_describe(ctx, path, &exact, 1, NULL, 0);
    reader->exact = status == MPIVF_OK && exact.number != 0;
    if (status != MPIVF_INPUT)
        return status;
    mpivf_clear_error(ctx); /* a file of somebody else has no such attribute */
    return MPIVF_OK;
}

/* A cell as it is read. */
union cell {
    int64_t whole;
    uint64_t natural;
    double real;
};

/* The id that a cell stands for, -1 for none; false when it stands for no id. */
static bool
id_of(const struct mpivf_h5_table *table, union cell cell, int64_t *id)
{
    static const double LARGEST = 9007199254740992; /* 2^53: float64 skips numbers beyond */
    enum mpivf_type type = table->type;
    bool none = type == MPIVF_F64   ? isnan(cell.real) || cell.real < 0
                : type == MPIVF_U64 ? cell.natural == table->largest
                                    : cell.whole < 0;
    if (none)
        *id = -1;
    else if (type == MPIVF_F64 && cell.real <= LARGEST && cell.real == floor(cell.real))
        *id = (int64_t)cell.real;
    else if (type != MPIVF_F64 && cell.natural <= INT64_MAX)
        *id = cell.whole;
    else
        return false;
    return true;
}

static mpivf_status
read_ids(struct mpivf_context *ctx, const struct mpivf_result_reader *reader, uint64_t first,
         uint64_t n, int64_t *id)
{
    const struct mpivf_h5_table *table = &reader->neighbors;
    mpivf_status status = mpivf_h5_table_read(ctx, table, first, n, id);
    for (uint64_t i = 0; i < n * reader->k && status == MPIVF_OK; i++) {
        union cell cell;
        memcpy(&cell, &id[i], sizeof cell);
        if (id_of(table, cell, &id[i]))
            continue;
        double value = table->type == MPIVF_F64 ? cell.real : (double)cell.natural;
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "query %llu of '%s' has the neighbour %.17g; ids are "
                            "whole numbers below 2^%d",
                            (unsigned long long)(first + i / reader->k), reader->path, value,
                            table->type == MPIVF_F64 ? 53 : 63);
    }
    return status;
}

mpivf_status
mpivf_result_rows(struct mpivf_context *ctx, const struct mpivf_result_reader *reader,
                  uint64_t first, uint64_t n, int64_t *id, double *distance)
{
    const struct mpivf_h5_table *table = &reader->distances;
    mpivf_status status = read_ids(ctx, reader, first, n, id);
    if (status == MPIVF_OK && reader->distances_known)
        status = mpivf_h5_table_read(ctx, table, first, n, distance);
    for (uint64_t i = 0; i < n * reader->k && status == MPIVF_OK; i++) {
        union cell cell;
        if (!reader->distances_known)
            distance[i] = NAN;
        else if (table->type != MPIVF_F64) {
            memcpy(&cell, &distance[i], sizeof cell);
            distance[i] = table->type == MPIVF_U64 ? (double)cell.natural : (double)cell.whole;
        }
    }
    return status;
}
