/* Matrix product with AVX2, FMA and F16C: the bits of matmul_generic.
 *
 * Eight rows are the lanes of a register (an "octet" of a panel), so the float chain of a row needs no horizontal sum.
 * Products of codes and activations are summed in int16 (vpmaddubsw) for as many units of four columns as the width of
 * the codes allows, then widened and multiplied by the integer scale at once (vpmaddwd). Signed codes trade signs with
 * the activations first, since vpmaddubsw wants one unsigned side. */
#include "kernel/activations.h"
#include "kernel/packed_codes.h"

#include <immintrin.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { UNIT = PANEL_ROWS * 4, OCTET = 8, OCTETS = PANEL_ROWS / OCTET, UNITS = GROUP_COLUMNS / 4 };

/* What the compiler must know of a type: see struct packed_layout. */
struct shape {
    uint32_t block_columns, sub_columns, bits;
    int32_t offset;
    bool is_signed, has_table, has_min;
};

ALWAYS_INLINE __m256i load(const uint8_t *data)
{
    return _mm256_loadu_si256((const __m256i *)data);
}

/* Bits [from, from + width) of each byte, moved to bit `to`. */
ALWAYS_INLINE __m256i take_bits(__m256i x, int from, int width, int to)
{
    x = from > to ? _mm256_srli_epi16(x, from - to) : _mm256_slli_epi16(x, to - from);
    return _mm256_and_si256(x, _mm256_set1_epi8((char)(((1 << width) - 1) << to)));
}

/* Codes of unit g (columns 4g to 4g + 3) of eight rows; codes points at the octet's bytes of the first unit. */
ALWAYS_INLINE __m256i unit_codes(struct shape s, const uint8_t *codes, int g)
{
    if (s.bits == 8)
        return load(codes + g * UNIT);
    __m256i x = _mm256_setzero_si256();
    int shift = 0;
    if (s.bits & 4) {
        x = take_bits(load(codes + g % 4 * UNIT), g / 4 * 4, 4, 0);
        codes += 4 * UNIT;
        shift = 4;
    }
    if (s.bits & 2) {
        x = _mm256_or_si256(x, take_bits(load(codes + g % 2 * UNIT), g / 2 * 2, 2, shift));
        codes += 2 * UNIT;
        shift += 2;
    }
    if (s.bits & 1)
        x = _mm256_or_si256(x, take_bits(load(codes), g, 1, shift));
    if (s.has_table) {
        const __m128i table = _mm_loadu_si128((const __m128i *)packed_iq4_values);
        x = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), x);
    }
    return x;
}

/* How many units vpmaddubsw results of a code width may be added in int16: 2 * 127 * (2^bits - 1) * n < 2^15. */
ALWAYS_INLINE int drain_depth(struct shape s)
{
    int units = (int)s.sub_columns / 4;
    int depth = s.is_signed || s.bits == 8 ? 1 : s.bits == 6 ? 2 : s.bits == 5 ? 4 : 8;
    return depth < units ? depth : units;
}

/* The int32 of two neighbouring int16 sums in every lane. */
ALWAYS_INLINE __m256i broadcast_pair(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm256_set1_epi32(both);
}

/* The scale of sub-block sub for eight rows, in both int16 halves of each lane. */
ALWAYS_INLINE __m256i scale_of(const uint8_t *scales, int sub)
{
    __m256i pairs = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(scales + sub / 2 * PANEL_ROWS * 2)));
    const __m256i even = _mm256_set1_epi32(0x01000100),
                  lanes =
                      _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    __m256i index = _mm256_add_epi8(lanes, even);
    if (sub % 2)
        index = _mm256_add_epi8(index, _mm256_set1_epi8(2));
    return _mm256_shuffle_epi8(pairs, index);
}

/* One tile: `octets` octets from first_octet on, T tokens, all columns. */
ALWAYS_INLINE void tile(struct shape s, const struct matmul_args *args, const uint8_t *panel, int first_octet,
                        const int octets, uint32_t token, const int T, uint32_t first_row)
{
    const struct packed_matrix *w = args->weights;
    const struct packed_layout *layout = w->layout;
    const struct activations_int8 *form = &args->input->int8[s.block_columns == 256];
    const uint32_t columns = w->columns, blocks = columns / s.block_columns;
    const int groups = (int)(s.block_columns / GROUP_COLUMNS);
    const int8_t *y = form->codes + (size_t)token * columns;
    const int16_t *sums32 = form->sums32 + (size_t)token * (columns / 32);
    const int16_t *sums16 = form->sums16 + (size_t)token * (columns / 16);
    const float *scales = form->scales + (size_t)token * blocks;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256 acc[4][4];
    UNROLL
    for (int o = 0; o < octets; o++) {
        UNROLL
        for (int t = 0; t < T; t++)
            acc[o][t] = _mm256_setzero_ps();
    }
    for (uint32_t b = 0; b < blocks; b++, panel += layout->block_bytes) {
        UNROLL
        for (int o = 0; o < octets; o++) {
            const int row = (first_octet + o) * OCTET;
            const uint8_t *pair_scales = panel + PANEL_ROWS * 2 * (s.has_min ? 2 : 1) + row * 2;
            const uint8_t *pair_mins = pair_scales + s.block_columns / s.sub_columns * PANEL_ROWS;
            const uint8_t *codes = panel + layout->codes_at + row * 4;
            __m256i total[4];
            UNROLL
            for (int t = 0; t < T; t++)
                total[t] = _mm256_setzero_si256();
            for (int group = 0; group < groups; group++, codes += layout->group_bytes) {
                const int8_t *yg = y + (size_t)b * s.block_columns + group * GROUP_COLUMNS;
                const int depth = drain_depth(s);
                __m256i part[4];
                UNROLL
                for (int g = 0; g < UNITS; g++) {
                    const __m256i x = unit_codes(s, codes, g);
                    const __m256i magnitude = s.is_signed ? _mm256_abs_epi8(x) : x;
                    UNROLL
                    for (int t = 0; t < T; t++) {
                        int32_t four;
                        memcpy(&four, yg + (size_t)t * columns + g * 4, sizeof four);
                        __m256i yt = _mm256_set1_epi32(four);
                        if (s.is_signed)
                            yt = _mm256_sign_epi8(yt, x);
                        const __m256i product = _mm256_maddubs_epi16(magnitude, yt);
                        part[t] = g % depth == 0 ? product : _mm256_add_epi16(part[t], product);
                    }
                    if (g % depth == depth - 1) {
                        const int sub = (group * UNITS + g) * 4 / (int)s.sub_columns;
                        const __m256i scale = s.block_columns == 256 ? scale_of(pair_scales, sub) : ones;
                        UNROLL
                        for (int t = 0; t < T; t++)
                            total[t] = _mm256_add_epi32(total[t], _mm256_madd_epi16(part[t], scale));
                    }
                }
            }
            const __m256 d = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(panel + row * 2)));
            const __m256 m = s.has_min
                                 ? _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(panel + PANEL_ROWS * 2 + row * 2)))
                                 : _mm256_setzero_ps();
            UNROLL
            for (int t = 0; t < T; t++) {
                const int16_t *s32 = sums32 + (size_t)t * (columns / 32) + (size_t)b * s.block_columns / 32;
                const int16_t *s16 = sums16 + (size_t)t * (columns / 16) + (size_t)b * s.block_columns / 16;
                const int16_t *ysums = s.sub_columns == 16 ? s16 : s32;
                const int subs = (int)(s.block_columns / s.sub_columns);
                __m256i product = total[t], minimum = _mm256_setzero_si256();
                if (s.block_columns == 32) {
                    if (s.offset)
                        product = _mm256_sub_epi32(product, _mm256_set1_epi32(s.offset * s32[0]));
                    if (s.has_min)
                        minimum = _mm256_set1_epi32(s32[0]);
                } else {
                    if (s.offset) {
                        __m256i centre = _mm256_setzero_si256();
                        UNROLL
                        for (int sub = 0; sub < subs; sub += 2) {
                            const __m256i pairs = _mm256_cvtepi8_epi16(
                                _mm_loadu_si128((const __m128i *)(pair_scales + sub / 2 * PANEL_ROWS * 2)));
                            centre = _mm256_add_epi32(centre, _mm256_madd_epi16(pairs, broadcast_pair(ysums + sub)));
                        }
                        product = _mm256_sub_epi32(product, _mm256_mullo_epi32(centre, _mm256_set1_epi32(s.offset)));
                    }
                    if (s.has_min) {
                        UNROLL
                        for (int sub = 0; sub < subs; sub += 2) {
                            const __m256i pairs = _mm256_cvtepu8_epi16(
                                _mm_loadu_si128((const __m128i *)(pair_mins + sub / 2 * PANEL_ROWS * 2)));
                            minimum = _mm256_add_epi32(minimum, _mm256_madd_epi16(pairs, broadcast_pair(ysums + sub)));
                        }
                    }
                }
                __m256 sum = _mm256_mul_ps(d, _mm256_cvtepi32_ps(product));
                if (s.has_min)
                    sum = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(minimum), sum);
                acc[o][t] = _mm256_fmadd_ps(_mm256_set1_ps(scales[(size_t)t * blocks + b]), sum, acc[o][t]);
            }
        }
    }
    UNROLL
    for (int o = 0; o < octets; o++) {
        uint32_t row = first_row + (uint32_t)(first_octet + o) * OCTET;
        if (row >= w->rows)
            break;
        UNROLL
        for (int t = 0; t < T; t++) {
            float *out = args->out + (size_t)(token + (uint32_t)t) * args->out_stride + row;
            if (row + OCTET <= w->rows) {
                const __m256 old = args->add ? _mm256_loadu_ps(out) : _mm256_setzero_ps();
                _mm256_storeu_ps(out, args->add ? _mm256_add_ps(old, acc[o][t]) : acc[o][t]);
                continue;
            }
            float tail[OCTET];
            _mm256_storeu_ps(tail, acc[o][t]);
            for (uint32_t i = 0; i < w->rows - row; i++)
                out[i] = args->add ? out[i] + tail[i] : tail[i];
        }
    }
}

ALWAYS_INLINE void panels(struct shape s, const struct matmul_args *args)
{
    const struct packed_matrix *w = args->weights;
    for (uint32_t p = args->first_panel; p < args->last_panel; p++) {
        const uint8_t *panel = w->data + p * w->panel_bytes;
        uint32_t token = 0, row = p * PANEL_ROWS;
        for (; token + 4 <= args->tokens; token += 4)
            for (int octet = 0; octet < OCTETS; octet++)
                tile(s, args, panel, octet, 1, token, 4, row);
        if (token + 2 <= args->tokens) {
            tile(s, args, panel, 0, 2, token, 2, row);
            tile(s, args, panel, 2, 2, token, 2, row);
            token += 2;
        }
        if (token < args->tokens)
            tile(s, args, panel, 0, 4, token, 1, row);
    }
}

/* type, block columns, sub-block columns, bits, offset, signed, table, minimum */
#define SHAPE_LIST(X)                                                                                                  \
    X(Q4_0, 32, 32, 4, 8, false, false, false)                                                                         \
    X(Q4_1, 32, 32, 4, 0, false, false, true)                                                                          \
    X(Q5_0, 32, 32, 5, 16, false, false, false)                                                                        \
    X(Q5_1, 32, 32, 5, 0, false, false, true)                                                                          \
    X(Q8_0, 32, 32, 8, 0, true, false, false)                                                                          \
    X(IQ4_NL, 32, 32, 4, 0, true, true, false)                                                                         \
    X(Q2_K, 256, 16, 2, 0, false, false, true)                                                                         \
    X(Q3_K, 256, 16, 3, 4, false, false, false)                                                                        \
    X(Q4_K, 256, 32, 4, 0, false, false, true)                                                                         \
    X(Q5_K, 256, 32, 5, 0, false, false, true)                                                                         \
    X(Q6_K, 256, 16, 6, 32, false, false, false)                                                                       \
    X(IQ4_XS, 256, 32, 4, 0, true, true, false)

#define SHAPE_FUNCTION(type, ...)                                                                                      \
    static void panels_##type(const struct matmul_args *args)                                                          \
    {                                                                                                                  \
        panels((struct shape){__VA_ARGS__}, args);                                                                     \
    }
SHAPE_LIST(SHAPE_FUNCTION)
#undef SHAPE_FUNCTION

/* Eight values of a float type. */
ALWAYS_INLINE __m256 load_values(uint32_t type, const uint8_t *data)
{
    if (type == GGUF_F32)
        return _mm256_loadu_ps((const float *)data);
    const __m128i halves = _mm_loadu_si128((const __m128i *)data);
    if (type == GGUF_F16)
        return _mm256_cvtph_ps(halves);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

ALWAYS_INLINE void float_tile(uint32_t type, const struct matmul_args *args, const uint8_t *panel, int octet,
                              uint32_t token, const int T, uint32_t first_row)
{
    const struct packed_matrix *w = args->weights;
    const size_t size = type == GGUF_F32 ? 4 : 2;
    const float *x = args->input->values + (size_t)token * w->columns;
    uint32_t row = first_row + (uint32_t)octet * OCTET;
    if (row >= w->rows)
        return;
    __m256 acc[4];
    UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm256_setzero_ps();
    panel += (size_t)octet * OCTET * size;
    for (uint32_t column = 0; column < w->columns; column++, panel += PANEL_ROWS * size) {
        const __m256 weight = load_values(type, panel);
        UNROLL
        for (int t = 0; t < T; t++)
            acc[t] = _mm256_fmadd_ps(weight, _mm256_broadcast_ss(x + (size_t)t * w->columns + column), acc[t]);
    }
    uint32_t rows = w->rows - row < OCTET ? w->rows - row : OCTET;
    for (int t = 0; t < T; t++) {
        float *out = args->out + (size_t)(token + (uint32_t)t) * args->out_stride + row, values[OCTET];
        _mm256_storeu_ps(values, acc[t]);
        for (uint32_t i = 0; i < rows; i++)
            out[i] = args->add ? out[i] + values[i] : values[i];
    }
}

ALWAYS_INLINE void float_panels(uint32_t type, const struct matmul_args *args)
{
    const struct packed_matrix *w = args->weights;
    for (uint32_t p = args->first_panel; p < args->last_panel; p++) {
        const uint8_t *panel = w->data + p * w->panel_bytes;
        for (uint32_t token = 0; token < args->tokens;) {
            uint32_t step = args->tokens - token >= 4 ? 4 : 1;
            for (int octet = 0; octet < OCTETS; octet++) {
                if (step == 4)
                    float_tile(type, args, panel, octet, token, 4, p * PANEL_ROWS);
                else
                    float_tile(type, args, panel, octet, token, 1, p * PANEL_ROWS);
            }
            token += step;
        }
    }
}

void matmul_avx2(const struct matmul_args *args)
{
    switch (args->weights->layout->type) {
#define SHAPE_CASE(type, ...)                                                                                          \
    case GGUF_##type:                                                                                                  \
        panels_##type(args);                                                                                           \
        break;
        SHAPE_LIST(SHAPE_CASE)
#undef SHAPE_CASE
    case GGUF_F16:
        float_panels(GGUF_F16, args);
        break;
    case GGUF_BF16:
        float_panels(GGUF_BF16, args);
        break;
    default:
        float_panels(GGUF_F32, args);
        break;
    }
}
