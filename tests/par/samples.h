/* samples: what training is tested on: rows out of a function, dealt to some of the ranks. */
#ifndef MPIVF_TESTS_SAMPLES_H
#define MPIVF_TESTS_SAMPLES_H

#include "checks.h"

#include "build/sample.h"
#include "math/distance.h"

struct rows {
    const char *name;
    enum mpivf_metric metric;
    uint64_t rows, top, part; /* about so many in the first level, in the first two */
    size_t dim;
    void (*value)(uint64_t i, size_t dim, float *row);
};

static inline uint64_t
key_of(uint64_t i)
{
    return mpivf_random(5, MPIVF_FOR_SAMPLE, i);
}

static inline enum mpivf_sample_level
level_of(const struct rows *rows, uint64_t i)
{
    double share = (double)key_of(i) / 0x1p64 * (double)rows->rows;
    return share < (double)rows->top    ? MPIVF_SAMPLE_TOP
           : share < (double)rows->part ? MPIVF_SAMPLE_PART
                                        : MPIVF_SAMPLE_ALL;
}

/* Rows of zeros. */
static inline void
all_zero(uint64_t i, size_t dim, float *row)
{
    memset(row, 0, dim * sizeof *row);
    (void)i;
}

/* As draw hands them over: of unit length for ip and cosine. */
static inline void
row_of(const struct rows *rows, uint64_t i, float *row)
{
    rows->value(i, rows->dim, row);
    if (rows->metric != MPIVF_L2)
        mpivf_normalise(row, rows->dim, row);
}

/* This rank's rows; the first rank of several and every fourth have none. */
static inline void
share_of(const struct mpivf_par *par, uint64_t rows, uint64_t *first, uint64_t *end)
{
    int with = 0, mine = -1;
    for (int r = 0; r < par->size; r++)
        if (par->size == 1 || r % 4 != 0) {
            mine = r == par->rank ? with : mine;
            with++;
        }
    *first = mine < 0 ? 0 : mpivf_share_first(rows, mine, with);
    *end = mine < 0 ? 0 : mpivf_share_first(rows, mine + 1, with);
}

/* Local. Release with mpivf_sample_clear. */
static inline mpivf_status
make_sample(const struct mpivf_par *par, const struct rows *rows, size_t memory, const char *path,
            struct mpivf_sample *sample)
{
    uint64_t first, end;
    size_t room[MPIVF_SAMPLE_LEVELS] = {0};
    float *row = malloc(rows->dim * sizeof *row);
    share_of(par, rows->rows, &first, &end);
    for (uint64_t i = first; i < end; i++)
        room[level_of(rows, i)]++;
    mpivf_status status =
        mpivf_sample_init(par->ctx, sample, rows->metric, rows->dim, room, memory, path);
    for (uint64_t i = first; i < end && status == MPIVF_OK; i++) {
        row_of(rows, i, row);
        status = mpivf_sample_put(sample, level_of(rows, i), row, key_of(i));
    }
    free(row);
    return status ? status : mpivf_sample_ready(sample);
}

/* Memory for which a sample of `places` rows has blocks of so many. */
static inline size_t
memory_for(const struct mpivf_context *ctx, size_t places, size_t dim, size_t block)
{
    return mpivf_sample_bytes(dim, places, block, ctx->threads);
}

#endif
