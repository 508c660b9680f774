#include "build/model.h"

#include "base/then.h"

/* Write the checksum of every list of a file without rows; `room` is [lists]. */
static mpivf_status
write_checksums(struct mpivf_context *ctx, const struct mpivf_file *file,
                const struct mpivf_index_meta *meta, const struct mpivf_index_layout *layout,
                uint64_t *room)
{
    struct mpivf_planes planes;
    uint64_t sums[MPIVF_PLANES], nothing = mpivf_checksum_of("", 0);
    mpivf_planes_of(meta, layout, &planes);
    for (int p = 0; p < planes.count; p++)
        sums[p] = nothing;
    for (uint64_t l = 0; l < meta->lists; l++)
        room[l] = mpivf_index_list_checksum(sums, planes.count);
    return mpivf_file_write(ctx, file, room, meta->lists * sizeof *room, layout->list_checksum);
}

uint64_t
mpivf_model_bytes(uint64_t lists, uint64_t dim)
{
    return mpivf_index_bytes(&(struct mpivf_index_meta){
        .codec = mpivf_codec(MPIVF_CODEC_F32), .dim = dim, .lists = lists, .centroids = lists});
}

mpivf_status
mpivf_model_write(struct mpivf_context *ctx, const struct mpivf_file *file,
                  const struct mpivf_coarse *coarse, const struct mpivf_train_options *options,
                  const struct mpivf_train_summary *trained, const struct mpivf_stamp *stamp)
{
    struct mpivf_index_meta meta = {
        .metric = options->metric,
        .codec = mpivf_codec(MPIVF_CODEC_F32),
        .dim = coarse->dim,
        .lists = coarse->lists,
        .seed = options->seed,
        .sample = trained->sample,
        .objective = trained->objective,
        .model_fingerprint = mpivf_coarse_fingerprint(coarse),
        .centroids = coarse->lists,
        .stamped = stamp != NULL,
    };
    if (stamp)
        meta.stamp = *stamp;
    struct mpivf_index_layout layout;
    uint64_t *room = mpivf_alloc_zero(ctx, "list offsets", meta.lists + 1, sizeof *room);
    mpivf_status status = room ? MPIVF_OK : MPIVF_MEMORY;
    THEN(status, mpivf_index_create(ctx, file, &meta, coarse->centroid, room, NULL, NULL, &layout));
    THEN(status, write_checksums(ctx, file, &meta, &layout, room));
    mpivf_free(ctx, room);
    return status;
}
