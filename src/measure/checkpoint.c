#include "measure/checkpoint.h"

#include "base/then.h"
#include "io/checksum.h"
#include "io/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The head: words, then the ranges. */
enum {
    MAGIC,
    VERSION,
    FIRST,
    QUERIES,
    K,
    SEGMENTS,
    RANGES,
    REJECTED,
    BASE = REJECTED + MPIVF_PREFIXES, /* a stamp: version, bytes, modified, rows */
    QUERY = BASE + 4,
    BODY_SUM = QUERY + 4,
    HEAD_SUM,
    WORDS
};
static const uint64_t MARK = 0x31747261706d7669; /* "ivmpart1" where the byte order is ours */
enum { FORMAT = 2, ONCE = 3, PIECE = 1 << 18 };

static uint64_t
head_bytes(const struct mpivf_checkpoint *checkpoint)
{
    return WORDS * sizeof(uint64_t) + checkpoint->ranges * sizeof(struct mpivf_range);
}

static uint64_t
row_bytes(const struct mpivf_checkpoint *checkpoint)
{
    return (checkpoint->k + 2) * sizeof(struct mpivf_candidate);
}

/* Where in the file row `first` of a segment is. */
static uint64_t
offset_of(const struct mpivf_checkpoint *checkpoint, uint64_t segment, uint64_t first)
{
    return head_bytes(checkpoint) + (segment * checkpoint->queries + first) * row_bytes(checkpoint);
}

/* Rows at a time, so that a piece is about PIECE bytes. */
static uint64_t
piece_rows(const struct mpivf_checkpoint *checkpoint)
{
    uint64_t rows = PIECE / row_bytes(checkpoint);
    return rows > 0 ? rows : 1;
}

static uint64_t
head_sum(const uint64_t head[WORDS], const struct mpivf_range *range)
{
    uint64_t sums[2] = {mpivf_checksum_of(head, HEAD_SUM * sizeof *head),
                        mpivf_checksum_of(range, head[RANGES] * sizeof *range)};
    return mpivf_checksum_of(sums, sizeof sums);
}

static void
put_stamp(uint64_t word[4], const struct mpivf_stamp *stamp)
{
    const uint64_t words[4] = {stamp->version, stamp->bytes, (uint64_t)stamp->modified,
                               stamp->rows};
    memcpy(word, words, sizeof words);
}

static struct mpivf_stamp
get_stamp(const uint64_t word[4])
{
    return (struct mpivf_stamp){word[0], word[1], (int64_t)word[2], word[3]};
}

static const char whole_name[] =
    "checkpoint-%" PRIu64 "-%" PRIu64 "-%016" PRIx64; /* first, end, hash */
static const char partial_name[] = "checkpoint-%" PRIu64 "-%" PRIx64 ".partial"; /* first, row */

/* Read and printed again: nothing but what we print is ours. */
bool
mpivf_checkpoint_owns(const char *name)
{
    uint64_t first, end, hash;
    char printed[MPIVF_CHECKPOINT_NAME] = "";
    if (sscanf(name, "checkpoint-%20" SCNu64 "-%20" SCNu64 "-%16" SCNx64, &first, &end, &hash) == 3)
        snprintf(printed, sizeof printed, whole_name, first, end, hash);
    else if (sscanf(name, "checkpoint-%20" SCNu64 "-%16" SCNx64, &first, &hash) == 2)
        snprintf(printed, sizeof printed, partial_name, first, hash);
    return printed[0] != '\0' && strcmp(name, printed) == 0;
}

/* ---- writing ---- */

/* The rows of the file, and what is done with them piece by piece. */
struct body {
    struct mpivf_context *ctx;
    const struct mpivf_file *file;
    const struct mpivf_checkpoint *checkpoint;
    const struct mpivf_answers *answers; /* reading: NULL = only look */
    uint64_t first, end;                 /* reading: queries that are asked for */

    /* Write, or read, queries [at, at + n) of segment s; `row` then has them. */
    mpivf_status (*move)(const struct body *body, uint64_t s, uint64_t at, uint64_t n,
                         struct mpivf_candidate *row);
};

/* Go through all of them; *sum is their checksum. */
static mpivf_status
move_body(const struct body *body, uint64_t *sum)
{
    const struct mpivf_checkpoint *checkpoint = body->checkpoint;
    uint64_t piece = piece_rows(checkpoint);
    struct mpivf_pool pool = mpivf_pool_taking(body->ctx, "a checkpoint");
    struct mpivf_candidate *row = mpivf_pool_take(&pool, piece, row_bytes(checkpoint));
    struct mpivf_checksum *running = mpivf_checksum_take(&pool);
    mpivf_status status = mpivf_pool_status(&pool);
    for (uint64_t s = 0; s < checkpoint->segments; s++)
        for (uint64_t at = 0; at < checkpoint->queries && status == MPIVF_OK; at += piece) {
            uint64_t n = checkpoint->queries - at < piece ? checkpoint->queries - at : piece;
            status = body->move(body, s, at, n, row);
            if (status == MPIVF_OK)
                mpivf_checksum_add(running, row, n * row_bytes(checkpoint));
        }
    if (status == MPIVF_OK)
        *sum = mpivf_checksum_value(running);
    mpivf_pool_clear(&pool);
    return status;
}

/* Queries [at, at + n) of segment s as rows of the file. */
static void
make_rows(const struct mpivf_answers *answers, size_t s, uint64_t at, uint64_t n,
          struct mpivf_candidate *row)
{
    struct mpivf_topk topk = answers->topk[s];
    size_t k = topk.k;
    for (uint64_t q = at; q < at + n; q++, row += k + 2) {
        struct mpivf_topk one = topk;
        one.queries = 1;
        one.entry += q * topk.room;
        one.count += q;
        one.limit += q;
        one.tied += q;
        mpivf_topk_export(&one, row);
        row[k + 1] = (struct mpivf_candidate){0, mpivf_duplicates_of(answers->duplicates, s, q)};
    }
}

static mpivf_status
write_piece(const struct body *body, uint64_t s, uint64_t at, uint64_t n,
            struct mpivf_candidate *row)
{
    make_rows(body->answers, s, at, n, row);
    return mpivf_file_write(body->ctx, body->file, row, n * row_bytes(body->checkpoint),
                            offset_of(body->checkpoint, s, at));
}

mpivf_status
mpivf_checkpoint_write(struct mpivf_context *ctx, const char *folder,
                       struct mpivf_checkpoint *checkpoint, const struct mpivf_answers *answers)
{
    uint64_t head[WORDS] = {MARK,
                            checkpoint->once ? ONCE : FORMAT,
                            checkpoint->first,
                            checkpoint->queries,
                            checkpoint->k,
                            checkpoint->segments,
                            checkpoint->ranges};
    char partial[MPIVF_PATH], path[MPIVF_PATH];
    /* no other rank has these rows */
    snprintf(checkpoint->name, sizeof checkpoint->name, partial_name, checkpoint->first,
             checkpoint->ranges ? checkpoint->range[0].row : UINT64_MAX);
    mpivf_status status = mpivf_path(ctx, partial, "%s/%s", folder, checkpoint->name);
    struct mpivf_file file = {.fd = -1, .path = partial};
    if (status)
        return status;
    memcpy(head + REJECTED, checkpoint->rejected, sizeof checkpoint->rejected);
    put_stamp(head + BASE, &checkpoint->base);
    put_stamp(head + QUERY, &checkpoint->query);
    status = mpivf_file_create(ctx, partial, &file);
    struct body body = {ctx, &file, checkpoint, answers, 0, 0, write_piece};
    THEN(status, move_body(&body, &head[BODY_SUM]));
    head[HEAD_SUM] = head_sum(head, checkpoint->range);
    THEN(status, mpivf_file_write(ctx, &file, head, sizeof head, 0));
    THEN(status, mpivf_file_write(ctx, &file, checkpoint->range,
                                  checkpoint->ranges * sizeof *checkpoint->range, sizeof head));
    snprintf(checkpoint->name, sizeof checkpoint->name, whole_name, checkpoint->first,
             checkpoint->first + checkpoint->queries, head[HEAD_SUM]);
    THEN(status, mpivf_path(ctx, path, "%s/%s", folder, checkpoint->name));
    return mpivf_file_finish(ctx, &file, path, status);
}

/* ---- reading ---- */

/* Do the sizes in a head, which may be damaged, make the size of the file? */
static bool
fits(const uint64_t head[WORDS], uint64_t bytes)
{
    uint64_t ranges, row, rows, body, all;
    return !__builtin_mul_overflow(head[RANGES], sizeof(struct mpivf_range), &ranges) &&
           !__builtin_add_overflow(head[K], 2, &row) &&
           !__builtin_mul_overflow(row, sizeof(struct mpivf_candidate), &row) &&
           !__builtin_mul_overflow(head[SEGMENTS], head[QUERIES], &rows) &&
           !__builtin_mul_overflow(row, rows, &body) &&
           !__builtin_add_overflow(body, ranges, &all) &&
           !__builtin_add_overflow(all, WORDS * sizeof(uint64_t), &all) && all == bytes;
}

mpivf_status
mpivf_checkpoint_head(struct mpivf_context *ctx, const char *path,
                      struct mpivf_checkpoint *checkpoint, bool *good)
{
    uint64_t head[WORDS] = {0};
    struct mpivf_file file = {.fd = -1};
    *good = false;
    uint64_t bytes = 0;
    mpivf_status status = mpivf_file_open(ctx, path, &file);
    THEN(status, mpivf_file_size(ctx, path, &bytes));
    THEN(status, mpivf_file_read(ctx, &file, head, sizeof head, 0));
    checkpoint->once = head[VERSION] == ONCE;
    if (status == MPIVF_OK && head[MAGIC] == MARK &&
        (head[VERSION] == FORMAT || checkpoint->once) && fits(head, bytes)) {
        checkpoint->first = head[FIRST];
        checkpoint->queries = head[QUERIES];
        checkpoint->k = head[K];
        checkpoint->segments = head[SEGMENTS];
        memcpy(checkpoint->rejected, head + REJECTED, sizeof checkpoint->rejected);
        checkpoint->base = get_stamp(head + BASE);
        checkpoint->query = get_stamp(head + QUERY);
        checkpoint->ranges = head[RANGES];
        checkpoint->range =
            mpivf_alloc(ctx, "row ranges", checkpoint->ranges, sizeof *checkpoint->range);
        status = checkpoint->range
                     ? mpivf_file_read(ctx, &file, checkpoint->range,
                                       checkpoint->ranges * sizeof *checkpoint->range, sizeof head)
                     : MPIVF_MEMORY;
        *good = status == MPIVF_OK && head[HEAD_SUM] == head_sum(head, checkpoint->range);
        checkpoint->rows = *good ? mpivf_range_rows(checkpoint->range, checkpoint->ranges) : 0;
    }
    mpivf_file_drop(&file);
    if (status == MPIVF_CORRUPT) {
        mpivf_clear_error(ctx);
        status = MPIVF_OK;
    }
    if (!*good) {
        mpivf_free(ctx, checkpoint->range);
        checkpoint->range = NULL;
    }
    return status;
}

mpivf_status
mpivf_checkpoint_rows(struct mpivf_context *ctx, const struct mpivf_file *file,
                      const struct mpivf_checkpoint *checkpoint, uint64_t segment, uint64_t first,
                      uint64_t n, struct mpivf_candidate *row)
{
    return mpivf_file_read(ctx, file, row, n * row_bytes(checkpoint),
                           offset_of(checkpoint, segment, first));
}

/* Offer those rows of a piece that are asked for. */
static mpivf_status
read_piece(const struct body *body, uint64_t s, uint64_t at, uint64_t n,
           struct mpivf_candidate *row)
{
    const struct mpivf_checkpoint *checkpoint = body->checkpoint;
    const struct mpivf_answers *answers = body->answers;
    size_t k = checkpoint->k;
    mpivf_status status = mpivf_checkpoint_rows(body->ctx, body->file, checkpoint, s, at, n, row);
    for (uint64_t i = 0; i < n && answers && status == MPIVF_OK; i++, row += k + 2) {
        uint64_t query = checkpoint->first + at + i;
        if (query < body->first || query >= body->end)
            continue;
        mpivf_topk_import(&answers->topk[s], query - body->first, row);
        mpivf_duplicates_add(answers->duplicates, s, query - body->first, row[k + 1].id);
    }
    return status;
}

mpivf_status
mpivf_checkpoint_read(struct mpivf_context *ctx, const char *folder,
                      const struct mpivf_checkpoint *checkpoint, uint64_t first, uint64_t n,
                      const struct mpivf_answers *answers, bool *damaged)
{
    char path[MPIVF_PATH];
    uint64_t head[WORDS] = {0}, sum = 0;
    struct mpivf_file file = {.fd = -1};
    *damaged = false;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", folder, checkpoint->name);
    THEN(status, mpivf_file_open(ctx, path, &file));
    THEN(status, mpivf_file_read(ctx, &file, head, sizeof head, 0));
    struct body body = {ctx, &file, checkpoint, answers, first, first + n, read_piece};
    THEN(status, move_body(&body, &sum));
    mpivf_file_drop(&file);
    if (status == MPIVF_CORRUPT) { /* shorter than it says */
        mpivf_clear_error(ctx);
        status = MPIVF_OK;
        *damaged = true;
    } else if (status == MPIVF_OK) {
        *damaged = sum != head[BODY_SUM];
    }
    return status;
}

mpivf_status
mpivf_checkpoint_check(struct mpivf_context *ctx, const char *folder,
                       const struct mpivf_checkpoint *checkpoint, bool *damaged)
{
    return mpivf_checkpoint_read(ctx, folder, checkpoint, 0, 0, NULL, damaged);
}

mpivf_status
mpivf_checkpoint_remove(struct mpivf_context *ctx, const char *folder, const char *name)
{
    char path[MPIVF_PATH];
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", folder, name);
    THEN(status, mpivf_file_remove(ctx, path));
    return status;
}
