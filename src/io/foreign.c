#include "io/foreign.h"

#include "base/text.h"
#include "base/then.h"
#include "io/file.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes looked at; of a path that is told in a cure; of a kind's name. */
enum { HEAD = 512, LONGEST = 120, KIND = 32 };

/* A file as it is looked at. */
struct foreign {
    struct mpivf_context *ctx;
    const char *path, *object;
    enum mpivf_foreign_use use;
    const struct mpivf_format *const *format; /* [formats], those that are read */
    int formats;
    uint64_t bytes;
    size_t known; /* bytes of head */
    unsigned char head[HEAD + 1];
};

/* A kind with a program that turns it into something else. */
static const struct {
    const char *magic;
    size_t length, at;
    const char *what, *cure;
} others[] = {
    {"\x1f\x8b", 2, 0, "compressed by gzip", "gunzip it first"},
    {"BZh", 3, 0, "compressed by bzip2", "bunzip2 it first"},
    {"\xfd"
     "7zXZ",
     5, 0, "compressed by xz", "unxz it first"},
    {"\x28\xb5\x2f\xfd", 4, 0, "compressed by zstd", "unzstd it first"},
    {"ustar", 5, 257, "a tar archive", "unpack it first"},
    {"CDF\x01", 4, 0, "a netCDF file of the classic kind", "convert it with nccopy -k netCDF-4"},
    {"CDF\x02", 4, 0, "a netCDF file of the classic kind", "convert it with nccopy -k netCDF-4"},
    {"\x0e\x03\x13\x01", 4, 0, "an HDF4 file", "convert it with h4toh5"},
    {"version https://git-lfs", 23, 0, "what Git LFS keeps in place of a file",
     "git lfs pull brings the file itself"},
    {"<!DOCTYPE", 9, 0, "a web page", "the download of the file has failed"},
    {"<!doctype", 9, 0, "a web page", "the download of the file has failed"},
    {"<html", 5, 0, "a web page", "the download of the file has failed"},
};

/* A kind that Python reads, by an expression with the path in it. */
static const struct {
    const char *magic;
    size_t length, at;
    const char *what, *before, *after;
} pythons[] = {
    {"\x93NUMPY", 6, 0, "an .npy file", "numpy.load('", "')"},
    {"PAR1", 4, 0, "a Parquet file", "numpy.stack(pandas.read_parquet('", "')['COLUMN'])"},
    {"ARROW1", 6, 0, "an Arrow file", "numpy.stack(pandas.read_feather('", "')['COLUMN'])"},
    {"MATLAB 5.0", 10, 0, "a MATLAB file of version 5", "scipy.io.loadmat('", "')['NAME']"},
    {"{\"", 2, 8, "a safetensors file", "safetensors.numpy.load_file('", "')['NAME']"},
    {"IxF", 3, 0, "a Faiss index", "faiss.read_index('", "').reconstruct_n()"},
    {"\x80\x02", 2, 0, "a pickle", "numpy.asarray(pickle.load(open('", "', 'rb')))"},
    {"\x80\x03", 2, 0, "a pickle", "numpy.asarray(pickle.load(open('", "', 'rb')))"},
    {"\x80\x04", 2, 0, "a pickle", "numpy.asarray(pickle.load(open('", "', 'rb')))"},
    {"\x80\x05", 2, 0, "a pickle", "numpy.asarray(pickle.load(open('", "', 'rb')))"},
};

/* Formats of benchmarks, which are told by their names: the size has to be as the head says. */
static const struct {
    const char *ending;
    const char *type; /* as numpy calls it */
    unsigned size;
    bool vecs; /* each row is led by its columns; else the file by rows and columns */
} benchmarks[] = {
    {".fbin", "f4", 4, false},  {".f16bin", "f2", 2, false}, {".u8bin", "u1", 1, false},
    {".i8bin", "i1", 1, false}, {".ibin", "i4", 4, false},   {".fvecs", "f4", 4, true},
    {".ivecs", "i4", 4, true},  {".bvecs", "u1", 1, true},
};

static bool
begins(const struct foreign *f, const char *magic, size_t length, size_t at)
{
    return f->known >= at + length && memcmp(f->head + at, magic, length) == 0;
}

static uint32_t
word_at(const struct foreign *f, size_t at)
{
    const unsigned char *b = f->head + at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Fail with a Python expression as the cure. */
static mpivf_status
refuse(const struct foreign *f, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static mpivf_status
refuse(const struct foreign *f, const char *what, const char *format, ...)
{
    char expression[2 * LONGEST + 120];
    va_list args;
    va_start(args, format);
    vsnprintf(expression, sizeof expression, format, args);
    va_end(args);
    if (f->use == MPIVF_FOREIGN_ROWS)
        return mpivf_fail(f->ctx, MPIVF_INPUT,
                          "'%s' is %s, which is not read; in Python, "
                          "numpy.save('rows.npy', %s) makes a file that is",
                          f->path, what, expression);
    return mpivf_fail(f->ctx, MPIVF_INPUT,
                      "'%s' is %s, which is not read; in Python, "
                      "h5py.File('new.h5', 'w')['neighbors'] = %s makes a file that is",
                      f->path, what, expression);
}

/* The path for a cure. */
static const char *
shown(const struct foreign *f)
{
    return strlen(f->path) <= LONGEST && strchr(f->path, '\'') == NULL ? f->path : "FILE";
}

static mpivf_status
refuse_zip(const struct foreign *f)
{
    char name[LONGEST];
    size_t length = f->known >= 30 ? word_at(f, 26) & 0xffff : 0;
    length = length < sizeof name && 30 + length <= f->known ? length : 0;
    snprintf(name, sizeof name, "%.*s", (int)length, (const char *)f->head + 30);
    if (mpivf_ends_with(name, ".npy")) {
        name[strlen(name) - 4] = '\0';
        return refuse(f, "an .npz archive", "numpy.load('%s')['%s']", shown(f),
                      f->object[0] && strlen(f->object) < LONGEST ? f->object : name);
    }
    if (mpivf_ends_with(name, "/data.pkl"))
        return refuse(f, "a PyTorch archive", "torch.load('%s').numpy()", shown(f));
    return mpivf_fail(f->ctx, MPIVF_INPUT,
                      "'%s' is a zip archive, which is not read; unzip it first", f->path);
}

/* "an .fbin file", as it is said aloud */
static void
name_kind(char what[KIND], const char *ending)
{
    snprintf(what, KIND, "%s %s file", strchr("bu", ending[1]) ? "a" : "an", ending);
}

static mpivf_status
refuse_vecs(const struct foreign *f, const char *ending, const char *type, unsigned size)
{
    uint64_t columns = word_at(f, 0), row = 4 + columns * size, lead = 4 / size;
    char what[KIND];
    name_kind(what, ending);
    if (columns == 0 || f->bytes % row != 0)
        return mpivf_fail(f->ctx, MPIVF_INPUT,
                          "'%s' is named as %s, but its %llu bytes are no "
                          "whole rows of %llu columns, as its first says",
                          f->path, what, (unsigned long long)f->bytes, (unsigned long long)columns);
    return refuse(f, what, "numpy.fromfile('%s', '%s').reshape(-1, %llu)[:, %llu:]", shown(f), type,
                  (unsigned long long)(columns + lead), (unsigned long long)lead);
}

static mpivf_status
refuse_xbin(const struct foreign *f, const char *ending, const char *type, unsigned size)
{
    uint64_t rows = word_at(f, 0), columns = word_at(f, 4), need;
    char what[KIND];
    name_kind(what, ending);
    if (__builtin_mul_overflow(rows * size, columns, &need) || need > UINT64_MAX - 8 ||
        f->bytes < need + 8)
        return mpivf_fail(f->ctx, MPIVF_INPUT,
                          "'%s' is named as %s, but its %llu bytes are too "
                          "few for the %llu rows of %llu columns that it tells of",
                          f->path, what, (unsigned long long)f->bytes, (unsigned long long)rows,
                          (unsigned long long)columns);
    return refuse(f, what, "numpy.fromfile('%s', '%s', %llu, offset=8).reshape(%llu, %llu)",
                  shown(f), type, (unsigned long long)(rows * columns), (unsigned long long)rows,
                  (unsigned long long)columns);
}

/* Knn ground truth of big-ann-benchmarks: as many ids, and perhaps distances, as it says. */
static bool
is_truth(const struct foreign *f)
{
    uint64_t cells = (uint64_t)word_at(f, 0) * word_at(f, 4);
    return f->known >= 8 && cells > 0 && (f->bytes == 8 + 4 * cells || f->bytes == 8 + 8 * cells);
}

static bool
is_text(const struct foreign *f)
{
    for (size_t i = 0; i < f->known; i++)
        if (f->head[i] == 127 || (f->head[i] < ' ' && strchr("\t\r\n", f->head[i]) == NULL) ||
            f->head[i] == '\0')
            return false;
    return f->known > 0;
}

static mpivf_status
refuse_text(const struct foreign *f)
{
    const char *text = (const char *)f->head;
    size_t line = strcspn(text, "\r\n");
    const char *separator = memchr(text, ',', line)    ? ","
                            : memchr(text, '\t', line) ? "\\t"
                            : memchr(text, ';', line)  ? ";"
                                                       : " ";
    if (text[0] == '[' || text[0] == '{')
        return refuse(f, "JSON", "numpy.array(json.load(open('%s')), 'f4')", shown(f));
    return refuse(f, "a text file", "numpy.loadtxt('%s', 'f4', delimiter='%s')", shown(f),
                  separator);
}

static bool
holds(const struct foreign *f, const char *name)
{
    char path[MPIVF_PATH];
    int length = snprintf(path, sizeof path, "%s/%s", f->path, name);
    return length < MPIVF_PATH && mpivf_file_regular(path);
}

static mpivf_status
refuse_folder(const struct foreign *f)
{
    bool asked = f->object[0] != '\0' && strlen(f->object) < LONGEST, group = holds(f, ".zgroup");
    if (asked && (group || holds(f, "zarr.json")))
        return refuse(f, "a Zarr folder", "zarr.open('%s')['%s'][:]", shown(f), f->object);
    if (group || holds(f, ".zarray") || holds(f, "zarr.json"))
        return refuse(f, "a Zarr folder", "zarr.open('%s')%s[:]", shown(f),
                      group ? "['ARRAY']" : "");
    return mpivf_fail(f->ctx, MPIVF_INPUT, "'%s' is a folder; name a file in it", f->path);
}

/* "neither an HDF5 file nor an .npy file" */
static void
name_formats(const struct foreign *f, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", f->formats == 1 ? "not " : "neither ");
    for (int i = 0; i < f->formats && n >= 0 && (size_t)n < size; i++)
        n += snprintf(text + n, size - (size_t)n, "%s%s", i ? " nor " : "", f->format[i]->title);
}

static mpivf_status
refuse_unknown(const struct foreign *f)
{
    char none[256];
    for (int i = 0; i < f->formats; i++)
        for (const char *const *ending = f->format[i]->ending; *ending; ending++)
            if (mpivf_ends_with(f->path, *ending))
                return mpivf_fail(f->ctx, MPIVF_INPUT,
                                  "'%s' is damaged, or not what it is named: it does not begin as "
                                  "%s does",
                                  f->path, f->format[i]->title);
    name_formats(f, none, sizeof none);
    if (f->use == MPIVF_FOREIGN_NEIGHBOURS)
        return mpivf_fail(f->ctx, MPIVF_INPUT, "'%s' is %s", f->path, none);
    return mpivf_fail(f->ctx, MPIVF_INPUT,
                      "'%s' is %s, or damaged; in Python, numpy.save('rows.npy', "
                      "numpy.fromfile('%s', 'f4').reshape(-1, COLUMNS)) makes one of bare float32 "
                      "rows",
                      f->path, none, shown(f));
}

static mpivf_status
refuse_file(const struct foreign *f)
{
    if (f->bytes == 0)
        return mpivf_fail(f->ctx, MPIVF_INPUT, "'%s' is empty", f->path);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (begins(f, others[i].magic, others[i].length, others[i].at))
            return mpivf_fail(f->ctx, MPIVF_INPUT, "'%s' is %s, which is not read; %s", f->path,
                              others[i].what, others[i].cure);
    if (begins(f, "PK\x03\x04", 4, 0))
        return refuse_zip(f);
    for (size_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++)
        if (mpivf_ends_with(f->path, benchmarks[i].ending) && f->known >= 8)
            return (benchmarks[i].vecs ? refuse_vecs : refuse_xbin)(
                f, benchmarks[i].ending, benchmarks[i].type, benchmarks[i].size);
    if (f->use == MPIVF_FOREIGN_NEIGHBOURS && is_truth(f))
        return refuse_xbin(f, ".bin", "i4", 4);
    for (size_t i = 0; i < sizeof pythons / sizeof pythons[0]; i++)
        if (begins(f, pythons[i].magic, pythons[i].length, pythons[i].at))
            return refuse(f, pythons[i].what, "%s%s%s", pythons[i].before, shown(f),
                          pythons[i].after);
    if (is_text(f))
        return refuse_text(f);
    return refuse_unknown(f);
}

mpivf_status
mpivf_foreign_refuse(struct mpivf_context *ctx, const char *path, const char *object,
                     enum mpivf_foreign_use use, const struct mpivf_format *const *format,
                     int formats)
{
    struct foreign f = {.ctx = ctx,
                        .path = path,
                        .object = object,
                        .use = use,
                        .format = format,
                        .formats = formats};
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return refuse_folder(&f);
    struct mpivf_file file;
    mpivf_status status = mpivf_file_open(ctx, path, &file);
    THEN(status, mpivf_file_size(ctx, path, &f.bytes));
    f.known = f.bytes < HEAD ? f.bytes : HEAD;
    THEN(status, mpivf_file_read(ctx, &file, f.head, f.known, 0));
    mpivf_file_drop(&file);
    THEN(status, refuse_file(&f));
    return status;
}
