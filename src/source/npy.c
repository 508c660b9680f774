/* The .npy format of NumPy (numpy.lib.format, versions 1 to 3). */
#include "base/then.h"
#include "source/backend.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 4096 }; /* NumPy writes 128 bytes for a matrix */

static bool
npy_is(const char *path)
{
    char magic[6] = "";
    FILE *file = mpivf_file_regular(path) ? fopen(path, "rb") : NULL;
    if (file == NULL)
        return false;
    size_t n = fread(magic, 1, sizeof magic, file);
    fclose(file);
    return n == sizeof magic && memcmp(magic, "\x93NUMPY", 6) == 0;
}

/* What follows 'key': in the header dictionary; NULL when it is not there. */
static const char *
value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (at == NULL)
        return NULL;
    at += strlen(quoted);
    while (isspace((unsigned char)*at) || *at == ':')
        at++;
    return at;
}

static bool
parse_type(const char *descr, struct mpivf_matrix *matrix)
{
    static const struct {
        char code[3];
        enum mpivf_type type;
    } codes[] = {{"f2", MPIVF_F16}, {"f4", MPIVF_F32}, {"f8", MPIVF_F64},
                 {"u1", MPIVF_U8},  {"i1", MPIVF_I8},  {"i4", MPIVF_I32},
                 {"u4", MPIVF_U32}, {"i8", MPIVF_I64}, {"u8", MPIVF_U64}};
    if (descr == NULL || descr[0] != '\'' || descr[1] == '\0' || strchr("<>|=", descr[1]) == NULL)
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strncmp(descr + 2, codes[i].code, 2) == 0 && descr[4] == '\'') {
            matrix->type = codes[i].type;
            matrix->swapped = descr[1] == '>';
            return true;
        }
    return false;
}

/* "(rows, dim)" or "(rows,)". */
static bool
parse_shape(const char *text, struct mpivf_matrix *matrix)
{
    unsigned long long rows, dim = 1;
    int end = 0;
    if (text == NULL)
        return false;
    if (sscanf(text, " ( %llu , %llu %n", &rows, &dim, &end) < 2 &&
        sscanf(text, " ( %llu , %n", &rows, &end) < 1)
        return false;
    if (text[end] != ')')
        return false;
    matrix->rows = rows;
    matrix->dim = dim;
    return true;
}

static mpivf_status
read_header(struct mpivf_context *ctx, const char *path, char text[HEADER], uint64_t *data_at,
            uint64_t *file_bytes)
{
    unsigned char start[12];
    struct mpivf_file file;
    mpivf_status status = mpivf_file_open(ctx, path, &file);
    THEN(status, mpivf_file_size(ctx, path, file_bytes));
    THEN(status, mpivf_file_read(ctx, &file, start, sizeof start, 0));
    if (status == MPIVF_OK) {
        bool wide = start[6] >= 2;
        uint64_t length = start[8] | (uint64_t)start[9] << 8;
        if (wide)
            length |= (uint64_t)start[10] << 16 | (uint64_t)start[11] << 24;
        *data_at = (wide ? 12 : 10) + length;
        if (start[6] < 1 || start[6] > 3 || length >= HEADER)
            status = mpivf_fail(ctx, MPIVF_INPUT,
                                "'%s' is .npy version %d with a header of %llu "
                                "bytes, which no matrix has (records with many fields?)",
                                path, start[6], (unsigned long long)length);
        else
            status = mpivf_file_read(ctx, &file, text, length, wide ? 12 : 10);
        text[length < HEADER ? length : 0] = '\0';
    }
    mpivf_file_drop(&file);
    return status;
}

/* The text of a value in the header, up to what ends it at the outermost level. */
static int
length_of(const char *value)
{
    int depth = 0, length = 0;
    for (; value[length] && (depth > 0 || strchr(",}", value[length]) == NULL); length++)
        depth += strchr("([", value[length]) ? 1 : strchr(")]", value[length]) ? -1 : 0;
    return length;
}

/* Refuse a type that no vector has, with the expression that makes one of it. */
static mpivf_status
refuse_type(struct mpivf_context *ctx, const char *path, const char *descr)
{
    if (descr == NULL)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' is damaged: its header names no type", path);
    if (descr[0] == '[')
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' holds records with fields, which are not read; in "
                          "Python, numpy.lib.recfunctions.structured_to_unstructured makes a "
                          "matrix of them",
                          path);
    if (strncmp(descr, "'|O'", 4) == 0)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' holds Python objects, which are not read; in "
                          "Python, numpy.save('rows.npy', numpy.array(list(numpy.load('%s', "
                          "allow_pickle=True)), 'f4')) makes a matrix of rows",
                          path, path);
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "'%s' holds numpy's type %.*s, which is not read (vectors are "
                      "f16 f32 f64 u8 i8, ids i32 u32 i64 u64); convert it with .astype('f4')",
                      path, length_of(descr) < 24 ? length_of(descr) : 24, descr);
}

static mpivf_status
refuse_shape(struct mpivf_context *ctx, const char *path, const char *shape)
{
    if (shape == NULL || shape[0] != '(')
        return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' is damaged: its header names no shape", path);
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "'%s' is an array of shape %.*s, not a matrix of rows; "
                      "numpy's .reshape(ROWS, -1) makes one of it",
                      path, length_of(shape) < 60 ? length_of(shape) : 60, shape);
}

/* What is after the array is not read: another array, or a header that is wrong. */
static void
tell_rest(struct mpivf_context *ctx, const char *path, uint64_t end, uint64_t bytes)
{
    if (bytes > end)
        mpivf_note(ctx,
                   "'%s' has %llu bytes after the array that its header tells of; they are "
                   "not read",
                   path, (unsigned long long)(bytes - end));
}

static mpivf_status
npy_describe(struct mpivf_context *ctx, struct mpivf_source_plan *plan, mpivf_visit_file visit,
             void *arg)
{
    (void)visit, (void)arg; /* all rows lie in the file itself */
    char text[HEADER];
    const char *path = plan->path;
    uint64_t at, bytes;
    struct mpivf_matrix matrix = {.direct = true};
    mpivf_status status = read_header(ctx, path, text, &at, &bytes);
    if (status)
        return status;
    if (!parse_type(value_of(text, "descr"), &matrix))
        return refuse_type(ctx, path, value_of(text, "descr"));
    if (!parse_shape(value_of(text, "shape"), &matrix))
        return refuse_shape(ctx, path, value_of(text, "shape"));
    const char *fortran = value_of(text, "fortran_order");
    bool by_columns = fortran == NULL || strncmp(fortran, "False", 5) != 0;
    if (by_columns && matrix.dim > 1 && matrix.rows > 1)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "'%s' is stored by columns (Fortran order); in Python, "
                          "numpy.save('rows.npy', numpy.ascontiguousarray(numpy.load('%s'))) "
                          "stores it by rows",
                          path, path);
    uint64_t row_bytes, need;
    if (__builtin_mul_overflow(matrix.dim, mpivf_type_size(matrix.type), &row_bytes) ||
        __builtin_mul_overflow(row_bytes, matrix.rows, &need) || need > bytes - at)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "'%s' is truncated: %llu bytes for %llu rows", path,
                          (unsigned long long)bytes, (unsigned long long)matrix.rows);
    tell_rest(ctx, path, at + need, bytes);
    matrix.offset = at;
    plan->matrix = matrix;
    return mpivf_path(ctx, plan->matrix.file, "%s", path);
}

static const struct mpivf_format npy_format = {"an .npy file", {".npy"}};

const struct mpivf_source_ops mpivf_source_npy = {.name = "npy",
                                                  .format = &npy_format,
                                                  .is = npy_is,
                                                  .describe = npy_describe,
                                                  .open_all = mpivf_source_flat_open_all,
                                                  .read_each = mpivf_source_flat_read_each};
