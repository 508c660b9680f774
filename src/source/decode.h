/* decode: elements as they lie in files into numbers as we compute with them. */
#ifndef MPIVF_SOURCE_DECODE_H
#define MPIVF_SOURCE_DECODE_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * n elements of `raw` to float32, rounded to nearest. `out` may overlap `raw` when raw's last
 * byte is out's last byte and elements have at most 4 bytes, or when both start together and
 * elements have at least 4. Local.
 */
void
mpivf_decode_f32(enum mpivf_type type, bool swapped, const void *raw, size_t n, float *out);

/* The same to float64, exactly; `raw` starting where `out` does or ending where it ends. Local. */
void
mpivf_decode_f64(enum mpivf_type type, bool swapped, const void *raw, size_t n, double *out);

/*
 * Rows of float64 to the nearest float32; `out` may start where `wide` does. lost[i], unless NULL,
 * becomes the square of the length of what row i loses: not a number, or infinite, where float32
 * cannot hold it. Local.
 */
void
mpivf_decode_narrow(const double *wide, size_t rows, size_t dim, float *out, double *lost);

/* Elements to int64, for ids, `raw` starting where `out` does or ending where it ends. Local. */
void
mpivf_decode_i64(enum mpivf_type type, bool swapped, const void *raw, size_t n, int64_t *out);

/* Reverse the bytes of each of n elements, in place. Local. */
void
mpivf_decode_swap(enum mpivf_type type, void *raw, size_t n);

/* binary16 to float32 and back, rounded to nearest even, as IEEE 754 has it. Local. */
float
mpivf_half_to_float(uint16_t half);
uint16_t
mpivf_half_from_float(float value);

#endif
