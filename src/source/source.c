#include <mpivf/source.h>

#include "base/then.h"
#include "io/foreign.h"
#include "io/inputs.h"
#include "source/backend.h"
#include "source/fingerprint.h"

#include <stdio.h>
#include <string.h>

const char *
mpivf_read_mode_name(int mode)
{
    static const char *const name[] = {"auto", "independent", "collective", NULL};
    return name[mode];
}

static const struct mpivf_source_ops *const backends[] = {&mpivf_source_hdf5, &mpivf_source_npy};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

enum {
    BLOCK_BYTES = 4 << 20, /* large enough for a disk, small enough to deal fairly */
    BLOCKS = 1024          /* a smaller file is still dealt in about so many */
};

/* Split FILE[:OBJECT]. */
static mpivf_status
split_name(struct mpivf_context *ctx, const char *name, struct mpivf_source_plan *plan)
{
    size_t length = mpivf_path_file(name);
    const char *object = name[length] == ':' ? name + length + 1 : "";
    mpivf_status status = mpivf_path(ctx, plan->path, "%.*s", (int)length, name);
    THEN(status, mpivf_file_expect(ctx, plan->path));
    if (status)
        return status;
    if (strlen(object) >= sizeof plan->object)
        return mpivf_fail(ctx, MPIVF_USAGE,
                          "the object name '%.60s...' is too long: it may have "
                          "%d bytes",
                          object, MPIVF_OBJECT - 1);
    if (name[length] == ':' && object[0] == '\0')
        return mpivf_fail(ctx, MPIVF_USAGE, "'%s' names no object: write FILE or FILE:OBJECT",
                          name);
    snprintf(plan->object, sizeof plan->object, "%s", object);
    return MPIVF_OK;
}

/* What every format has to keep to, so that no later product overflows. */
static mpivf_status
check_matrix(struct mpivf_context *ctx, const char *name, const struct mpivf_matrix *matrix,
             bool ids)
{
    unsigned long long rows = matrix->rows, dim = matrix->dim;
    uint64_t row_bytes, bytes;
    if (rows == 0 || dim == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu rows of %llu columns: nothing to read",
                          name, rows, dim);
    if (dim > MPIVF_MAX_COLUMNS)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' has %llu columns, and %llu are the most that are "
                          "supported; is it transposed?",
                          name, dim, (unsigned long long)MPIVF_MAX_COLUMNS);
    if (__builtin_mul_overflow(matrix->dim, sizeof(double), &row_bytes) ||
        __builtin_mul_overflow(row_bytes, matrix->rows, &bytes) || bytes > INT64_MAX ||
        rows > MPIVF_MAX_ROWS)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has %llu rows of %llu columns: too large", name,
                          rows, dim);
    if (!ids && matrix->type > MPIVF_I8)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' holds %s; vectors are f16 f32 f64 u8 i8", name,
                          mpivf_type_name(matrix->type));
    if (ids && (matrix->type < MPIVF_I32 || dim != 1))
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' is %llu x %llu of %s; ids are i32 u32 i64 u64, "
                          "one a row",
                          name, rows, dim, mpivf_type_name(matrix->type));
    return MPIVF_OK;
}

/* It is nobody's, or it cannot be opened, which is said too. */
static mpivf_status
refuse(struct mpivf_context *ctx, const struct mpivf_source_plan *plan)
{
    const struct mpivf_format *format[BACKENDS];
    for (int i = 0; i < BACKENDS; i++)
        format[i] = backends[i]->format;
    return mpivf_foreign_refuse(ctx, plan->path, plan->object, MPIVF_FOREIGN_ROWS, format,
                                BACKENDS);
}

/* Whose file is it? The object that is meant when none is named is `fallback`. */
static mpivf_status
find_backend(struct mpivf_context *ctx, const char *fallback, struct mpivf_source_plan *plan)
{
    while (plan->ops < BACKENDS && !backends[plan->ops]->is(plan->path))
        plan->ops++;
    if (plan->ops == BACKENDS)
        return refuse(ctx, plan);
    const struct mpivf_source_ops *ops = backends[plan->ops];
    if (!ops->objects && plan->object[0] != '\0')
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is %s and has no object '%s'", plan->path,
                          ops->format->title, plan->object);
    if (ops->objects && plan->object[0] == '\0' && fallback)
        snprintf(plan->object, sizeof plan->object, "%s", fallback);
    return MPIVF_OK;
}

static mpivf_status
add_file(struct mpivf_context *ctx, void *arg, const char *path)
{
    return mpivf_inputs_add(ctx, arg, path);
}

static mpivf_status
describe(struct mpivf_context *ctx, const char *name, const char *fallback, bool ids,
         struct mpivf_source_plan *plan, struct mpivf_inputs *inputs)
{
    mpivf_status status = split_name(ctx, name, plan);
    THEN(status, mpivf_inputs_add(ctx, inputs, plan->path)); /* as it is before anybody reads it */
    if (status)
        return status;
    status = find_backend(ctx, fallback, plan);
    if (status)
        return status;
    status = backends[plan->ops]->describe(ctx, plan, add_file, inputs);
    THEN(status, check_matrix(ctx, name, &plan->matrix, ids));
    if (status == MPIVF_OK && !ids && plan->matrix.dim == 1)
        mpivf_note(ctx, "'%s' has one column: %llu rows of a single number", name,
                   (unsigned long long)plan->matrix.rows);
    return status;
}

static uint64_t
block_rows_of(const struct mpivf_source *source)
{
    uint64_t row_bytes = source->dim * mpivf_type_size(source->type);
    uint64_t rows = BLOCK_BYTES / row_bytes, even = (source->rows + BLOCKS - 1) / BLOCKS;
    if (rows > even)
        rows = even;
    if (rows < 1)
        rows = 1;
    uint64_t chunk = source->chunk_rows ? source->chunk_rows : 1;
    return (rows + chunk - 1) / chunk * chunk;
}

/* Open what rank 0 has described, the same on every rank. */
static mpivf_status
open_plan_all(struct mpivf_source *source, struct mpivf_source_plan *plan)
{
    const struct mpivf_matrix *matrix = &plan->matrix;
    memcpy(source->object, plan->object, sizeof source->object);
    source->rows = matrix->rows;
    source->dim = matrix->dim;
    source->type = matrix->type;
    source->swapped = matrix->swapped;
    source->chunk_rows = matrix->chunk_rows;
    source->block_rows = block_rows_of(source);
    source->blocks = (source->rows + source->block_rows - 1) / source->block_rows;
    source->ops = backends[plan->ops];
    mpivf_status status = source->ops->open_all(source, plan);
    if (status)
        source->state = NULL;
    return status;
}

static mpivf_status
open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
         const char *fallback, bool ids, struct mpivf_reading reading)
{
    struct mpivf_context *ctx = par->ctx;
    memset(source, 0, sizeof *source);
    source->par = par;
    source->inputs = mpivf_alloc_zero(ctx, "a source", 1, sizeof *source->inputs);
    struct mpivf_source_plan *plan = mpivf_alloc_zero(ctx, "a source", 1, sizeof *plan);
    mpivf_status status = plan && source->inputs ? MPIVF_OK : MPIVF_MEMORY;
    if (status == MPIVF_OK && par->rank == 0) {
        plan->reading = reading;
        status = describe(ctx, name, fallback, ids, plan, source->inputs);
    }
    status = mpivf_agree_all(par, status);
    THEN(status, mpivf_inputs_share_all(par, source->inputs));
    if (status == MPIVF_OK) {
        void *mine = plan->more;
        mpivf_bcast_all(par, plan, sizeof *plan);
        plan->more = mine;
        status = open_plan_all(source, plan);
    }
    if (plan && plan->more)
        backends[plan->ops]->forget(ctx, plan);
    mpivf_free(ctx, plan);
    bool lent = status == MPIVF_OK && mpivf_max_u64_all(par, mpivf_memory_lent(ctx)) > 0;
    return status || lent ? status : mpivf_fingerprint_all(source, name);
}

mpivf_status
mpivf_source_open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
                      const char *fallback, struct mpivf_reading reading)
{
    return open_all(source, par, name, fallback, false, reading);
}

mpivf_status
mpivf_source_open_ids_all(struct mpivf_source *source, const struct mpivf_par *par,
                          const char *name, const char *fallback, struct mpivf_reading reading,
                          uint64_t rows)
{
    mpivf_status status = open_all(source, par, name, fallback, true, reading);
    if (status == MPIVF_OK && source->rows != rows)
        status = mpivf_fail(par->ctx, MPIVF_INPUT, "--ids '%s' has %llu ids for %llu rows", name,
                            (unsigned long long)source->rows, (unsigned long long)rows);
    return status;
}

void
mpivf_source_close_all(struct mpivf_source *source)
{
    if (source->state)
        source->ops->close_all(source);
    source->state = NULL;
    if (source->inputs) {
        mpivf_inputs_clear(source->par->ctx, source->inputs);
        mpivf_free(source->par->ctx, source->inputs);
    }
    source->inputs = NULL;
}

mpivf_status
mpivf_source_unchanged_all(const struct mpivf_source *source)
{
    return source->inputs ? mpivf_inputs_unchanged_all(source->par, source->inputs) : MPIVF_OK;
}

struct mpivf_range
mpivf_source_share(const struct mpivf_source *source, int part, int parts)
{
    uint64_t first = mpivf_share_first(source->blocks, part, parts) * source->block_rows;
    uint64_t end = mpivf_share_first(source->blocks, part + 1, parts) * source->block_rows;
    end = end < source->rows ? end : source->rows;
    first = first < end ? first : end;
    return (struct mpivf_range){first, end - first};
}
