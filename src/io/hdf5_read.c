#include "io/hdf5_reader.h"

#include "base/fault.h"
#include "base/then.h"

#include <string.h>

/* ---- reading ---- */

/* Which chunks of a failed transfer cannot be read. */
static mpivf_status
find_failure(struct mpivf_h5_reader *r, const struct mpivf_h5_slot *slot,
             const struct mpivf_h5_rectangle *part, char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    struct mpivf_h5_rectangle one = *part;
    uint64_t end = part->row + part->rows;
    for (one.row = part->row; leaf->whole && one.row < end; one.row += one.rows) {
        uint64_t next = (one.row / leaf->chunk_rows + 1) * leaf->chunk_rows;
        one.rows = (next < end ? next : end) - one.row;
        if (mpivf_h5_chunk_transfer(&slot->open, &one, data, stride) < 0)
            return mpivf_h5_slot_fail(r, slot, &one);
    }
    mpivf_h5_chunk_transfer(&slot->open, part, data, stride);
    return mpivf_h5_slot_fail(r, slot, part);
}

/* A part of a leaf, in transfers of a bounded number of chunks. */
static mpivf_status
read_part(struct mpivf_h5_reader *r, const struct mpivf_h5_slot *slot,
          const struct mpivf_h5_rectangle *part, char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    uint64_t rows, columns, row_end = part->row + part->rows,
                            column_end = part->column + part->columns;
    mpivf_h5_chunk_step(leaf, r->element, &rows, &columns);
    struct mpivf_h5_rectangle step;
    for (step.row = part->row; step.row < row_end; step.row += step.rows) {
        uint64_t next = (step.row / rows + 1) * rows;
        step.rows = (next < row_end ? next : row_end) - step.row;
        for (step.column = part->column; step.column < column_end; step.column += step.columns) {
            uint64_t across = (step.column / columns + 1) * columns;
            step.columns = (across < column_end ? across : column_end) - step.column;
            char *to =
                data + ((step.row - part->row) * stride + step.column - part->column) * r->element;
            if (mpivf_h5_chunk_transfer(&slot->open, &step, to, stride) < 0)
                return find_failure(r, slot, &step, to, stride);
        }
    }
    return MPIVF_OK;
}

/* Rows of one band of chunks, by way of the buffer, which keeps all of the band. */
static mpivf_status
read_from_band(struct mpivf_h5_reader *r, struct mpivf_h5_slot *slot,
               const struct mpivf_h5_rectangle *part, char *data, uint64_t stride)
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
read_whole_chunks(struct mpivf_h5_reader *r, struct mpivf_h5_slot *slot,
                  const struct mpivf_h5_rectangle *part, char *data, uint64_t stride)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    uint64_t end = part->row + part->rows, chunk = leaf->chunk_rows;
    mpivf_status status = MPIVF_OK;
    struct mpivf_h5_rectangle some = *part;
    for (some.row = part->row; some.row < end && status == MPIVF_OK; some.row += some.rows) {
        char *to = data + (some.row - part->row) * stride * r->element;
        uint64_t next = (some.row / chunk + 1) * chunk,
                 last = end == leaf->rows ? end : end / chunk * chunk;
        bool covered = some.row % chunk == 0 && last > some.row && slot->band_row != some.row;
        some.rows = covered ? last - some.row : (next < end ? next : end) - some.row;
        status = covered ? read_part(r, slot, &some, to, stride)
                         : read_from_band(r, slot, &some, to, stride);
    }
    return status;
}

static mpivf_status
read_leaf(struct mpivf_h5_reader *r, int64_t leaf, const struct mpivf_h5_rectangle *part,
          char *data, uint64_t stride)
{
    struct mpivf_h5_slot *slot;
    mpivf_status status = mpivf_h5_slot_find(r, leaf, &slot);
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
    for (uint64_t i = first_piece(layout, range.row); i < layout->pieces && status == MPIVF_OK;
         i++) {
        if (layout->ascending && layout->piece[i].row >= range.row + range.rows)
            break;
        status = read_piece(r, &layout->piece[i], range, data);
    }
    return status;
}

/* ---- the reader ---- */

static mpivf_status
reader_init(struct mpivf_h5_reader *r, struct mpivf_context *ctx,
            const struct mpivf_h5_layout *layout, hid_t type, uint64_t columns)
{
    r->ctx = ctx;
    r->layout = layout;
    r->type = type;
    r->element = H5Tget_size(type);
    r->columns = columns;
    r->transfer = H5Pcreate(H5P_DATASET_XFER);
    for (int i = 0; i < MPIVF_H5_SLOTS; i++)
        r->slot[i] = (struct mpivf_h5_slot){
            .file = -1, .dataset = -1, .raw = {.fd = -1}, .band_row = UINT64_MAX};
    return mpivf_h5_slot_memory(r);
}

static void
reader_clear(struct mpivf_h5_reader *r)
{
    for (int i = 0; i < r->slots; i++) {
        mpivf_h5_slot_close(&r->slot[i]);
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
    if (status == MPIVF_OK && mpivf_fault(r->ctx, MPIVF_FAULT_HDF5_OPEN))
        status = mpivf_h5_fail(r->ctx, MPIVF_IO, "cannot open '%s'", r->layout->name);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    r->par = par;
    H5Pset_dxpl_mpio(r->transfer, H5FD_MPIO_COLLECTIVE);
    return mpivf_h5_slot_open(r, &r->slot[0], &r->layout->leaf[0]);
}

mpivf_status
mpivf_h5_open_all(const struct mpivf_par *par, const struct mpivf_matrix *matrix,
                  const struct mpivf_h5_layout *layout, bool collective,
                  struct mpivf_h5_reader **reader)
{
    struct mpivf_context *ctx = par->ctx;
    mpivf_h5_quiet();
    struct mpivf_h5_reader *r = mpivf_alloc_zero(ctx, "an HDF5 reader", 1, sizeof *r);
    mpivf_status status = MPIVF_MEMORY;
    if (r)
        status = reader_init(r, ctx, layout, mpivf_h5_type_of(matrix->type, matrix->swapped),
                             matrix->dim);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK && collective)
        status = open_together_all(r, par);
    else if (status == MPIVF_OK && layout->leaves == 1)
        status = mpivf_h5_slot_open(r, &r->slot[0], &layout->leaf[0]);
    status = mpivf_agree_all(par, status);
    if (status)
        mpivf_h5_close_all(ctx, &r);
    else
        *reader = r;
    return status;
}

mpivf_status
mpivf_h5_read_each(struct mpivf_context *ctx, struct mpivf_h5_reader *reader,
                   const struct mpivf_range *range, size_t ranges, void *data)
{
    mpivf_h5_quiet(); /* an HDF5 with threads keeps that for each of them */
    mpivf_status status = MPIVF_OK;
    if (reader->par)
        status = mpivf_h5_together_read_each(reader, range, ranges, data);
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
                    uint64_t columns, struct mpivf_range rows, void *data)
{
    struct mpivf_h5_reader *r = mpivf_alloc_zero(ctx, "an HDF5 reader", 1, sizeof *r);
    if (r == NULL)
        return MPIVF_MEMORY;
    mpivf_status status = reader_init(r, ctx, layout, H5Tcopy(type), columns);
    THEN(status, mpivf_h5_read_each(ctx, r, &rows, rows.rows > 0, data));
    mpivf_h5_close_all(ctx, &r);
    return status;
}
