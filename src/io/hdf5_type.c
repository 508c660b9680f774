#include "io/hdf5_internal.h"

static hid_t
half_float(bool big_endian)
{
    hid_t type = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

/* The type in a file; to be closed. */
hid_t
mpivf_h5_type_of(enum mpivf_type type, bool big_endian)
{
    switch (type) {
    case MPIVF_F16:
        return half_float(big_endian);
    case MPIVF_F32:
        return H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    case MPIVF_F64:
        return H5Tcopy(big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE);
    case MPIVF_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case MPIVF_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case MPIVF_I32:
        return H5Tcopy(big_endian ? H5T_STD_I32BE : H5T_STD_I32LE);
    case MPIVF_U32:
        return H5Tcopy(big_endian ? H5T_STD_U32BE : H5T_STD_U32LE);
    case MPIVF_I64:
        return H5Tcopy(big_endian ? H5T_STD_I64BE : H5T_STD_I64LE);
    case MPIVF_U64:
        return H5Tcopy(big_endian ? H5T_STD_U64BE : H5T_STD_U64LE);
    case MPIVF_TYPES:
        break;
    }
    return -1;
}

/* Which of our types a file's type is; false when none. */
bool
mpivf_h5_type_ours(hid_t type, enum mpivf_type *ours, bool *swapped)
{
    bool big = H5Tget_size(type) > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    for (int t = 0; t < MPIVF_TYPES; t++) {
        hid_t candidate = mpivf_h5_type_of((enum mpivf_type)t, big);
        bool same = H5Tequal(candidate, type) > 0;
        H5Tclose(candidate);
        if (same) {
            *ours = (enum mpivf_type)t;
            *swapped = big;
            return true;
        }
    }
    return false;
}

const char *
mpivf_h5_type_class(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return "integers";
    case H5T_FLOAT:
        return "floating-point numbers";
    case H5T_STRING:
        return "strings";
    case H5T_COMPOUND:
        return "compounds";
    case H5T_ENUM:
        return "enumerations or booleans";
    case H5T_VLEN:
        return "variable-length lists";
    default:
        return "an unusual type";
    }
}
