#include "source/bucket.h"

#include "base/compare.h"

enum {
    MAX_BATCH = 8 << 20,
    MAX_PIECE = 4 << 20,
    MIN_BUFFER = 64 << 10,   /* shorter writes to all over the file are what a shuffle avoids */
    MAX_BUFFER = 1 << 20,    /* and longer ones gain little */
    BUCKET_USUAL = 64 << 20, /* small beside the page cache: what is ordered next is still there */
    ID_SLOTS = 512,          /* a page of ids */
    PAGE = 4096,
    LONG = 16,       /* pages in a bucket that loses little when cut at one */
    FIXED = 64 << 10 /* heads of allocations and small things */
};
static const size_t NO_LIMIT = (size_t)4 << 30; /* the buffers of a run without a budget */

/* Per row, beside its bytes: its bucket; its id and where it lies; its id again. */
enum {
    BATCH_EXTRA = sizeof(uint32_t),
    BUCKET_EXTRA = sizeof(int64_t) + sizeof(uint32_t),
    PIECE_EXTRA = sizeof(int64_t)
};
/* Per bucket: next place and fill, of rows and of ids. */
enum { BOOK = 2 * (sizeof(int64_t) + sizeof(uint32_t)) };

/* What a budget comes to. */
struct room {
    size_t batch_rows, piece_rows;
    uint64_t fit;   /* rows of the largest bucket that can be put in order */
    size_t buffers; /* bytes for the buffers of all buckets */
};

static uint64_t
ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b > 0);
}

/* Rows after which rows and ids of the file both start on a page. */
static uint64_t
page_rows(size_t row_bytes)
{
    return PAGE / mpivf_smaller(row_bytes & -row_bytes, sizeof(int64_t));
}

static struct room
divide(size_t row_bytes, size_t left)
{
    struct room room = {.fit = 0};
    size_t all = left > FIXED ? left - FIXED : 0;
    room.batch_rows =
        mpivf_larger(1, mpivf_smaller(all / 8, MAX_BATCH) / (row_bytes + BATCH_EXTRA));
    room.piece_rows =
        mpivf_larger(1, mpivf_smaller(all / 8, MAX_PIECE) / (row_bytes + PIECE_EXTRA));
    size_t batch = room.batch_rows * (row_bytes + BATCH_EXTRA);
    size_t piece = room.piece_rows * (row_bytes + PIECE_EXTRA);
    if (all > piece)
        room.fit = mpivf_smaller((all - piece) / (row_bytes + BUCKET_EXTRA), UINT32_MAX - 1);
    if (room.fit > LONG * page_rows(row_bytes))
        room.fit -= room.fit % page_rows(row_bytes);
    room.buffers = all > batch ? all - batch : 0;
    return room;
}

/* How many buckets may have buffers of so many bytes, or of a row where that is more. */
static uint64_t
buckets_of(const struct room *room, size_t row_bytes, size_t buffer)
{
    return room->buffers / (mpivf_larger(buffer, row_bytes) + ID_SLOTS * sizeof(int64_t) + BOOK);
}

static bool
two_passes_do(uint64_t total, size_t row_bytes, size_t left)
{
    struct room room = divide(row_bytes, left);
    return room.fit > 0 && ceil_div(total, room.fit) <= buckets_of(&room, row_bytes, MIN_BUFFER);
}

/*
 * As many as memory asks for at least; more so that each is small and every rank has as many,
 * while buffers stay long enough.
 */
static uint64_t
choose_count(const struct room *room, uint64_t total, size_t row_bytes, uint64_t ranks)
{
    uint64_t min = ceil_div(total, room->fit);
    uint64_t good = buckets_of(room, row_bytes, MAX_BUFFER);
    uint64_t usual = ceil_div(total, mpivf_larger(1, BUCKET_USUAL / row_bytes));
    uint64_t count = mpivf_larger(min, mpivf_smaller(usual, good)),
             even = ceil_div(count, ranks) * ranks;
    return even <= buckets_of(room, row_bytes, MIN_BUFFER) ? even : count;
}

static void
choose_slots(struct mpivf_buckets *b, const struct room *room)
{
    size_t ids = ID_SLOTS * sizeof(int64_t), both = b->row_bytes + sizeof(int64_t);
    size_t bytes = room->buffers / b->count - BOOK;
    bytes = mpivf_smaller(bytes, mpivf_larger(MAX_BUFFER, b->row_bytes + ids));
    b->row_slots = b->id_slots = bytes / both;
    if (b->id_slots < ID_SLOTS) { /* ids of few rows are too short a write */
        b->id_slots = ID_SLOTS;
        b->row_slots = (bytes - ids) / b->row_bytes;
    }
}

mpivf_status
mpivf_bucket_plan(struct mpivf_context *ctx, uint64_t total, size_t row_bytes, size_t left,
                  int ranks, struct mpivf_buckets *buckets)
{
    left = left == SIZE_MAX ? NO_LIMIT : left;
    if (!two_passes_do(total, row_bytes, left)) {
        size_t need = left;
        while (!two_passes_do(total, row_bytes, need))
            need += need / 64 + 1024;
        return mpivf_memory_short(ctx, "shuffling in two passes", need, NULL);
    }
    struct room room = divide(row_bytes, left);
    uint64_t count = choose_count(&room, total, row_bytes, (uint64_t)ranks);
    struct mpivf_buckets b = {.total = total,
                              .row_bytes = row_bytes,
                              .batch_rows = mpivf_smaller(room.batch_rows, total),
                              .piece_rows = mpivf_smaller(room.piece_rows, total)};
    uint64_t page = page_rows(row_bytes);
    b.rows = ceil_div(total, count);
    if (b.rows > LONG * page) /* long buckets start on pages: no two ranks write to one */
        b.rows = ceil_div(b.rows, page) * page;
    b.count = ceil_div(total, b.rows);
    choose_slots(&b, &room);
    *buckets = b;
    return MPIVF_OK;
}
