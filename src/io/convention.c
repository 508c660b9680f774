#include "io/convention.h"

#include <math.h>
#include <string.h>

enum { WORD = sizeof(uint32_t), XBIN_HEAD = 2 };

/* Part of a file: a row for each query, k words or, when led by k itself, k + 1. */
struct table {
    const struct mpivf_result_about *about;
    uint64_t offset; /* of the first byte */
    bool led, ids;
};

const char *
mpivf_convention_ending(enum mpivf_convention convention)
{
    static const char *const ending[MPIVF_CONVENTIONS] = {".bin", ".ivecs", ".fvecs"};
    return ending[convention];
}

bool
mpivf_convention_asked(enum mpivf_convention convention, int also)
{
    return (also & (convention == MPIVF_XBIN ? MPIVF_ALSO_XBIN : MPIVF_ALSO_VECS)) != 0;
}

mpivf_status
mpivf_convention_check(struct mpivf_context *ctx, const struct mpivf_result_about *about, int also)
{
    bool xbin = (also & MPIVF_ALSO_XBIN) != 0;
    if (also != 0 && about->max_id > INT32_MAX)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "ids up to %llu do not fit into the 32 bits of %s files; "
                          "leave --also away",
                          (unsigned long long)about->max_id, xbin ? "xbin" : "vecs");
    if (xbin && (about->queries > UINT32_MAX || about->k > UINT32_MAX))
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "%llu queries of %llu neighbours are more than xbin "
                          "files can count; leave xbin out of --also",
                          (unsigned long long)about->queries, (unsigned long long)about->k);
    if ((also & MPIVF_ALSO_VECS) != 0 && about->k > INT32_MAX)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "%llu neighbours a query are more than vecs files can "
                          "count; leave vecs out of --also",
                          (unsigned long long)about->k);
    return MPIVF_OK;
}

mpivf_status
mpivf_convention_begin(struct mpivf_context *ctx, const struct mpivf_file *file,
                       enum mpivf_convention convention, const struct mpivf_result_about *about)
{
    uint64_t cells = about->queries * about->k;
    uint32_t head[XBIN_HEAD] = {(uint32_t)about->queries, (uint32_t)about->k};
    bool xbin = convention == MPIVF_XBIN;
    uint64_t words = xbin ? XBIN_HEAD + 2 * cells : about->queries + cells;
    mpivf_status status = mpivf_file_allowed(ctx, file->path, words * WORD);
    if (status == MPIVF_OK && xbin)
        status = mpivf_file_write(ctx, file, head, sizeof head, 0);
    return status;
}

static uint32_t
distance_word(enum mpivf_metric metric, int64_t id, double distance)
{
    /* not -distance: a product of 0 is not to become -0 */
    double larger = metric == MPIVF_COSINE ? 1 - distance : 0 - distance;
    if (id < 0)
        larger = -INFINITY;
    if (metric == MPIVF_L2)
        larger = id < 0 ? INFINITY : distance;
    float value = (float)larger;
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

/* The words [at, at + words) of the rows, as they lie in the table. */
static void
fill(const struct table *table, const struct mpivf_result_rows *rows, uint64_t at, size_t words,
     uint32_t *word)
{
    uint64_t k = table->about->k, width = k + table->led;
    uint64_t row = at / width, column = at % width;
    for (size_t i = 0; i < words; i++) {
        uint64_t cell = row * k + column - table->led;
        if (table->led && column == 0)
            word[i] = (uint32_t)k;
        else if (table->ids)
            word[i] = (uint32_t)(rows->neighbor[cell] < 0 ? -1 : rows->neighbor[cell]);
        else
            word[i] =
                distance_word(table->about->metric, rows->neighbor[cell], rows->distance[cell]);
        if (++column == width) {
            column = 0;
            row++;
        }
    }
}

static mpivf_status
put_table(struct mpivf_context *ctx, const struct mpivf_file *file, const struct table *table,
          uint64_t first, uint64_t n, const struct mpivf_result_rows *rows, uint32_t *word)
{
    uint64_t width = table->about->k + table->led, all = n * width;
    mpivf_status status = MPIVF_OK;
    for (uint64_t at = 0; at < all && status == MPIVF_OK; at += MPIVF_CONVENTION_WORDS) {
        uint64_t left = all - at;
        size_t words = left < MPIVF_CONVENTION_WORDS ? left : MPIVF_CONVENTION_WORDS;
        fill(table, rows, at, words, word);
        status = mpivf_file_write(ctx, file, word, words * WORD,
                                  table->offset + (first * width + at) * WORD);
    }
    return status;
}

/* The caller promised ids that fit: a larger one must not be cut off in silence. */
static mpivf_status
check_ids(struct mpivf_context *ctx, const struct mpivf_file *file, const int64_t *id, uint64_t ids)
{
    for (uint64_t i = 0; i < ids; i++)
        if (id[i] > INT32_MAX)
            return mpivf_fail(ctx, MPIVF_INTERNAL, "the id %lld for '%s' does not fit into 32 bits",
                              (long long)id[i], file->path);
    return MPIVF_OK;
}

mpivf_status
mpivf_convention_put(struct mpivf_context *ctx, const struct mpivf_file *file,
                     enum mpivf_convention convention, const struct mpivf_result_about *about,
                     uint64_t first, uint64_t n, const struct mpivf_result_rows *rows,
                     uint32_t *word)
{
    bool xbin = convention == MPIVF_XBIN;
    struct table ids = {about, xbin ? XBIN_HEAD * WORD : 0, .led = !xbin, .ids = true};
    struct table distances = {about, 0, .led = !xbin, .ids = false};
    if (xbin)
        distances.offset = ids.offset + about->queries * about->k * WORD;
    mpivf_status status = MPIVF_OK;
    if (convention != MPIVF_FVECS)
        status = check_ids(ctx, file, rows->neighbor, n * about->k);
    if (status == MPIVF_OK && convention != MPIVF_FVECS)
        status = put_table(ctx, file, &ids, first, n, rows, word);
    if (status == MPIVF_OK && convention != MPIVF_IVECS)
        status = put_table(ctx, file, &distances, first, n, rows, word);
    return status;
}
