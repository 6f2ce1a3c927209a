/* Encoding rows of float. For the block formats several scales are tried, ggml's reference choice among them, each as
 * it will be stored (rounded to F16) and with the codes that are nearest under it; the one with the least squared error
 * is kept. So no block is worse than with the reference method, which rounds codes under the unrounded scale. */
#include "quant/quant.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 32 };

bool quant_can_encode(uint32_t type)
{
    return type == GGUF_F32 || type == GGUF_F16 || type == GGUF_BF16 || type == GGUF_Q8_0 || type == GGUF_Q4_0;
}

/* A format of 32 columns with one scale: codes from low to high, stored with offset -low or signed. */
struct grid {
    float low;
    float high;
};

struct trial {
    float error; /* sum of squares, negative: none yet */
    uint16_t d_bits;
    float codes[COLUMNS];
};

/* Codes nearest to x / d within the grid; the sum has eight fixed partial sums, so that it vectorizes and its result
 * does not depend on the compiler. */
static float codes_choose(const struct grid *grid, float d, const float *x, float *codes)
{
    float partial[8] = {0};
    float inverse = d != 0 ? 1 / d : 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        float code = x[i] * inverse;
        code = code < grid->low ? grid->low : code;
        code = code > grid->high ? grid->high : code;
        codes[i] = (float)(int32_t)(code + (code < 0 ? -0.5f : 0.5f));
    }
    for (size_t i = 0; i < COLUMNS; i += 8)
        for (size_t k = 0; k < 8; k++) {
            float difference = x[i + k] - d * codes[i + k];
            partial[k] += difference * difference;
        }
    return ((partial[0] + partial[4]) + (partial[1] + partial[5])) +
           ((partial[2] + partial[6]) + (partial[3] + partial[7]));
}

static void trial_run(const struct grid *grid, float d, const float *x, struct trial *best)
{
    if (!isfinite(d)) /* a fit over huge values */
        return;
    struct trial trial = {.d_bits = half_from_float_saturated(d)};
    float stored = half_to_float(trial.d_bits);
    trial.error = codes_choose(grid, stored, x, trial.codes);
    if (best->error < 0 || trial.error < best->error)
        *best = trial;
}

/* The scale with the smallest squared error for given codes. */
static float scale_fit(const float *x, const float *codes, float fallback)
{
    float xq = 0;
    float qq = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        xq += x[i] * codes[i];
        qq += codes[i] * codes[i];
    }
    return qq > 0 ? xq / qq : fallback;
}

/* The value of largest magnitude, with its sign; the first of equals. */
static float extreme(const float *x)
{
    float value = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        if (fabsf(x[i]) > fabsf(value))
            value = x[i];
    return value;
}

static void store_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static void encode_q8_0(const float *x, uint8_t *out)
{
    static const struct grid grid = {-127, 127};
    struct trial best = {.error = -1};
    float d = fabsf(extreme(x)) / 127;
    trial_run(&grid, d, x, &best);
    trial_run(&grid, scale_fit(x, best.codes, d), x, &best);
    store_u16(out, best.d_bits);
    for (size_t i = 0; i < COLUMNS; i++)
        out[2 + i] = (uint8_t)(int8_t)best.codes[i];
}

static void encode_q4_0(const float *x, uint8_t *out)
{
    static const struct grid grid = {-8, 7};
    /* The extreme value as -8 is ggml's choice; between and beside it and -7 better ones are often found, and sometimes
     * with the other sign, where the largest value is 7. */
    static float const divisors[] = {-8, -7.6f, -7.2f, -6.8f, -8.4f, 7, 7.4f};
    struct trial best = {.error = -1};
    float value = extreme(x);
    for (size_t i = 0; i < sizeof divisors / sizeof divisors[0]; i++)
        trial_run(&grid, value / divisors[i], x, &best);
    for (int i = 0; i < 2; i++)
        trial_run(&grid, scale_fit(x, best.codes, half_to_float(best.d_bits)), x, &best);
    store_u16(out, best.d_bits);
    for (size_t i = 0; i < COLUMNS / 2; i++) {
        unsigned low = (unsigned)((int)best.codes[i] + 8);
        unsigned high = (unsigned)((int)best.codes[i + COLUMNS / 2] + 8);
        out[2 + i] = (uint8_t)(low | high << 4);
    }
}

int quant_row_encode(uint32_t type, const float *values, void *blocks, size_t columns)
{
    const struct gguf_type_info *info = gguf_type_find(type);
    uint8_t *out = blocks;
    if (!quant_can_encode(type) || columns % info->block_columns != 0)
        return SMOLLM_EINVAL;
    for (size_t i = 0; i < columns; i++)
        if ((float_bits(values[i]) & 0x7f800000) == 0x7f800000)
            return SMOLLM_ENUMERIC;
    switch (type) {
    case GGUF_F32:
        memcpy(out, values, columns * sizeof(float));
        break;
    case GGUF_F16:
        for (size_t i = 0; i < columns; i++)
            store_u16(out + 2 * i, half_from_float_saturated(values[i]));
        break;
    case GGUF_BF16:
        for (size_t i = 0; i < columns; i++)
            store_u16(out + 2 * i, bfloat_from_float(values[i]));
        break;
    default:
        for (size_t i = 0; i < columns; i += COLUMNS, out += info->block_bytes)
            type == GGUF_Q8_0 ? encode_q8_0(values + i, out) : encode_q4_0(values + i, out);
        break;
    }
    return 0;
}
