#include <mpivf/type.h>

static const struct {
    const char *name;
    size_t size;
} types[MPIVF_TYPES] = {
    [MPIVF_F16] = {"f16", 2}, [MPIVF_F32] = {"f32", 4}, [MPIVF_F64] = {"f64", 8},
    [MPIVF_U8] = {"u8", 1},   [MPIVF_I8] = {"i8", 1},   [MPIVF_I32] = {"i32", 4},
    [MPIVF_U32] = {"u32", 4}, [MPIVF_I64] = {"i64", 8}, [MPIVF_U64] = {"u64", 8},
};

static const char *const metrics[MPIVF_METRICS] = {"l2", "ip", "cosine"};

size_t
mpivf_type_size(enum mpivf_type type)
{
    return types[type].size;
}

const char *
mpivf_type_name(enum mpivf_type type)
{
    return types[type].name;
}

const char *
mpivf_metric_name(int metric)
{
    return metric < MPIVF_METRICS ? metrics[metric] : NULL;
}

const char *
mpivf_bad_rows_name(int bad_rows)
{
    static const char *const name[] = {"fail", "skip", NULL};
    return name[bad_rows];
}
