#include "io/hdf5_internal.h"

/* HDF5 1.10 takes about 6.4 KiB for each chunk of a transfer, and reads 2 GiB at a time at most. */
enum { CHUNKS = 64, MAP_BYTES = 6600, PIECE = 1 << 30 };

static uint64_t
at_least_one(uint64_t n)
{
    return n > 0 ? n : 1;
}

static uint64_t
whole_chunks(uint64_t rows, uint64_t chunk)
{
    return at_least_one(rows / chunk) * chunk;
}

void
mpivf_h5_chunk_step(const struct mpivf_h5_leaf *leaf, size_t element, uint64_t *rows,
                    uint64_t *columns)
{
    *columns = leaf->columns;
    uint64_t max = at_least_one(PIECE / element / at_least_one(leaf->columns));
    if (leaf->chunk_rows == 0) {
        *rows = max;
        return;
    }
    uint64_t across = (leaf->columns + leaf->chunk_columns - 1) / leaf->chunk_columns;
    if (across > CHUNKS)
        *columns = CHUNKS * leaf->chunk_columns;
    *rows = at_least_one(CHUNKS / at_least_one(across)) * leaf->chunk_rows;
    if (*rows > max) /* a part of a chunk only where any part can be read alone */
        *rows = leaf->whole || max > leaf->chunk_rows ? whole_chunks(max, leaf->chunk_rows) : max;
}

size_t
mpivf_h5_chunk_cache(const struct mpivf_h5_leaf *leaf, size_t element)
{
    return leaf->whole && !leaf->filtered ? mpivf_h5_layout_chunk(leaf, element) : 0;
}

uint64_t
mpivf_h5_chunk_memory(const struct mpivf_h5_leaf *leaf, size_t element)
{
    if (leaf->chunk_rows == 0)
        return 0;
    uint64_t chunk = leaf->whole ? mpivf_h5_layout_chunk(leaf, element) : 0;
    uint64_t filtering = leaf->filtered ? chunk : 0; /* the chunk before and after a filter */
    if (chunk > UINT64_MAX / 4)
        return UINT64_MAX / 2;
    return CHUNKS * MAP_BYTES + chunk + filtering;
}

/* The elements of a part in a dataset: rows and columns, or a run of one dimension. */
static herr_t
select_part(hid_t space, const struct mpivf_h5_leaf *leaf, const struct mpivf_h5_rectangle *part)
{
    hsize_t start[2] = {leaf->lying ? part->column : part->row, part->column};
    hsize_t count[2] = {leaf->lying ? part->columns : part->rows, part->columns};
    return H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
}

/* Where they go; to be closed. */
static hid_t
memory_space(const struct mpivf_h5_leaf *leaf, const struct mpivf_h5_rectangle *part,
             uint64_t stride)
{
    hsize_t size[2] = {part->rows, stride}, start[2] = {0, 0},
            count[2] = {part->rows, part->columns};
    if (!leaf->flat) {
        hid_t space = H5Screate_simple(2, size, NULL);
        if (stride != part->columns && space >= 0)
            H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        return space;
    }
    hsize_t step = leaf->lying ? 1 : stride, elements = leaf->lying ? part->columns : part->rows;
    hsize_t length = (elements - 1) * step + 1;
    hid_t space = H5Screate_simple(1, &length, NULL);
    if (step > 1 && space >= 0)
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, &step, &elements, NULL);
    return space;
}

herr_t
mpivf_h5_chunk_transfer(const struct mpivf_h5_open *open, const struct mpivf_h5_rectangle *part,
                        void *data, uint64_t stride)
{
    static const struct mpivf_h5_rectangle one = {0, 1, 0, 1};
    bool none = part == NULL;
    hid_t space = H5Dget_space(open->dataset);
    hid_t memory = memory_space(open->leaf, none ? &one : part, none ? 1 : stride);
    herr_t result = space < 0 || memory < 0 ? -1 : 0;
    if (none) {
        H5Sselect_none(space);
        H5Sselect_none(memory);
    } else if (result >= 0) {
        result = select_part(space, open->leaf, part);
    }
    if (result >= 0)
        result = H5Dread(open->dataset, open->type, memory, space, open->transfer, data);
    if (result >= 0) { /* otherwise the error would be lost; the two are few */
        H5Sclose(memory);
        H5Sclose(space);
    }
    return result;
}
