/* The operations on single vectors: definitions that every tier must equal bit for bit (docs/numerics.md). */
#include "kernel/arithmetic.h"
#include "kernel/kernel.h"

#include <stdlib.h>

void rmsnorm_generic(const struct rmsnorm_args *args)
{
    float sum[16] = {0};
    for (uint32_t i = 0; i < args->size; i++)
        sum[i % 16] = float_fma(args->x[i], args->x[i], sum[i % 16]);
    for (uint32_t half = 8; half >= 1; half /= 2)
        for (uint32_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    float scale = 1.0f / __builtin_sqrtf(sum[0] / (float)args->size + args->epsilon);
    for (uint32_t i = 0; i < args->size; i++)
        args->out[i] = (args->x[i] * scale) * args->weight[i];
}

void rotate_generic(const struct rotate_args *args)
{
    for (uint32_t h = 0; h < args->count; h++)
        for (uint32_t i = 0; i < args->pairs; i++) {
            float *pair = args->heads + (size_t)h * args->head_dim + 2 * (size_t)i;
            const float a = pair[0], b = pair[1];
            pair[0] = a * args->cosine[i] - b * args->sine[i];
            pair[1] = a * args->sine[i] + b * args->cosine[i];
        }
}

/* Sums of the codes of one block. */
static void sum_codes(const struct quantize_args *args, size_t at)
{
    const int8_t *codes = args->codes + at * args->block;
    bool large = false;
    for (uint32_t i = 0; i < args->block / 32; i++) {
        int16_t *sums16 = args->sums16 + at * (args->block / 16) + i * 2;
        int sum[2] = {0}, magnitude[2] = {0};
        for (uint32_t j = 0; j < 32; j++) {
            sum[j / 16] += codes[i * 32 + j];
            magnitude[j / 16] += abs(codes[i * 32 + j]);
        }
        large = large || magnitude[0] > MAX_SMALL_SUM || magnitude[1] > MAX_SMALL_SUM;
        sums16[0] = (int16_t)sum[0];
        sums16[1] = (int16_t)sum[1];
        args->sums32[at * (args->block / 32) + i] = (int16_t)(sum[0] + sum[1]);
    }
    if (args->large)
        args->large[at] = large;
}

void quantize_generic(const struct quantize_args *args)
{
    for (uint32_t b = 0; b < args->size / args->block; b++) {
        const float *x = args->x + (size_t)b * args->block;
        const size_t at = (size_t)b * args->stride;
        int8_t *codes = args->codes + at * args->block, *fine = args->planes > 1 ? codes + args->block : NULL;
        args->scales[at] = float_codes(x, args->block, codes, fine);
        sum_codes(args, at);
        if (fine) {
            args->scales[at + 1] = args->scales[at] / 128.0f;
            sum_codes(args, at + 1);
        }
    }
}

void swiglu_generic(const struct swiglu_args *args)
{
    for (uint32_t i = 0; i < args->size; i++) {
        float gate = args->gate[i];
        args->out[i] = gate / (1.0f + float_exp(-gate)) * args->up[i];
    }
}

void peaks_generic(const struct peaks_args *args)
{
    for (uint32_t first = 0; first < args->size; first += PEAK_VALUES) {
        const uint32_t left = args->size - first, count = left < PEAK_VALUES ? left : PEAK_VALUES;
        int32_t most = INT32_MIN;
        bool is_nan = false;
        for (uint32_t i = first; i < first + count; i++) {
            const int32_t bits = (int32_t)float_bits(args->x[i]), order = float_order(bits);
            most = order > most ? order : most;
            is_nan = is_nan || (bits & INT32_MAX) > 0x7f800000;
        }
        args->peaks[first / PEAK_VALUES] = is_nan ? __builtin_nanf("") : float_from_bits((uint32_t)float_order(most));
    }
}

void exponentials_generic(const struct exponentials_args *args)
{
    double sum[16] = {0};
    for (uint32_t i = 0; i < args->size; i++) {
        float value = float_exp(args->x[i] - args->maximum);
        if (args->out)
            args->out[i] = value;
        sum[i % 16] += (double)value;
    }
    for (uint32_t half = 8; half >= 1; half /= 2)
        for (uint32_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    *args->sum = sum[0];
}
