#include "measure/part.h"

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
enum { FORMAT = 2, PIECE = 1 << 18 };

static uint64_t
head_bytes(const struct mpivf_part *part)
{
    return WORDS * sizeof(uint64_t) + part->ranges * sizeof(struct mpivf_range);
}

static uint64_t
row_bytes(const struct mpivf_part *part)
{
    return (part->k + 2) * sizeof(struct mpivf_candidate);
}

/* Rows at a time, so that a piece is about PIECE bytes. */
static uint64_t
piece_rows(const struct mpivf_part *part)
{
    uint64_t rows = PIECE / row_bytes(part);
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

static const char whole_name[] = "part-%" PRIu64 "-%" PRIu64 "-%016" PRIx64; /* first, end, hash */
static const char partial_name[] = "part-%" PRIu64 "-%" PRIx64 ".partial";   /* first, row */

/* Read and printed again: nothing but what we print is ours. */
bool
mpivf_part_owns(const char *name)
{
    uint64_t first, end, hash;
    char printed[MPIVF_PART_NAME] = "";
    if (sscanf(name, "part-%20" SCNu64 "-%20" SCNu64 "-%16" SCNx64, &first, &end, &hash) == 3)
        snprintf(printed, sizeof printed, whole_name, first, end, hash);
    else if (sscanf(name, "part-%20" SCNu64 "-%16" SCNx64, &first, &hash) == 2)
        snprintf(printed, sizeof printed, partial_name, first, hash);
    return printed[0] != '\0' && strcmp(name, printed) == 0;
}

/* ---- writing ---- */

/* Queries [at, at + n) of segment s as rows of the file. */
static void
make_rows(const struct mpivf_answers *answers, size_t s, uint64_t at, uint64_t n,
          struct mpivf_candidate *row)
{
    struct mpivf_topk part = answers->topk[s];
    size_t k = part.k;
    for (uint64_t q = at; q < at + n; q++, row += k + 2) {
        struct mpivf_topk one = part;
        one.queries = 1;
        one.entry += q * part.room;
        one.count += q;
        one.limit += q;
        one.tied += q;
        mpivf_topk_export(&one, row);
        row[k + 1] = (struct mpivf_candidate){0, mpivf_duplicates_of(answers->duplicates, s, q)};
    }
}

static mpivf_status
write_body(struct mpivf_context *ctx, const struct mpivf_file *file, const struct mpivf_part *part,
           const struct mpivf_answers *answers, uint64_t *sum)
{
    uint64_t piece = piece_rows(part), offset = head_bytes(part);
    struct mpivf_candidate *row = mpivf_alloc(ctx, "a part", piece, row_bytes(part));
    struct mpivf_checksum *running = mpivf_checksum_create(ctx);
    mpivf_status status = row && running ? MPIVF_OK : MPIVF_MEMORY;
    if (running)
        mpivf_checksum_start(running);
    for (uint64_t s = 0; s < part->segments; s++)
        for (uint64_t at = 0; at < part->queries && status == MPIVF_OK; at += piece) {
            uint64_t n = part->queries - at < piece ? part->queries - at : piece;
            make_rows(answers, s, at, n, row);
            mpivf_checksum_add(running, row, n * row_bytes(part));
            status = mpivf_file_write(ctx, file, row, n * row_bytes(part), offset);
            offset += n * row_bytes(part);
        }
    if (status == MPIVF_OK)
        *sum = mpivf_checksum_value(running);
    mpivf_checksum_destroy(ctx, &running);
    mpivf_free(ctx, row);
    return status;
}

mpivf_status
mpivf_part_write(struct mpivf_context *ctx, const char *folder, struct mpivf_part *part,
                 const struct mpivf_answers *answers)
{
    uint64_t head[WORDS] = {MARK,    FORMAT,         part->first, part->queries,
                            part->k, part->segments, part->ranges};
    char partial[MPIVF_PATH], path[MPIVF_PATH];
    /* no other rank has these rows */
    snprintf(part->name, sizeof part->name, partial_name, part->first,
             part->ranges ? part->range[0].row : UINT64_MAX);
    mpivf_status status = mpivf_path(ctx, partial, "%s/%s", folder, part->name);
    struct mpivf_file file = {.fd = -1, .path = partial};
    if (status)
        return status;
    memcpy(head + REJECTED, part->rejected, sizeof part->rejected);
    put_stamp(head + BASE, &part->base);
    put_stamp(head + QUERY, &part->query);
    status = mpivf_file_create(ctx, partial, &file);
    THEN(status, write_body(ctx, &file, part, answers, &head[BODY_SUM]));
    head[HEAD_SUM] = head_sum(head, part->range);
    THEN(status, mpivf_file_write(ctx, &file, head, sizeof head, 0));
    THEN(status, mpivf_file_write(ctx, &file, part->range, part->ranges * sizeof *part->range,
                                  sizeof head));
    snprintf(part->name, sizeof part->name, whole_name, part->first, part->first + part->queries,
             head[HEAD_SUM]);
    THEN(status, mpivf_path(ctx, path, "%s/%s", folder, part->name));
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
mpivf_part_head(struct mpivf_context *ctx, const char *path, struct mpivf_part *part, bool *good)
{
    uint64_t head[WORDS] = {0};
    struct mpivf_file file = {.fd = -1};
    *good = false;
    uint64_t bytes = 0;
    mpivf_status status = mpivf_file_open(ctx, path, &file);
    THEN(status, mpivf_file_size(ctx, path, &bytes));
    THEN(status, mpivf_file_read(ctx, &file, head, sizeof head, 0));
    if (status == MPIVF_OK && head[MAGIC] == MARK && head[VERSION] == FORMAT && fits(head, bytes)) {
        part->first = head[FIRST];
        part->queries = head[QUERIES];
        part->k = head[K];
        part->segments = head[SEGMENTS];
        memcpy(part->rejected, head + REJECTED, sizeof part->rejected);
        part->base = get_stamp(head + BASE);
        part->query = get_stamp(head + QUERY);
        part->ranges = head[RANGES];
        part->range = mpivf_alloc(ctx, "row ranges", part->ranges, sizeof *part->range);
        status = part->range ? mpivf_file_read(ctx, &file, part->range,
                                               part->ranges * sizeof *part->range, sizeof head)
                             : MPIVF_MEMORY;
        *good = status == MPIVF_OK && head[HEAD_SUM] == head_sum(head, part->range);
        part->rows = *good ? mpivf_range_rows(part->range, part->ranges) : 0;
    }
    mpivf_file_drop(&file);
    if (status == MPIVF_CORRUPT) {
        mpivf_forgive(ctx);
        status = MPIVF_OK;
    }
    if (!*good) {
        mpivf_free(ctx, part->range);
        part->range = NULL;
    }
    return status;
}

mpivf_status
mpivf_part_rows(struct mpivf_context *ctx, const struct mpivf_file *file,
                const struct mpivf_part *part, uint64_t segment, uint64_t first, uint64_t n,
                struct mpivf_candidate *row)
{
    uint64_t offset = head_bytes(part) + (segment * part->queries + first) * row_bytes(part);
    return mpivf_file_read(ctx, file, row, n * row_bytes(part), offset);
}

/* Those rows of a piece that are asked for. */
static void
offer(const struct mpivf_part *part, uint64_t s, uint64_t at, uint64_t n, uint64_t first,
      uint64_t end, const struct mpivf_candidate *row, const struct mpivf_answers *answers)
{
    size_t k = part->k;
    for (uint64_t i = 0; i < n; i++, row += k + 2) {
        uint64_t query = part->first + at + i;
        if (query < first || query >= end)
            continue;
        mpivf_topk_import(&answers->topk[s], query - first, row);
        mpivf_duplicates_add(answers->duplicates, s, query - first, row[k + 1].id);
    }
}

static mpivf_status
read_body(struct mpivf_context *ctx, const struct mpivf_file *file, const struct mpivf_part *part,
          uint64_t first, uint64_t end, const struct mpivf_answers *answers, uint64_t *sum)
{
    uint64_t piece = piece_rows(part);
    struct mpivf_candidate *row = mpivf_alloc(ctx, "a part", piece, row_bytes(part));
    struct mpivf_checksum *running = mpivf_checksum_create(ctx);
    mpivf_status status = row && running ? MPIVF_OK : MPIVF_MEMORY;
    if (running)
        mpivf_checksum_start(running);
    for (uint64_t s = 0; s < part->segments; s++)
        for (uint64_t at = 0; at < part->queries && status == MPIVF_OK; at += piece) {
            uint64_t n = part->queries - at < piece ? part->queries - at : piece;
            status = mpivf_part_rows(ctx, file, part, s, at, n, row);
            if (status)
                break;
            mpivf_checksum_add(running, row, n * row_bytes(part));
            if (answers)
                offer(part, s, at, n, first, end, row, answers);
        }
    if (status == MPIVF_OK)
        *sum = mpivf_checksum_value(running);
    mpivf_checksum_destroy(ctx, &running);
    mpivf_free(ctx, row);
    return status;
}

mpivf_status
mpivf_part_read(struct mpivf_context *ctx, const char *folder, const struct mpivf_part *part,
                uint64_t first, uint64_t n, const struct mpivf_answers *answers, bool *damaged)
{
    char path[MPIVF_PATH];
    uint64_t head[WORDS] = {0}, sum = 0;
    struct mpivf_file file = {.fd = -1};
    *damaged = false;
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", folder, part->name);
    THEN(status, mpivf_file_open(ctx, path, &file));
    THEN(status, mpivf_file_read(ctx, &file, head, sizeof head, 0));
    THEN(status, read_body(ctx, &file, part, first, first + n, answers, &sum));
    mpivf_file_drop(&file);
    if (status == MPIVF_CORRUPT) { /* shorter than it says */
        mpivf_forgive(ctx);
        status = MPIVF_OK;
        *damaged = true;
    } else if (status == MPIVF_OK) {
        *damaged = sum != head[BODY_SUM];
    }
    return status;
}

mpivf_status
mpivf_part_check(struct mpivf_context *ctx, const char *folder, const struct mpivf_part *part,
                 bool *damaged)
{
    return mpivf_part_read(ctx, folder, part, 0, 0, NULL, damaged);
}

mpivf_status
mpivf_part_remove(struct mpivf_context *ctx, const char *folder, const char *name)
{
    char path[MPIVF_PATH];
    mpivf_status status = mpivf_path(ctx, path, "%s/%s", folder, name);
    THEN(status, mpivf_file_remove(ctx, path));
    return status;
}
