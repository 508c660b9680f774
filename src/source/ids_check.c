#include "source/ids_check.h"

#include "base/compare.h"
#include "base/rng.h"
#include "base/then.h"

#include <stdlib.h>

enum { PIECE_ROWS = 1 << 19, ROUND_PIECES = 16 };

struct checking {
    const struct mpivf_par *par;
    struct mpivf_source *ids;
    uint64_t parts;  /* of all passes and ranks */
    size_t capacity; /* ids of a part; a part is a little uneven */
    int64_t *kept;   /* owned, [capacity] */
    int64_t *piece;  /* owned, [PIECE_ROWS] */
    size_t count;
};

/* Parts so large that the budget holds one, and a tenth more for chance. */
static mpivf_status
checking_init_all(struct checking *c)
{
    struct mpivf_context *ctx = c->par->ctx;
    uint64_t rows = c->ids->rows, size = (uint64_t)c->par->size;
    size_t left = mpivf_memory_left(ctx), fixed = (PIECE_ROWS + 4096) * sizeof(int64_t);
    uint64_t room = left > 2 * fixed ? (left - fixed) / sizeof(int64_t) : 4096;
    uint64_t passes = rows / size / (room - room / 8) + 1;
    passes = mpivf_max_u64_all(c->par, passes);
    c->parts = passes * size;
    uint64_t even = rows / c->parts;
    c->capacity = even + even / 10 + 2048;
    c->piece = mpivf_alloc(ctx, "the check of --ids", PIECE_ROWS, sizeof *c->piece);
    c->kept = mpivf_alloc(ctx, "the check of --ids", c->capacity, sizeof *c->kept);
    return mpivf_agree_all(c->par, c->piece && c->kept ? MPIVF_OK : MPIVF_MEMORY);
}

/* Read one piece and keep the ids of `part`. */
static mpivf_status
keep_piece_each(struct checking *c, uint64_t row, uint64_t part)
{
    struct mpivf_context *ctx = c->par->ctx;
    uint64_t left = c->ids->rows - row;
    struct mpivf_range range = {row, left < PIECE_ROWS ? left : PIECE_ROWS};
    mpivf_status status = mpivf_source_read_ids_each(c->ids, &range, 1, c->piece);
    for (uint64_t i = 0; i < range.rows && status == MPIVF_OK; i++) {
        int64_t id = c->piece[i];
        if (id < 0)
            status =
                mpivf_fail(ctx, MPIVF_INPUT, "the id %lld of row %llu is negative or beyond 2^63",
                           (long long)id, (unsigned long long)(row + i));
        else if (mpivf_random(0, MPIVF_FOR_PRINT, (uint64_t)id) % c->parts != part)
            continue;
        else if (c->count == c->capacity) /* a part so uneven is one id over and over */
            status =
                mpivf_fail(ctx, MPIVF_INPUT, "ids like %lld are given to many rows", (long long)id);
        else
            c->kept[c->count++] = id;
    }
    return status;
}

static mpivf_status
find_double(struct checking *c)
{
    qsort(c->kept, c->count, sizeof *c->kept, mpivf_compare_i64);
    for (size_t i = 1; i < c->count; i++)
        if (c->kept[i] == c->kept[i - 1])
            return mpivf_fail(c->par->ctx, MPIVF_INPUT, "the id %lld is given to two rows",
                              (long long)c->kept[i]);
    return MPIVF_OK;
}

static mpivf_status
pass_all(struct checking *c, uint64_t part, struct mpivf_progress *progress)
{
    mpivf_status status = MPIVF_OK;
    c->count = 0;
    for (uint64_t row = 0; row < c->ids->rows && status == MPIVF_OK;) {
        uint64_t first = row;
        for (int i = 0; i < ROUND_PIECES && row < c->ids->rows; i++, row += PIECE_ROWS) {
            mpivf_status now = keep_piece_each(c, row, part);
            status = status ? status : now; /* a failed rank reads along to the agreement */
        }
        bool more;
        row = row < c->ids->rows ? row : c->ids->rows;
        uint64_t done = c->par->rank == 0 ? row - first : 0;
        status = mpivf_round_all(progress, status, done, false, &more);
    }
    THEN(status, mpivf_agree_all(c->par, find_double(c)));
    return status;
}

mpivf_status
mpivf_ids_check_all(const struct mpivf_par *par, struct mpivf_source *ids,
                    struct mpivf_report *report)
{
    struct checking c = {.par = par, .ids = ids};
    struct mpivf_progress progress;
    uint64_t read_before = ids->bytes_read;
    mpivf_phase_begin(&progress, par, report, "ids", "rows", ids->rows);
    mpivf_status status = checking_init_all(&c);
    for (uint64_t part = (uint64_t)par->rank; status == MPIVF_OK && part < c.parts;
         part += (uint64_t)par->size)
        status = pass_all(&c, part, &progress);
    mpivf_free(par->ctx, c.kept);
    mpivf_free(par->ctx, c.piece);
    progress.phase->rows = ids->rows;
    progress.phase->bytes_read = ids->bytes_read - read_before;
    mpivf_phase_end(&progress);
    return status;
}
