#include "index/format.h"

#include "base/then.h"
#include "io/hdf5.h"

#include <string.h>

enum { VERSION = 2, ALIGNMENT = 4096 };
static const char FORMAT[] = "mpivf-index";

enum attribute {
    A_FORMAT,
    A_VERSION,
    A_METRIC,
    A_CODEC,
    A_PLANES,
    A_DIM,
    A_LISTS,
    A_ROWS,
    A_REJECTED,
    A_SOURCE_ROWS,
    A_SEED,
    A_SAMPLE,
    A_OBJECTIVE,
    A_STORE,
    A_IDS,
    A_MODEL,
    A_SOURCE,
    A_CHECKSUM,
    A_VERSION_OF_SOURCE, /* from here on in files with a stamp */
    A_SOURCE_BYTES,
    A_SOURCE_MODIFIED,
    A_ROWS_CHECKSUM,
    ATTRIBUTES,
    PLAIN = A_VERSION_OF_SOURCE, /* attributes of other files */
    STAMP = ATTRIBUTES - PLAIN
};

enum dataset {
    D_CENTROID,
    D_OFFSET,
    D_CHECKSUM,
    D_REJECTED,
    D_RANGE,
    D_PLANE, /* the first */
    DATASETS = D_PLANE + MPIVF_PLANES
};

static void
name_attributes(struct mpivf_h5_attribute a[ATTRIBUTES])
{
    static const struct {
        const char *name;
        enum mpivf_h5_kind kind;
    } table[ATTRIBUTES] = {
        [A_FORMAT] = {"format", MPIVF_H5_TEXT},
        [A_VERSION] = {"version", MPIVF_H5_U64},
        [A_METRIC] = {"metric", MPIVF_H5_TEXT},
        [A_CODEC] = {"codec", MPIVF_H5_TEXT},
        [A_PLANES] = {"planes", MPIVF_H5_TEXT},
        [A_DIM] = {"dim", MPIVF_H5_U64},
        [A_LISTS] = {"lists", MPIVF_H5_U64},
        [A_ROWS] = {"rows", MPIVF_H5_U64},
        [A_REJECTED] = {"rejected", MPIVF_H5_U64},
        [A_SOURCE_ROWS] = {"source_rows", MPIVF_H5_U64},
        [A_SEED] = {"seed", MPIVF_H5_U64},
        [A_SAMPLE] = {"sample", MPIVF_H5_U64},
        [A_OBJECTIVE] = {"objective", MPIVF_H5_F64},
        [A_STORE] = {"store", MPIVF_H5_U64},
        [A_IDS] = {"ids", MPIVF_H5_U64},
        [A_MODEL] = {"model_fingerprint", MPIVF_H5_U64},
        [A_SOURCE] = {"source_fingerprint", MPIVF_H5_U64},
        [A_CHECKSUM] = {"header_checksum", MPIVF_H5_U64},
        [A_VERSION_OF_SOURCE] = {"source_version", MPIVF_H5_U64},
        [A_SOURCE_BYTES] = {"source_bytes", MPIVF_H5_U64},
        [A_SOURCE_MODIFIED] = {"source_modified", MPIVF_H5_U64},
        [A_ROWS_CHECKSUM] = {"rows_checksum", MPIVF_H5_U64},
    };
    memset(a, 0, ATTRIBUTES * sizeof *a);
    for (int i = 0; i < ATTRIBUTES; i++) {
        a[i].name = table[i].name;
        a[i].kind = table[i].kind;
        a[i].sealed = true;
    }
}

static void
set_attributes(struct mpivf_h5_attribute a[ATTRIBUTES], const struct mpivf_index_meta *meta)
{
    struct mpivf_planes planes;
    mpivf_planes_of(meta, NULL, &planes);
    name_attributes(a);
    strcpy(a[A_FORMAT].text, FORMAT);
    strcpy(a[A_METRIC].text, mpivf_metric_name(meta->metric));
    strcpy(a[A_CODEC].text, meta->codec->name);
    mpivf_planes_text(&planes, a[A_PLANES].text);
    a[A_VERSION].number = VERSION;
    a[A_DIM].number = meta->dim;
    a[A_LISTS].number = meta->lists;
    a[A_ROWS].number = meta->rows;
    a[A_REJECTED].number = meta->rejected;
    a[A_SOURCE_ROWS].number = meta->source_rows;
    a[A_SEED].number = meta->seed;
    a[A_SAMPLE].number = meta->sample;
    a[A_OBJECTIVE].real = meta->objective;
    a[A_STORE].number = meta->store;
    a[A_IDS].number = meta->ids;
    a[A_MODEL].number = meta->model_fingerprint;
    a[A_SOURCE].number = meta->source_fingerprint;
    a[A_VERSION_OF_SOURCE].number = meta->stamp.version;
    a[A_SOURCE_BYTES].number = meta->stamp.bytes;
    a[A_SOURCE_MODIFIED].number = (uint64_t)meta->stamp.modified;
    a[A_ROWS_CHECKSUM].number = meta->stamp.rows;
}

/* Of all attributes but itself, and of the small datasets. */
static uint64_t
header_checksum(const struct mpivf_h5_attribute a[ATTRIBUTES], const struct mpivf_index_meta *meta,
                const uint64_t *list_offset, const int64_t *rejected,
                const struct mpivf_range *range)
{
    uint64_t sum[3 * A_CHECKSUM + 3] = {0};
    for (int i = 0; i < A_CHECKSUM; i++) {
        sum[3 * i] = a[i].number;
        memcpy(&sum[3 * i + 1], &a[i].real, sizeof a[i].real);
        sum[3 * i + 2] = mpivf_checksum_of(a[i].text, strlen(a[i].text));
    }
    uint64_t *rest = sum + 3 * A_CHECKSUM;
    rest[0] = mpivf_checksum_of(list_offset, (meta->lists + 1) * sizeof *list_offset);
    rest[1] = mpivf_checksum_of(rejected, meta->rejected * sizeof *rejected);
    rest[2] = mpivf_checksum_of(range, meta->ranges * sizeof *range);
    uint64_t all[1 + STAMP] = {mpivf_checksum_of(sum, sizeof sum)};
    for (int i = 0; i < STAMP; i++)
        all[1 + i] = a[PLAIN + i].number;
    return meta->stamped ? mpivf_checksum_of(all, sizeof all) : all[0];
}

/* What the datasets have to be. How many there are. */
static int
set_datasets(struct mpivf_h5_dataset d[DATASETS], const struct mpivf_index_meta *meta)
{
    struct mpivf_planes planes;
    mpivf_planes_of(meta, NULL, &planes);
    d[D_CENTROID] =
        (struct mpivf_h5_dataset){"centroid", MPIVF_F32, 2, {meta->centroids, meta->dim}, 0};
    d[D_OFFSET] = (struct mpivf_h5_dataset){"list_offset", MPIVF_U64, 1, {meta->lists + 1, 1}, 0};
    d[D_CHECKSUM] = (struct mpivf_h5_dataset){"list_checksum", MPIVF_U64, 1, {meta->lists, 1}, 0};
    d[D_REJECTED] = (struct mpivf_h5_dataset){"rejected", MPIVF_I64, 1, {meta->rejected, 1}, 0};
    d[D_RANGE] = (struct mpivf_h5_dataset){"row_range", MPIVF_U64, 2, {meta->ranges, 2}, 0};
    for (int p = 0; p < planes.count; p++) {
        const struct mpivf_plane *plane = &planes.plane[p];
        bool list = p == 0; /* ids are a list, also where rows have one column */
        d[D_PLANE + p] = (struct mpivf_h5_dataset){
            plane->name, plane->element, list ? 1 : 2, {meta->rows, plane->columns}, 0};
    }
    return D_PLANE + planes.count;
}

static uint64_t
dataset_bytes(const struct mpivf_h5_dataset *d)
{
    return d->dim[0] * d->dim[1] * mpivf_type_size(d->type);
}

static void
get_layout(const struct mpivf_h5_dataset d[DATASETS], int datasets,
           struct mpivf_index_layout *layout)
{
    *layout = (struct mpivf_index_layout){
        .centroid = d[D_CENTROID].offset,
        .list_offset = d[D_OFFSET].offset,
        .list_checksum = d[D_CHECKSUM].offset,
        .rejected = d[D_REJECTED].offset,
        .row_range = d[D_RANGE].offset,
    };
    for (int i = D_PLANE; i < datasets; i++)
        layout->plane[i - D_PLANE] = d[i].offset;
}

uint64_t
mpivf_index_bytes(const struct mpivf_index_meta *meta)
{
    struct mpivf_h5_dataset d[DATASETS];
    int datasets = set_datasets(d, meta);
    uint64_t bytes = 4 * ALIGNMENT; /* HDF5's own */
    for (int i = 0; i < datasets; i++)
        bytes += dataset_bytes(&d[i]) + ALIGNMENT;
    return bytes;
}

uint64_t
mpivf_index_list_checksum(const uint64_t *plane, int planes)
{
    return mpivf_checksum_of(plane, (size_t)planes * sizeof *plane);
}

mpivf_status
mpivf_index_create(struct mpivf_context *ctx, const struct mpivf_file *file,
                   const struct mpivf_index_meta *meta, const float *centroid,
                   const uint64_t *list_offset, const int64_t *rejected,
                   const struct mpivf_range *range, struct mpivf_index_layout *layout)
{
    struct mpivf_h5_attribute a[ATTRIBUTES];
    struct mpivf_h5_dataset d[DATASETS];
    set_attributes(a, meta);
    int datasets = set_datasets(d, meta);
    a[A_CHECKSUM].number = header_checksum(a, meta, list_offset, rejected, range);
    mpivf_status status =
        mpivf_h5_create(ctx, file, a, meta->stamped ? ATTRIBUTES : PLAIN, d, datasets);
    const struct {
        enum dataset dataset;
        const void *data;
    } small[] = {
        {D_CENTROID, centroid}, {D_OFFSET, list_offset}, {D_REJECTED, rejected}, {D_RANGE, range}};
    for (size_t i = 0; i < sizeof small / sizeof small[0] && status == MPIVF_OK; i++)
        status = mpivf_file_write(ctx, file, small[i].data, dataset_bytes(&d[small[i].dataset]),
                                  d[small[i].dataset].offset);
    THEN(status, mpivf_file_sync(ctx, file)); /* others write the rows and sync those */
    if (status == MPIVF_OK)
        get_layout(d, datasets, layout);
    return status;
}

/* What kind of file is it, and of what version? The attributes of an index, or a failure. */
static mpivf_status
read_attributes(struct mpivf_context *ctx, const char *path,
                struct mpivf_h5_attribute a[ATTRIBUTES])
{
    mpivf_status status = mpivf_file_expect(ctx, path);
    if (status)
        return status;
    name_attributes(a);
    status = mpivf_h5_describe(ctx, path, &a[A_FORMAT], 1, NULL, 0);
    if (status == MPIVF_INPUT && mpivf_h5_is(path)) {
        mpivf_clear_error(ctx);
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is an HDF5 file, but not an index of mpivf",
                          path);
    }
    if (status)
        return status;
    if (strcmp(a[A_FORMAT].text, FORMAT) != 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is not an index of mpivf", path);
    status = mpivf_h5_describe(ctx, path, a, PLAIN, NULL, 0);
    if (a[A_VERSION].number != VERSION && (status == MPIVF_OK || a[A_VERSION].number > 0)) {
        mpivf_clear_error(ctx); /* of an attribute that only this version has */
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has format version %llu; this program reads %d",
                          path, (unsigned long long)a[A_VERSION].number, VERSION);
    }
    return status == MPIVF_INPUT ? MPIVF_CORRUPT : status; /* an index lacks nothing */
}

/* From the attributes what the datasets have to be; which of them there are. */
static mpivf_status
read_meta(struct mpivf_context *ctx, const char *path, struct mpivf_h5_attribute a[ATTRIBUTES],
          struct mpivf_h5_dataset d[DATASETS], int *datasets, struct mpivf_index_meta *meta)
{
    struct mpivf_planes planes;
    char text[MPIVF_PLANES_TEXT];
    mpivf_status status = read_attributes(ctx, path, a);
    if (status)
        return status;
    int metric = 0;
    while (metric < MPIVF_METRICS && strcmp(mpivf_metric_name(metric), a[A_METRIC].text))
        metric++;
    const struct mpivf_codec *codec = mpivf_codec_find(a[A_CODEC].text);
    if (metric == MPIVF_METRICS || codec == NULL)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' has an unknown metric or codec ('%s', '%s')",
                          path, a[A_METRIC].text, a[A_CODEC].text);
    *meta = (struct mpivf_index_meta){
        .metric = (enum mpivf_metric)metric,
        .codec = codec,
        .dim = a[A_DIM].number,
        .lists = a[A_LISTS].number,
        .rows = a[A_ROWS].number,
        .rejected = a[A_REJECTED].number,
        .source_rows = a[A_SOURCE_ROWS].number,
        .seed = a[A_SEED].number,
        .sample = a[A_SAMPLE].number,
        .objective = a[A_OBJECTIVE].real,
        .store = a[A_STORE].number != 0,
        .ids = a[A_IDS].number != 0,
        .model_fingerprint = a[A_MODEL].number,
        .source_fingerprint = a[A_SOURCE].number,
    };
    mpivf_planes_of(meta, NULL, &planes);
    mpivf_planes_text(&planes, text);
    if (strcmp(text, a[A_PLANES].text) != 0)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' has the planes '%s', its codec has '%s'", path,
                          a[A_PLANES].text, text);
    memset(d, 0, DATASETS * sizeof *d);
    *datasets = set_datasets(d, meta); /* for the names */
    status = mpivf_h5_describe(ctx, path, NULL, 0, d, *datasets);
    meta->ranges = d[D_RANGE].dim[0];
    meta->centroids = d[D_CENTROID].dim[0];
    return status == MPIVF_INPUT ? MPIVF_CORRUPT : status;
}

/* Is it all rows of a source with their centroids: an index proper, which has no stamp? */
static bool
whole(const struct mpivf_index_meta *meta)
{
    return meta->source_rows > 0 && meta->centroids > 0 &&
           meta->rows + meta->rejected == meta->source_rows;
}

static mpivf_status
read_stamp(struct mpivf_context *ctx, const char *path, struct mpivf_h5_attribute a[ATTRIBUTES],
           struct mpivf_index_meta *meta)
{
    if (whole(meta))
        return MPIVF_OK;
    mpivf_status status = mpivf_h5_describe(ctx, path, a + PLAIN, STAMP, NULL, 0);
    if (status == MPIVF_INPUT) { /* a model, or a shard of a program that wrote none */
        mpivf_clear_error(ctx);
        return MPIVF_OK;
    }
    meta->stamped = status == MPIVF_OK;
    meta->stamp = (struct mpivf_stamp){.version = a[A_VERSION_OF_SOURCE].number,
                                       .bytes = a[A_SOURCE_BYTES].number,
                                       .modified = (int64_t)a[A_SOURCE_MODIFIED].number,
                                       .rows = a[A_ROWS_CHECKSUM].number};
    return status;
}

/* Numbers that no file of ours has, before anything is computed from them. */
static bool
meta_possible(const struct mpivf_index_meta *meta)
{
    static const uint64_t MAX_ROWS = MPIVF_MAX_ROWS; /* so that products stay below 2^63 */
    return meta->dim >= 1 && meta->dim <= MPIVF_MAX_COLUMNS && meta->lists >= 1 &&
           meta->lists <= MPIVF_MAX_LISTS && meta->rows <= MAX_ROWS && meta->rejected <= MAX_ROWS &&
           meta->source_rows <= MAX_ROWS && meta->ranges <= MAX_ROWS &&
           (meta->source_rows > 0 || meta->ranges == 0) &&
           (meta->centroids == 0 || meta->centroids == meta->lists);
}

/* The datasets found must be those that the attributes promise, inside the file. */
static mpivf_status
check_datasets(struct mpivf_context *ctx, const char *path, const struct mpivf_index_meta *meta,
               const struct mpivf_h5_dataset *d)
{
    struct mpivf_h5_dataset want[DATASETS];
    uint64_t file_bytes;
    if (!meta_possible(meta))
        return mpivf_fail(ctx, MPIVF_CORRUPT, "the attributes of '%s' are damaged", path);
    mpivf_status status = mpivf_file_size(ctx, path, &file_bytes);
    int datasets = set_datasets(want, meta);
    for (int i = 0; i < datasets && status == MPIVF_OK; i++) {
        if (want[i].type != d[i].type || want[i].dim[0] != d[i].dim[0] ||
            want[i].dim[1] != d[i].dim[1])
            status = mpivf_fail(ctx, MPIVF_CORRUPT,
                                "the dataset '%s' of '%s' has not the shape the "
                                "attributes tell",
                                d[i].name, path);
        else if (d[i].offset > file_bytes || dataset_bytes(&d[i]) > file_bytes - d[i].offset)
            status = mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' is truncated inside dataset '%s'", path,
                                d[i].name);
    }
    return status;
}

/* Ranges ascend, do not touch and stay inside the source. */
static bool
ranges_consistent(const struct mpivf_range *range, const struct mpivf_index_meta *meta)
{
    uint64_t end = 0;
    for (uint64_t i = 0; i < meta->ranges; i++) {
        if (range[i].rows == 0 || (i > 0 && range[i].row <= end) ||
            range[i].row > meta->source_rows || range[i].rows > meta->source_rows - range[i].row)
            return false;
        end = range[i].row + range[i].rows;
    }
    return mpivf_range_rows(range, meta->ranges) == meta->rows + meta->rejected;
}

/* The invariants that everything else relies on. */
static bool
header_consistent(const struct mpivf_index *index)
{
    const struct mpivf_index_meta *meta = &index->meta;
    if (!ranges_consistent(index->range, meta) || index->list_offset[0] != 0 ||
        index->list_offset[meta->lists] != meta->rows)
        return false;
    for (uint64_t l = 0; l < meta->lists; l++)
        if (index->list_offset[l] > index->list_offset[l + 1])
            return false;
    return true;
}

size_t
mpivf_index_open_bytes(const struct mpivf_index_meta *meta)
{
    return mpivf_alloc_bytes(MPIVF_PATH) + mpivf_alloc_bytes((meta->lists + 1) * sizeof(uint64_t)) +
           mpivf_alloc_bytes(meta->rejected * sizeof(int64_t)) +
           mpivf_alloc_bytes(meta->ranges * sizeof(struct mpivf_range));
}

static mpivf_status
read_small(struct mpivf_index *index, const struct mpivf_h5_dataset d[DATASETS])
{
    struct mpivf_context *ctx = index->ctx;
    struct mpivf_file file = mpivf_index_file(index);
    const struct {
        enum dataset dataset;
        void **data;
    } small[] = {{D_OFFSET, (void **)&index->list_offset},
                 {D_REJECTED, (void **)&index->rejected},
                 {D_RANGE, (void **)&index->range}};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        const struct mpivf_h5_dataset *dataset = &d[small[i].dataset];
        *small[i].data = mpivf_alloc(ctx, "the header of an index", dataset_bytes(dataset), 1);
        if (*small[i].data == NULL)
            return MPIVF_MEMORY;
        mpivf_status status =
            mpivf_file_read(ctx, &file, *small[i].data, dataset_bytes(dataset), dataset->offset);
        if (status)
            return status;
    }
    return MPIVF_OK;
}

mpivf_status
mpivf_index_open(struct mpivf_context *ctx, const char *path, struct mpivf_index *index)
{
    struct mpivf_h5_attribute a[ATTRIBUTES];
    struct mpivf_h5_dataset d[DATASETS];
    int datasets = 0;
    *index = (struct mpivf_index){.ctx = ctx, .fd = -1};
    index->path = mpivf_alloc(ctx, "a path", strlen(path) + 1, 1);
    if (index->path == NULL)
        return MPIVF_MEMORY;
    strcpy(index->path, path);
    mpivf_status status = read_meta(ctx, path, a, d, &datasets, &index->meta);
    THEN(status, read_stamp(ctx, path, a, &index->meta));
    THEN(status, check_datasets(ctx, path, &index->meta, d));
    struct mpivf_file file = {.fd = -1};
    THEN(status, mpivf_file_open(ctx, index->path, &file));
    index->fd = file.fd;
    THEN(status, read_small(index, d));
    if (status)
        return status;
    get_layout(d, datasets, &index->layout);
    if (a[A_CHECKSUM].number !=
            header_checksum(a, &index->meta, index->list_offset, index->rejected, index->range) ||
        !header_consistent(index))
        return mpivf_fail(ctx, MPIVF_CORRUPT,
                          "the header of '%s' is damaged (its checksum differs)", path);
    return MPIVF_OK;
}
