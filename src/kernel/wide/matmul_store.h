/* The end of a matrix product, the same in all vector tiers: float chains become results. */
#ifndef KERNEL_WIDE_MATMUL_STORE_H
#define KERNEL_WIDE_MATMUL_STORE_H

#include "kernel/kernel.h"
#include "kernel/wide/panel_shape.h"

#include <string.h>

/* Stores the results of one token. */
ALWAYS_INLINE void store_rows(float *out, const float *acc, const uint32_t rows, const bool add)
{
    if (!add)
        memcpy(out, acc, rows * sizeof *out);
    else
        for (uint32_t row = 0; row < rows; row++)
            out[row] += acc[row];
}

/* Stores the results for rows [first, first + count) of activations; each token has one row for each of its planes. */
ALWAYS_INLINE void store(const struct matmul_args *args, uint32_t panel, uint32_t first, uint32_t count,
                         const uint32_t planes, float (*acc)[PANEL_ROWS])
{
    const uint32_t first_row = panel * PANEL_ROWS;
    const uint32_t rows = args->weights->rows - first_row < PANEL_ROWS ? args->weights->rows - first_row : PANEL_ROWS;
    for (uint32_t t = 0; t < count; t += planes) {
        float *out = args->out + (size_t)((first + t) / planes - args->first_token) * args->out_stride +
                     (size_t)(panel - args->first_panel) * PANEL_ROWS;
        if (planes > 1)
            for (uint32_t row = 0; row < PANEL_ROWS; row++)
                acc[t][row] += acc[t + 1][row];
        /* With a constant size, a whole panel is stored with a few moves instead of a loop. */
        if (rows == PANEL_ROWS)
            store_rows(out, acc[t], PANEL_ROWS, args->add);
        else
            store_rows(out, acc[t], rows, args->add);
    }
}

#endif
