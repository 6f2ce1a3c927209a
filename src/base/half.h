/* 16-bit floats: IEEE 754 binary16 ("half", F16) and bfloat16 (BF16), to and from float.
 *
 * Widening is exact. Narrowing rounds to nearest, ties to even, as the conversion instructions of CPUs do; everything
 * is integer arithmetic, so the bits are the same everywhere. NaN stays NaN and keeps its sign and upper payload bits.
 */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00) /* infinity, NaN */
        return float_from_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude >= 0x0400)
        return float_from_bits(sign | ((magnitude << 13) + ((127 - 15) << 23)));
    /* Subnormal: magnitude * 2^-24, which a float holds exactly. */
    return float_from_bits(sign | float_bits((float)magnitude * 0x1p-24f));
}

/* Beyond 65504 by half a unit or more: infinity. */
static inline uint16_t half_from_float(float value)
{
    uint32_t bits = float_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) /* 65520 */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) { /* 2^-14: a normal half */
        uint32_t even = magnitude >> 13 & 1;
        return (uint16_t)(sign | ((magnitude - ((127 - 15) << 23) + 0xfff + even) >> 13));
    }
    /* Subnormal: adding 0.5 moves the unit of a half's last place, 2^-24, to a float's last place, and rounds. */
    float aligned = float_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (float_bits(aligned) - 0x3f000000));
}

/* As half_from_float, but what is too large, infinity included, becomes the largest finite value (numerics: values of
 * the KV cache saturate). NaN stays NaN. */
static inline uint16_t half_from_float_saturated(float value)
{
    uint16_t half = half_from_float(value);
    return (half & 0x7fff) == 0x7c00 ? (uint16_t)(half - 1) : half;
}

static inline float bfloat_to_float(uint16_t bfloat)
{
    return float_from_bits((uint32_t)bfloat << 16);
}

static inline uint16_t bfloat_from_float(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
