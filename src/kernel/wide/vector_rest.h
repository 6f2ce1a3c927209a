/* The values of a vector that do not fill a whole register, the same in all vector tiers. */
#ifndef KERNEL_WIDE_VECTOR_REST_H
#define KERNEL_WIDE_VECTOR_REST_H

#include "kernel/arithmetic.h"
#include "kernel/kernel.h"

static inline void swiglu_rest(const struct swiglu_args *args, uint32_t first)
{
    for (uint32_t i = first; i < args->size; i++) {
        const float gate = args->gate[i];
        args->out[i] = gate / (1.0f + float_exp(-gate)) * args->up[i];
    }
}

/* first is a multiple of 16. sum holds the sixteen partial sums so far and is overwritten. */
static inline void exponentials_rest(const struct exponentials_args *args, uint32_t first, double sum[16])
{
    for (uint32_t i = first; i < args->size; i++) {
        const float value = float_exp(args->x[i] - args->maximum);
        if (args->out)
            args->out[i] = value;
        sum[i - first] += (double)value;
    }
    for (uint32_t half = 8; half >= 1; half /= 2)
        for (uint32_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    *args->sum = sum[0];
}

#endif
