#include "base/then.h"
#include "io/hdf5_internal.h"

/* Does the chunk that begins here exist? Negative on failure. */
static int
chunk_exists(hid_t dataset, const struct mpivf_h5_leaf *leaf, hsize_t row, hsize_t column)
{
    hsize_t offset[2] = {leaf->lying ? column : row, column}, bytes = 0;
    /* in HDF5 1.10 it fails for a chunk that is not there, with the same error as for damage */
    herr_t result = H5Dget_chunk_storage_size(dataset, offset, &bytes);
    return result >= 0 && bytes > 0;
}

/* From the row to the end of its chunks. */
static mpivf_status
look_at_band(hid_t dataset, const struct mpivf_h5_leaf *leaf, const struct mpivf_h5_rectangle *part,
             hsize_t row, hsize_t end, mpivf_h5_visit_rows visit, void *arg)
{
    hsize_t chunk = row / leaf->chunk_rows * leaf->chunk_rows;
    hsize_t column = part->column / leaf->chunk_columns * leaf->chunk_columns;
    for (; column < part->column + part->columns; column += leaf->chunk_columns)
        if (!chunk_exists(dataset, leaf, chunk, column))
            return visit(arg, row, end - row);
    return MPIVF_OK;
}

mpivf_status
mpivf_h5_unwritten_chunks(struct mpivf_context *ctx, hid_t dataset,
                          const struct mpivf_h5_leaf *leaf, const struct mpivf_h5_rectangle *part,
                          mpivf_h5_visit_rows visit, void *arg)
{
    H5D_space_status_t allocated = H5D_SPACE_STATUS_ALLOCATED;
    if (H5Dget_space_status(dataset, &allocated) < 0)
        return mpivf_h5_fail(ctx, MPIVF_CORRUPT, "cannot tell how much of a dataset was written");
    if (allocated == H5D_SPACE_STATUS_ALLOCATED)
        return MPIVF_OK;
    if (leaf->chunk_rows == 0 || allocated == H5D_SPACE_STATUS_NOT_ALLOCATED)
        return visit(arg, part->row, part->rows);
    mpivf_status status = MPIVF_OK;
    hsize_t last = part->row + part->rows;
    for (hsize_t row = part->row, end; row < last && status == MPIVF_OK; row = end) {
        end = (row / leaf->chunk_rows + 1) * leaf->chunk_rows;
        end = end < last ? end : last;
        status = look_at_band(dataset, leaf, part, row, end, visit, arg);
    }
    H5Eclear2(H5E_DEFAULT);
    return status;
}

void
mpivf_h5_cover_begin(struct mpivf_h5_cover *cover, hid_t dataset)
{
    hsize_t dim[2] = {0, 1};
    cover->space = H5Dget_space(dataset);
    H5Sget_simple_extent_dims(cover->space, dim, NULL);
    cover->rows = dim[0];
    cover->columns = dim[1];
    H5Sselect_none(cover->space);
}

void
mpivf_h5_cover_end(struct mpivf_h5_cover *cover)
{
    H5Sclose(cover->space);
}

/* A selection that is no box, block by block; one without an end covers all. */
static herr_t
add_blocks(hid_t space, hid_t selection)
{
    hssize_t blocks = H5Sget_select_hyper_nblocks(selection);
    if (blocks < 0)
        return H5Sselect_all(space);
    for (hssize_t i = 0; i < blocks; i++) {
        hsize_t corner[2 * H5S_MAX_RANK], count[H5S_MAX_RANK];
        int dims = H5Sget_simple_extent_ndims(selection);
        if (H5Sget_select_hyper_blocklist(selection, (hsize_t)i, 1, corner) < 0)
            return -1;
        for (int d = 0; d < dims; d++)
            count[d] = corner[dims + d] - corner[d] + 1;
        if (H5Sselect_hyperslab(space, H5S_SELECT_OR, corner, NULL, count, NULL) < 0)
            return -1;
    }
    return 0;
}

mpivf_status
mpivf_h5_cover_add(struct mpivf_context *ctx, struct mpivf_h5_cover *cover,
                   const struct mpivf_h5_mapping *mapping)
{
    hsize_t start[2] = {mapping->row, mapping->column},
            count[2] = {mapping->rows, mapping->columns};
    herr_t result = 0;
    if (!mapping->simple)
        result = add_blocks(cover->space, mapping->space);
    else if (mapping->rows > 0 && mapping->columns > 0)
        result = H5Sselect_hyperslab(cover->space, H5S_SELECT_OR, start, NULL, count, NULL);
    return result < 0
               ? mpivf_h5_fail(ctx, MPIVF_IO, "cannot join the mappings of a virtual dataset")
               : MPIVF_OK;
}

/* How many elements of these rows are covered; negative on failure. */
static hssize_t
covered(const struct mpivf_h5_cover *cover, hsize_t row, hsize_t rows)
{
    hsize_t start[2] = {row, 0}, count[2] = {rows, cover->columns};
    hid_t part = H5Scopy(cover->space);
    hssize_t n = -1;
    if (H5Sget_select_npoints(part) == 0)
        n = 0;
    else if (H5Sselect_hyperslab(part, H5S_SELECT_AND, start, NULL, count, NULL) >= 0)
        n = H5Sget_select_npoints(part);
    H5Sclose(part);
    return n;
}

/* Halve until all or nothing is covered. */
static mpivf_status
find_holes(struct mpivf_context *ctx, const struct mpivf_h5_cover *cover, hsize_t row, hsize_t rows,
           mpivf_h5_visit_rows visit, void *arg, bool *holes)
{
    hssize_t n = covered(cover, row, rows);
    if (n < 0)
        return mpivf_h5_fail(ctx, MPIVF_IO, "cannot count what a virtual dataset maps");
    if ((hsize_t)n == rows * cover->columns)
        return MPIVF_OK;
    *holes = true;
    if (n == 0 || rows == 1)
        return visit(arg, row, rows);
    mpivf_status status = find_holes(ctx, cover, row, rows / 2, visit, arg, holes);
    THEN(status, find_holes(ctx, cover, row + rows / 2, rows - rows / 2, visit, arg, holes));
    return status;
}

mpivf_status
mpivf_h5_cover_holes(struct mpivf_context *ctx, const struct mpivf_h5_cover *cover,
                     mpivf_h5_visit_rows visit, void *arg, bool *holes)
{
    *holes = false;
    return cover->rows > 0 ? find_holes(ctx, cover, 0, cover->rows, visit, arg, holes) : MPIVF_OK;
}
