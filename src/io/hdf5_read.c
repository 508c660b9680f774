#include "io/hdf5_internal.h"

#include "base/fault.h"

#include <string.h>

enum { SLOTS = 8 }; /* leaves that are open at a time, at most */

/* A leaf that is open. */
struct slot {
    struct mpivf_h5_open open; /* leaf NULL: nothing is */
    hid_t file, dataset;       /* owned; -1 = not open */
    struct mpivf_file raw;     /* owned; of a direct one */
    char *band;                /* owned; room for the chunks that a row lies in, or NULL */
    uint64_t band_row;         /* the first row of those at hand; UINT64_MAX = none */
    uint64_t used;             /* when */
};

struct mpivf_h5_reader {
    struct mpivf_context *ctx;             /* not owned, and so are the next two */
    const struct mpivf_par *par;           /* NULL unless collective */
    const struct mpivf_h5_layout *layout;
    uint64_t columns;
    size_t element;
    hid_t type, transfer;                  /* owned */
    size_t reserved;                       /* of the budget, for HDF5's own memory */
    uint64_t clock;
    int slots;
    struct slot slot[SLOTS];
};

/* ---- memory ---- */

/* How many pieces a row lies in, at most, up to SLOTS. */
static int
pieces_across(const struct mpivf_h5_layout *layout)
{
    uint64_t most = 1;
    if (!layout->ascending)
        return layout->leaves < SLOTS ? (int)layout->leaves : SLOTS;
    for (uint64_t first = 0, i = 0; i < layout->pieces && most < SLOTS; i++) {
        while (layout->piece[first].row + layout->piece[first].rows <= layout->piece[i].row)
            first++;
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    return (int)most;
}

/* What the leaf that takes most takes: HDF5's memory, and the chunks of a row. */
static const struct mpivf_h5_leaf *
measure(const struct mpivf_h5_layout *layout, size_t element, uint64_t *held, uint64_t *band)
{
    const struct mpivf_h5_leaf *worst = NULL;
    *held = *band = 0;
    for (uint64_t i = 0; i < layout->leaves; i++) {
        const struct mpivf_h5_leaf *leaf = &layout->leaf[i];
        uint64_t mine = mpivf_h5_chunk_memory(leaf, element);
        uint64_t chunks = leaf->whole ? mpivf_h5_layout_band(leaf, element) : 0;
        if (worst == NULL || mine > *held || chunks > *band)
            worst = leaf;
        *held = mine > *held ? mine : *held;
        *band = chunks > *band ? chunks : *band;
    }
    *held += 3 * layout->hidden_chunk;
    return worst;
}

static mpivf_status
take_memory(struct mpivf_h5_reader *r)
{
    struct mpivf_context *ctx = r->ctx;
    uint64_t held, band, need, left = mpivf_memory_left(ctx);
    const struct mpivf_h5_leaf *worst = measure(r->layout, r->element, &held, &band);
    if (held == 0 && band == 0)
        return MPIVF_OK;
    if (__builtin_mul_overflow(band + 4096, (uint64_t)r->slots, &need) ||
        __builtin_add_overflow(need, held, &need) || need > left) {
        const char *object = r->layout->name + worst->object;
        return mpivf_fail(ctx, MPIVF_MEMORY, "reading the chunks of '%s:%s' needs %.1f MiB of buffers, "
                          "%.1f MiB are left; raise --memory by %.0f MiB or rewrite with h5repack -l "
                          "%s:CHUNK=1000x%llu", r->layout->name + worst->path, object,
                          (double)need / 1048576, (double)left / 1048576,
                          (double)((need - left) / 1048576 + 1), object,
                          (unsigned long long)worst->columns);
    }
    mpivf_status status = mpivf_memory_reserve(ctx, "HDF5", held);
    r->reserved = status == MPIVF_OK ? held : 0;
    for (int i = 0; i < r->slots && band > 0 && status == MPIVF_OK; i++) {
        r->slot[i].band = mpivf_alloc(ctx, "a band of chunks", band, 1);
        status = r->slot[i].band ? MPIVF_OK : MPIVF_MEMORY;
    }
    return status;
}

/* ---- slots ---- */

static void
close_slot(struct slot *slot)
{
    if (slot->dataset >= 0)
        H5Dclose(slot->dataset);
    if (slot->file >= 0)
        H5Fclose(slot->file);
    mpivf_file_drop(&slot->raw);
    slot->dataset = slot->file = -1;
    slot->open.leaf = NULL;
    slot->band_row = UINT64_MAX;
}

/* Open a leaf in a slot: its bytes, or by HDF5. */
static mpivf_status
open_slot(struct mpivf_h5_reader *r, struct slot *slot, const struct mpivf_h5_leaf *leaf)
{
    struct mpivf_context *ctx = r->ctx;
    const char *path = r->layout->name + leaf->path, *object = r->layout->name + leaf->object;
    close_slot(slot);
    mpivf_status status = MPIVF_OK;
    if (leaf->direct && r->par == NULL)
        status = mpivf_file_open(ctx, r->layout->name + leaf->holder, &slot->raw);
    if (status)
        return status;
    hid_t access = mpivf_h5_file_access();
    hid_t how = mpivf_h5_dataset_access(mpivf_h5_chunk_cache(leaf, r->element));
    if (r->par)
        H5Pset_fapl_mpio(access, r->par->comm, MPI_INFO_NULL);
    slot->file = mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN) ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    if (slot->file >= 0)
        slot->dataset = H5Dopen2(slot->file, object, how);
    if (slot->dataset < 0)
        status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot open '%s:%s'", path, object);
    H5Pclose(how);
    H5Pclose(access);
    if (status == MPIVF_OK)
        slot->open = (struct mpivf_h5_open){leaf, slot->dataset, r->type, r->transfer, r->element};
    return status;
}

/* The slot of a leaf; the one longest unused gives way. */
static mpivf_status
find_slot(struct mpivf_h5_reader *r, int64_t leaf, struct slot **found)
{
    const struct mpivf_h5_leaf *wanted = &r->layout->leaf[leaf];
    struct slot *oldest = &r->slot[0];
    for (int i = 0; i < r->slots; i++) {
        struct slot *slot = &r->slot[i];
        if (slot->open.leaf == wanted || slot->used < oldest->used)
            oldest = slot;
        if (slot->open.leaf == wanted)
            break;
    }
    *found = oldest;
    oldest->used = ++r->clock;
    return oldest->open.leaf == wanted ? MPIVF_OK : open_slot(r, oldest, wanted);
}

/* ---- reading ---- */

static mpivf_status
fail_rows(struct mpivf_h5_reader *r, const struct slot *slot, const struct mpivf_h5_rectangle *part)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    return mpivf_h5_fail(r->ctx, MPIVF_IO, "cannot read rows %llu..%llu of '%s:%s'",
                         (unsigned long long)part->row,
                         (unsigned long long)(part->row + part->rows - 1),
                         r->layout->name + leaf->path, r->layout->name + leaf->object);
}

/* Which chunks of a failed transfer cannot be read. */
static mpivf_status
find_failure(struct mpivf_h5_reader *r, const struct slot *slot,
             const struct mpivf_h5_rectangle *part, char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    struct mpivf_h5_rectangle one = *part;
    uint64_t end = part->row + part->rows;
    for (one.row = part->row; leaf->whole && one.row < end; one.row += one.rows) {
        uint64_t next = (one.row / leaf->chunk_rows + 1) * leaf->chunk_rows;
        one.rows = (next < end ? next : end) - one.row;
        if (mpivf_h5_chunk_transfer(&slot->open, &one, data, stride) < 0)
            return fail_rows(r, slot, &one);
    }
    mpivf_h5_chunk_transfer(&slot->open, part, data, stride);
    return fail_rows(r, slot, part);
}

/* A part of a leaf, in transfers of a bounded number of chunks. */
static mpivf_status
read_part(struct mpivf_h5_reader *r, const struct slot *slot, const struct mpivf_h5_rectangle *part,
          char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    uint64_t rows, columns, row_end = part->row + part->rows, column_end = part->column + part->columns;
    mpivf_h5_chunk_step(leaf, r->element, &rows, &columns);
    struct mpivf_h5_rectangle step;
    for (step.row = part->row; step.row < row_end; step.row += step.rows) {
        uint64_t next = (step.row / rows + 1) * rows;
        step.rows = (next < row_end ? next : row_end) - step.row;
        for (step.column = part->column; step.column < column_end; step.column += step.columns) {
            uint64_t across = (step.column / columns + 1) * columns;
            step.columns = (across < column_end ? across : column_end) - step.column;
            char *to = data + ((step.row - part->row) * stride + step.column - part->column) * r->element;
            if (mpivf_h5_chunk_transfer(&slot->open, &step, to, stride) < 0)
                return find_failure(r, slot, &step, to, stride);
        }
    }
    return MPIVF_OK;
}

/* Rows of one band of chunks, by way of the buffer, which keeps all of the band. */
static mpivf_status
read_from_band(struct mpivf_h5_reader *r, struct slot *slot, const struct mpivf_h5_rectangle *part,
               char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    uint64_t first = part->row / leaf->chunk_rows * leaf->chunk_rows, left = leaf->rows - first;
    uint64_t rows = left < leaf->chunk_rows ? left : leaf->chunk_rows;
    struct mpivf_h5_rectangle band = {first, rows, 0, leaf->columns};
    if (slot->band_row != first) {
        slot->band_row = UINT64_MAX;
        mpivf_status status = read_part(r, slot, &band, slot->band, leaf->columns);
        if (status)
            return status;
        slot->band_row = first;
    }
    for (uint64_t i = 0; i < part->rows; i++)
        memcpy(data + i * stride * r->element,
               slot->band + ((part->row - first + i) * leaf->columns + part->column) * r->element,
               part->columns * r->element);
    return MPIVF_OK;
}

/* Chunks that are covered go where they belong at once, others by way of the buffer. */
static mpivf_status
read_whole_chunks(struct mpivf_h5_reader *r, struct slot *slot, const struct mpivf_h5_rectangle *part,
                  char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    uint64_t end = part->row + part->rows, chunk = leaf->chunk_rows;
    mpivf_status status = MPIVF_OK;
    struct mpivf_h5_rectangle some = *part;
    for (some.row = part->row; some.row < end && status == MPIVF_OK; some.row += some.rows) {
        char *to = data + (some.row - part->row) * stride * r->element;
        uint64_t next = (some.row / chunk + 1) * chunk, last = end == leaf->rows ? end : end / chunk * chunk;
        bool covered = some.row % chunk == 0 && last > some.row && slot->band_row != some.row;
        some.rows = covered ? last - some.row : (next < end ? next : end) - some.row;
        status = covered ? read_part(r, slot, &some, to, stride)
                         : read_from_band(r, slot, &some, to, stride);
    }
    return status;
}

static mpivf_status
read_leaf(struct mpivf_h5_reader *r, int64_t leaf, const struct mpivf_h5_rectangle *part, char *data,
          uint64_t stride)
{
    struct slot *slot;
    mpivf_status status = find_slot(r, leaf, &slot);
    if (status)
        return status;
    const struct mpivf_h5_leaf *l = slot->open.leaf;
    if (l->direct && (part->rows == 1 || (part->columns == l->columns && stride == l->columns)))
        return mpivf_file_read(r->ctx, &slot->raw, data, part->rows * part->columns * r->element,
                               l->offset + (part->row * l->columns + part->column) * r->element);
    return l->whole ? read_whole_chunks(r, slot, part, data, stride)
                    : read_part(r, slot, part, data, stride);
}

static void
fill(const struct mpivf_h5_reader *r, const struct mpivf_h5_piece *piece, uint64_t rows, char *data)
{
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t c = 0; c < piece->columns; c++)
            memcpy(data + (i * r->columns + c) * r->element, piece->fill, r->element);
}

/* What a piece gives of a range of rows. */
static mpivf_status
read_piece(struct mpivf_h5_reader *r, const struct mpivf_h5_piece *piece, struct mpivf_range range,
           char *data)
{
    uint64_t row = piece->row > range.row ? piece->row : range.row;
    uint64_t piece_end = piece->row + piece->rows, end = range.row + range.rows;
    end = end < piece_end ? end : piece_end;
    if (row >= end)
        return MPIVF_OK;
    char *to = data + ((row - range.row) * r->columns + piece->column) * r->element;
    if (piece->leaf == MPIVF_H5_NOWHERE) {
        fill(r, piece, end - row, to);
        return MPIVF_OK;
    }
    struct mpivf_h5_rectangle part = {piece->from_row + (row - piece->row), end - row,
                                      piece->from_column, piece->columns};
    return read_leaf(r, piece->leaf, &part, to, r->columns);
}

/* The first piece that may have rows from `row` on: by halving where they ascend. */
static uint64_t
first_piece(const struct mpivf_h5_layout *layout, uint64_t row)
{
    uint64_t low = 0, high = layout->ascending ? layout->pieces : 0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (layout->piece[middle].row + layout->piece[middle].rows <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mpivf_status
read_range(struct mpivf_h5_reader *r, struct mpivf_range range, char *data)
{
    const struct mpivf_h5_layout *layout = r->layout;
    mpivf_status status = MPIVF_OK;
    for (uint64_t i = first_piece(layout, range.row); i < layout->pieces && status == MPIVF_OK; i++) {
        if (layout->ascending && layout->piece[i].row >= range.row + range.rows)
            break;
        status = read_piece(r, &layout->piece[i], range, data);
    }
    return status;
}

/* ---- reading together ---- */

/* Walks the transfers of a list of ranges. */
struct walk {
    const struct mpivf_range *range;
    size_t ranges;
    uint64_t row, column; /* of the first range, and across it */
    char *data;
};

/* The next transfer; false at the end. */
static bool
next_transfer(const struct mpivf_h5_reader *r, struct walk *w, struct mpivf_h5_rectangle *part,
              char **to)
{
    uint64_t rows, columns;
    mpivf_h5_chunk_step(r->slot[0].open.leaf, r->element, &rows, &columns);
    if (w->ranges == 0)
        return false;
    uint64_t row = w->range->row + w->row, left = w->range->rows - w->row;
    uint64_t border = (row / rows + 1) * rows - row, across = r->columns - w->column;
    *part = (struct mpivf_h5_rectangle){row, left < border ? left : border, w->column,
                                        across < columns ? across : columns};
    *to = w->data + w->column * r->element;
    w->column += part->columns;
    if (w->column < r->columns)
        return true;
    w->column = 0;
    w->row += part->rows;
    w->data += part->rows * r->columns * r->element;
    if (w->row == w->range->rows) {
        w->range++;
        w->ranges--;
        w->row = 0;
    }
    return true;
}

/* All ranks do as many transfers as the one that has most; some without a row. */
static mpivf_status
read_together_all(struct mpivf_h5_reader *r, const struct mpivf_range *range, size_t ranges,
                  char *data)
{
    struct walk w = {.range = range, .ranges = ranges, .data = data}, count = w;
    struct mpivf_h5_rectangle part;
    const struct slot *slot = &r->slot[0];
    mpivf_status status = MPIVF_OK;
    uint64_t transfers = 0;
    char *to;
    while (next_transfer(r, &count, &part, &to))
        transfers++;
    transfers = mpivf_max_u64_all(r->par, transfers);
    for (uint64_t i = 0; i < transfers; i++) {
        bool some = next_transfer(r, &w, &part, &to);
        char nothing;
        herr_t result = mpivf_h5_chunk_transfer(&slot->open, some ? &part : NULL, some ? to : &nothing,
                                                r->columns);
        if (result < 0 && status == MPIVF_OK)
            status = some ? fail_rows(r, slot, &part)
                          : mpivf_h5_fail(r->ctx, MPIVF_IO, "cannot read with the other ranks");
    }
    return status;
}

/* ---- the reader ---- */

static mpivf_status
reader_init(struct mpivf_h5_reader *r, struct mpivf_context *ctx, const struct mpivf_h5_layout *layout,
            hid_t type, uint64_t columns)
{
    r->ctx = ctx;
    r->layout = layout;
    r->type = type;
    r->element = H5Tget_size(type);
    r->columns = columns;
    r->transfer = H5Pcreate(H5P_DATASET_XFER);
    r->slots = pieces_across(layout);
    for (int i = 0; i < SLOTS; i++)
        r->slot[i] = (struct slot){.file = -1, .dataset = -1, .raw = {.fd = -1}, .band_row = UINT64_MAX};
    return take_memory(r);
}

static void
reader_clear(struct mpivf_h5_reader *r)
{
    for (int i = 0; i < r->slots; i++) {
        close_slot(&r->slot[i]);
        mpivf_free(r->ctx, r->slot[i].band);
    }
    H5Pclose(r->transfer);
    H5Tclose(r->type);
    mpivf_memory_release(r->ctx, r->reserved);
}

/* Open by all ranks together; a rank that cannot may not be missing. */
static mpivf_status
open_together_all(struct mpivf_h5_reader *r, const struct mpivf_par *par)
{
    struct mpivf_file probe = {.fd = -1};
    mpivf_status status = mpivf_file_open(r->ctx, r->layout->name, &probe);
    mpivf_file_drop(&probe);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    r->par = par;
    H5Pset_dxpl_mpio(r->transfer, H5FD_MPIO_COLLECTIVE);
    return open_slot(r, &r->slot[0], &r->layout->leaf[0]);
}

mpivf_status
mpivf_h5_open_all(const struct mpivf_par *par, const struct mpivf_h5_shape *shape,
                  const struct mpivf_h5_layout *layout, bool collective,
                  struct mpivf_h5_reader **reader)
{
    struct mpivf_context *ctx = par->ctx;
    mpivf_h5_quiet();
    struct mpivf_h5_reader *r = mpivf_alloc_zero(ctx, "an HDF5 reader", 1, sizeof *r);
    mpivf_status status = MPIVF_MEMORY;
    if (r)
        status = reader_init(r, ctx, layout, mpivf_h5_type_of(shape->type, shape->swapped), shape->dim);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK && collective)
        status = open_together_all(r, par);
    else if (status == MPIVF_OK && layout->leaves == 1)
        status = open_slot(r, &r->slot[0], &layout->leaf[0]);
    status = mpivf_agree_all(par, status);
    if (status)
        mpivf_h5_close_all(ctx, &r);
    else
        *reader = r;
    return status;
}

mpivf_status
mpivf_h5_read_all(struct mpivf_context *ctx, struct mpivf_h5_reader *reader,
                  const struct mpivf_range *range, size_t ranges, void *data)
{
    mpivf_h5_quiet(); /* an HDF5 with threads keeps that for each of them */
    mpivf_status status = MPIVF_OK;
    if (reader->par)
        status = read_together_all(reader, range, ranges, data);
    char *to = data;
    for (size_t i = 0; i < ranges && reader->par == NULL && status == MPIVF_OK; i++) {
        status = read_range(reader, range[i], to);
        to += range[i].rows * reader->columns * reader->element;
    }
    if (status == MPIVF_OK && ranges > 0 && mpivf_fault(ctx, MPIVF_FAULT_HDF5_READ))
        status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot read '%s'", reader->layout->name);
    return status;
}

void
mpivf_h5_close_all(struct mpivf_context *ctx, struct mpivf_h5_reader **reader)
{
    struct mpivf_h5_reader *r = *reader;
    *reader = NULL;
    if (r == NULL)
        return;
    reader_clear(r);
    mpivf_free(ctx, r);
}

mpivf_status
mpivf_h5_read_local(struct mpivf_context *ctx, const struct mpivf_h5_layout *layout, hid_t type,
                    uint64_t rows, uint64_t columns, void *data)
{
    struct mpivf_h5_reader *r = mpivf_alloc_zero(ctx, "an HDF5 reader", 1, sizeof *r);
    if (r == NULL)
        return MPIVF_MEMORY;
    mpivf_status status = reader_init(r, ctx, layout, H5Tcopy(type), columns);
    struct mpivf_range all = {0, rows};
    if (status == MPIVF_OK)
        status = mpivf_h5_read_all(ctx, r, &all, rows > 0, data);
    mpivf_h5_close_all(ctx, &r);
    return status;
}
