#include "io/hdf5_internal.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_OBJECTS = 10000, /* that are looked at: an error is to be told soon */
    ROOM = 280           /* of the list */
};

/* The datasets of a file as they are met: those of two dimensions and those of one. */
struct contents {
    char list[2][ROOM]; /* "X (700 x 50 f32), Y (700 x 2 f64)" */
    int told[2], found[2];
    char first[2][ROOM]; /* the name of the first that could hold vectors, or ids */
    int fit[2];
    int objects;
};

/* List `name`, of that many dimensions, as long as there is room. */
static void
list(struct contents *contents, int dims, const char *name, const char *what)
{
    char *text = contents->list[2 - dims];
    size_t used = strlen(text);
    contents->found[2 - dims]++;
    if (used + strlen(name) + strlen(what) + 6 >= ROOM)
        return;
    snprintf(text + used, ROOM - used, "%s%s (%s)", used ? ", " : "", name, what);
    contents->told[2 - dims]++;
}

static void
add(struct contents *contents, const char *name, hid_t dataset)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    enum mpivf_type ours = MPIVF_TYPES;
    bool swapped, known = mpivf_h5_type_ours(type, &ours, &swapped);
    hsize_t dim[2] = {0, 0};
    char shape[64];
    int dims = H5Sget_simple_extent_ndims(space);
    if (known && (dims == 1 || dims == 2) && H5Sget_simple_extent_dims(space, dim, NULL) == dims) {
        int n = snprintf(shape, sizeof shape, "%llu ", (unsigned long long)dim[0]);
        if (dims == 2)
            n += snprintf(shape + n, sizeof shape - (size_t)n, "x %llu ",
                          (unsigned long long)dim[1]);
        snprintf(shape + n, sizeof shape - (size_t)n, "%s", mpivf_type_name(ours));
        list(contents, dims, name, shape);
        bool fits = dims == 2 ? ours <= MPIVF_I8 : ours >= MPIVF_I32;
        if (fits && contents->fit[2 - dims]++ == 0)
            snprintf(contents->first[2 - dims], ROOM, "%s", name);
    }
    H5Tclose(type);
    H5Sclose(space);
}

static herr_t
visit(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct contents *contents = arg;
    if (contents->objects++ == MAX_OBJECTS)
        return 1;
    if (info->type !=
        H5L_TYPE_HARD) { /* what it leads to may be something that opening waits for */
        list(contents, 1, name, "a link");
        return 0;
    }
    hid_t id = H5Oopen(group, name, H5P_DEFAULT);
    if (id >= 0 && H5Iget_type(id) == H5I_DATASET)
        add(contents, name, id);
    if (id >= 0)
        H5Oclose(id);
    return 0;
}

void
mpivf_h5_contents(hid_t file, const char *path, const char *object, char *text, size_t size)
{
    struct contents contents = {.objects = 0};
    bool ids = strcmp(object, "id") == 0, rows = strcmp(object, "train") == 0;
    H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &contents);
    H5Eclear2(H5E_DEFAULT);
    int found = contents.found[0] + contents.found[1], told = contents.told[0] + contents.told[1];
    bool all = told == found && contents.objects <= MAX_OBJECTS;
    const char *between = contents.list[0][0] && contents.list[1][0] ? ", " : "";
    if (found == 0)
        snprintf(text, size, "the file has no dataset of numbers with one or two dimensions");
    else if ((ids || rows) && contents.fit[ids] == 1)
        snprintf(text, size, "did you mean '%s:%s'? The file has %s%s%s", path, contents.first[ids],
                 contents.list[0], between, contents.list[1]);
    else
        snprintf(text, size, "the file has %s%s%s", contents.list[0], between, contents.list[1]);
    size_t used = strlen(text);
    if (!all)
        snprintf(text + used, size - used, " and more, which h5ls -r lists");
}
