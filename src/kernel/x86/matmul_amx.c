/* Matrix product with AMX, tiles of int8: the bits of matmul_generic.
 *
 * A tile instruction adds the products of up to 16 tokens with 16 rows over 64 columns: for many tokens it does the
 * work of a hundred instructions. Its sums are exact, but it knows of no scales, which every type has for each 16 or 32
 * columns. So:
 *
 * Types of 256 columns with integer scales: codes are multiplied by their scales beforehand, once for all tokens, as
 * two planes of bytes with scale * code = high << shift | low. The tiles' sums of both planes, shifted and added, are
 * the sum of the whole block. Where scales and codes are not negative, scale = 8 a + b, and the planes are a * code and
 * b * code, each a byte, two of which one multiplication of 16 bits makes (of Q2_K scale * code is a byte itself).
 * Otherwise the product has 16 bits, and its bytes are the planes.
 *
 * Types of 32 columns with a float scale: the tile's sum of 32 columns is what the scale multiplies.
 *
 * What is left for each sum of the tiles (16 rows of a token) is a few instructions of AVX-512. They run beside the
 * tile instructions, by turns: the sums of one tile are finished while the next one is multiplied.
 *
 * Few tokens leave the tiles empty and take the AVX-512 way, as do float types. */
#include "kernel/activations.h"
#include "kernel/wide/matmul_store.h"
#include "kernel/wide/streams.h"
#include "kernel/x86/panel_avx512.h"
#include "kernel/x86/tile_config.h"

#include <string.h>

enum {
    FEW_TOKENS = 8,     /* that go the AVX-512 way */
    FEW_TOKENS_32 = 32, /* for types of 32 columns, whose tiles are half as deep */
    TILE_TOKENS = 16,   /* of a tile at most */
    TILE_COLUMNS = 64,  /* of int8 */
    STEPS = CHUNK_COLUMNS / TILE_COLUMNS,
    MAX_TOKENS = 128, /* tokens whose accumulators are kept at a time */
    FEW_TILES =
        3, /* so few tiles have their activations in the first-level cache anyway, and alternate between panels */
    FETCHED_EARLY = 2 /* 1 / FETCHED_EARLY of the next weights is prefetched while a chunk is unpacked */
};

/* Compilers that do not know that tile instructions read memory (gcc 12) must not hold back stores to it. */
#define TILES_READ(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

/* Compilers would gather prefetches, which stall in bursts. */
#define KEEP_APART() __asm__ volatile("" ::: "memory")

/* The float chains of one panel: [token][row]. The rows after the last token have no meaning. */
typedef float accumulators[MAX_TOKENS + TILE_TOKENS][PANEL_ROWS];

/* Sums of a tile: [token][row of the half] */
typedef int32_t tile_sums[TILE_TOKENS][HALF];

/* Tokens are cut into tiles of one size. When the tokens do not fill whole tiles, the last tile overlaps the one before
 * and computes some sums twice. */
struct tiling {
    uint32_t tokens, size, count;
};

ALWAYS_INLINE uint32_t tile_first(const struct tiling *tiling, uint32_t tile)
{
    return tile + 1 == tiling->count ? tiling->tokens - tiling->size : tile * tiling->size;
}

/* The number of tokens of a tile that belong to the one before. */
ALWAYS_INLINE uint32_t tile_skips(const struct tiling *tiling, uint32_t tile)
{
    return tile * tiling->size - tile_first(tiling, tile);
}

/* The number of lines to prefetch for each group of 32 columns that is unpacked. */
ALWAYS_INLINE int early_lines(struct shape s)
{
    return (int)shape_block_bytes(s) * GROUP_COLUMNS / s.columns / FETCHED_EARLY / 64 + 1;
}

/* An early share is prefetched while a chunk is unpacked, the rest in `steps` steps while tiles are multiplied. */
ALWAYS_INLINE struct fetch fetch_plan(struct shape s, const uint8_t *next, size_t panel_bytes, uint32_t turn,
                                      uint32_t together, size_t groups, size_t steps)
{
    const size_t chunk_bytes = shape_block_bytes(s) * groups * GROUP_COLUMNS / (size_t)s.columns;
    const size_t early = (size_t)early_lines(s) * groups,
                 late = chunk_bytes / 64 > early ? chunk_bytes / 64 - early : 0;
    return fetch_start(next, panel_bytes, chunk_bytes, turn, together, (late + steps - 1) / steps);
}

ALWAYS_INLINE void fetch_step(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->lines; i++)
        _mm_prefetch((const char *)(fetch->from[0] + i * 64), _MM_HINT_T1);
    fetch_other(fetch, fetch->lines);
}

/* Tiles 0 to 3 hold sums, tile 4 activations, tiles 5 to 7 codes. */
static void configure(uint32_t tokens, uint32_t columns)
{
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = i == 4 ? (uint16_t)columns : HALF * 4;
        config.rows[i] = (uint8_t)(i < 5 ? tokens : columns / 4);
    }
    TILES_READ(&config);
    _tile_loadconfig(&config);
}

/* ---- 256 columns ---- */

ALWAYS_INLINE bool has_byte_products(struct shape s)
{
    return s.has_min; /* Q2_K, Q4_K, Q5_K */
}

ALWAYS_INLINE int planes_of(struct shape s)
{
    return s.type == GGUF_Q2_K ? 1 : 2;
}

/* What is needed to finish a chunk's sums. */
struct factors {
    _Alignas(64) float d[PANEL_ROWS];
    float minus[PANEL_ROWS];          /* -dmin */
    int32_t min_pairs[8][PANEL_ROWS]; /* int16 minima of two neighboring sub-blocks */
};

/* Codes times scales: [plane][four columns][row][column] */
typedef uint8_t products[2][CHUNK_COLUMNS / 4][WORD_BYTES];

/* The sums of a tile that still have to be finished. */
struct pending {
    tile_sums (*sums)[2]; /* [half][plane] */
    const struct factors *factors;
    const float *scales;       /* [token] of the activations */
    const int16_t *input_sums; /* [token][sub-block] of the activations */
    float (*acc)[PANEL_ROWS];
    uint32_t first, last; /* tokens of the tile */
};

/* Byte `index` of every lane in both 16-bit halves, as their low byte or (high) their high one. */
ALWAYS_INLINE __m512i spread_byte(__m512i x, int index, bool high)
{
    const __m128i low = _mm_setr_epi8(0, -128, 0, -128, 4, -128, 4, -128, 8, -128, 8, -128, 12, -128, 12, -128),
                  up = _mm_setr_epi8(-128, 0, -128, 0, -128, 4, -128, 4, -128, 8, -128, 8, -128, 12, -128, 12);
    const __m128i at = _mm_add_epi8(high ? up : low, _mm_set1_epi8((char)index));
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(at));
}

/* Codes as signed bytes. */
ALWAYS_INLINE __m512i centered(struct shape s, __m512i codes)
{
    if (s.is_signed)
        return _mm512_xor_si512(codes, _mm512_set1_epi8((char)0x80));
    return s.offset ? _mm512_sub_epi8(codes, _mm512_set1_epi8((char)s.offset)) : codes;
}

/* Codes of four columns of each row times their scales: one for each plane where products are bytes, otherwise one
 * times 256. */
ALWAYS_INLINE void multiply_codes(struct shape s, __m512i codes, const __m512i scale[2], uint8_t *low, uint8_t *high)
{
    if (has_byte_products(s)) {
        _mm512_store_si512(low, _mm512_mullo_epi16(codes, scale[0]));
        if (planes_of(s) > 1)
            _mm512_store_si512(high, _mm512_mullo_epi16(codes, scale[1]));
        return;
    }
    const __m512i upper = _mm512_set1_epi16((short)0xff00);
    codes = centered(s, codes);
    /* Both factors times 256: the upper half of their product is code * scale. */
    const __m512i even = _mm512_mulhi_epi16(_mm512_slli_epi16(codes, 8), scale[0]);
    const __m512i odd = _mm512_mulhi_epi16(_mm512_and_si512(codes, upper), scale[0]);
    _mm512_store_si512(low, _mm512_ternarylogic_epi32(upper, _mm512_slli_epi16(odd, 8), even, 0xca));
    _mm512_store_si512(high, _mm512_ternarylogic_epi32(upper, odd, _mm512_srli_epi16(even, 8), 0xca));
}

/* Integer scales of a block's sub-blocks, as multiply_codes wants them: [half][sub-block][plane] */
typedef __m512i wide_scales[HALVES][16][2];

ALWAYS_INLINE void read_factors(struct shape s, const uint8_t *block, struct factors *factors, wide_scales scales)
{
    UNROLL
    for (int half = 0; half < HALVES; half++) {
        const int row = half * HALF;
        const uint8_t *halves = block + row * 2, *words = block + s.halves * HALF_BYTES + row * 4;
        _mm512_store_ps(factors->d + row, load_factor(halves, 0, false));
        if (s.has_min)
            _mm512_store_ps(factors->minus + row, load_factor(halves, 1, true));
        for (int k = 0; k < s.columns / s.sub / 4; k++) {
            const __m512i four = scale_bytes(s, halves, words, k);
            UNROLL
            for (int i = 0; i < 4; i++) {
                __m512i *scale = scales[half][k * 4 + i];
                if (!has_byte_products(s))
                    scale[0] = spread_byte(four, i, true);
                else if (planes_of(s) == 1)
                    scale[0] = spread_byte(four, i, false);
                else {
                    scale[0] = spread_byte(mask_bytes(four, 7), i, false);
                    scale[1] = spread_byte(mask_bytes(_mm512_srli_epi32(four, 3), 7), i, false);
                }
            }
            UNROLL
            for (int i = 0; i < 2; i++)
                if (s.has_min)
                    _mm512_store_si512(factors->min_pairs[k * 2 + i] + row, widen_pair(min_bytes(s, words, k), i * 2));
        }
    }
}

ALWAYS_INLINE void read_block(struct shape s, const uint8_t *block, struct factors *factors, products to,
                              struct fetch *fetch)
{
    const int together = groups_together(s), lines = early_lines(s);
    const uint8_t *words = block + s.halves * HALF_BYTES;
    wide_scales scales;
    read_factors(s, block, factors, scales);
    for (int first = 0; first < CHUNK_GROUPS; first += together) {
        UNROLL
        for (int i = 0; i < together; i++) {
            UNROLL
            for (int g = 0; g < UNITS; g++) {
                const int unit = (first + i) * UNITS + g, sub = (first + i) * (GROUP_COLUMNS / s.sub) + g * 4 / s.sub;
                KEEP_APART();
                UNROLL
                for (int line = g * lines / UNITS; line < (g + 1) * lines / UNITS; line++)
                    _mm_prefetch((const char *)(fetch->from[0] + line * 64), _MM_HINT_T1);
                UNROLL
                for (int half = 0; half < HALVES; half++)
                    multiply_codes(s, unit_codes(s, words + half * HALF * 4, first, i, g), scales[half][sub],
                                   to[0][unit] + half * HALF * 4, to[1][unit] + half * HALF * 4);
            }
            fetch_other(fetch, (size_t)lines);
        }
    }
}

/* Adds a tile's sums of tokens [from, to) to their chains. */
ALWAYS_INLINE void finish_tokens(struct shape s, const struct pending *p, uint32_t from, uint32_t to)
{
    const int subs = s.columns / s.sub, shift = has_byte_products(s) ? 3 : 8;
    __m512 d[HALVES], minus[HALVES];
    __m512i minima[HALVES][8];
    UNROLL
    for (int half = 0; half < HALVES; half++) {
        const int row = half * HALF;
        d[half] = _mm512_load_ps(p->factors->d + row);
        if (s.has_min)
            minus[half] = _mm512_load_ps(p->factors->minus + row);
        UNROLL
        for (int pair = 0; pair < subs / 2; pair++)
            if (s.has_min)
                minima[half][pair] = _mm512_load_si512(p->factors->min_pairs[pair] + row);
    }
    for (uint32_t t = from; t < to; t++) {
        __m512i minimum[HALVES] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        UNROLL
        for (int pair = 0; pair < subs / 2; pair++)
            if (s.has_min) {
                int32_t two;
                memcpy(&two, p->input_sums + t * (uint32_t)subs + (uint32_t)pair * 2, sizeof two);
                const __m512i sums = _mm512_set1_epi32(two);
                minimum[0] = _mm512_dpwssd_epi32(minimum[0], minima[0][pair], sums);
                minimum[1] = _mm512_dpwssd_epi32(minimum[1], minima[1][pair], sums);
            }
        const __m512 scale = _mm512_set1_ps(p->scales[t]);
        UNROLL
        for (int half = 0; half < HALVES; half++) {
            __m512i all = _mm512_load_si512(p->sums[half][0][t]);
            if (planes_of(s) > 1)
                all = _mm512_add_epi32(all, _mm512_slli_epi32(_mm512_load_si512(p->sums[half][1][t]), (unsigned)shift));
            __m512 sum = _mm512_mul_ps(d[half], _mm512_cvtepi32_ps(all));
            if (s.has_min)
                sum = _mm512_fmadd_ps(minus[half], _mm512_cvtepi32_ps(minimum[half]), sum);
            float *chain = &p->acc[t][half * HALF];
            _mm512_store_ps(chain, _mm512_fmadd_ps(scale, sum, _mm512_load_ps(chain)));
        }
    }
}

/* One of STEPS parts of it. */
ALWAYS_INLINE void finish_part(struct shape s, const struct pending *p, int part)
{
    const uint32_t from = (uint32_t)part * TILE_TOKENS / STEPS, to = from + TILE_TOKENS / STEPS;
    if (p->first == 0 && p->last == TILE_TOKENS)
        finish_tokens(s, p, from, to);
    else
        finish_tokens(s, p, from > p->first ? from : p->first, to < p->last ? to : p->last);
}

/* Multiplies a tile of tokens with a chunk, while `before` is finished. next: activations of the next tile, or NULL. */
ALWAYS_INLINE void multiply_tile_256(struct shape s, const int8_t *codes, const int8_t *next, products weights,
                                     tile_sums (*sums)[2], const struct pending *before, struct fetch *fetch)
{
    _tile_zero(0);
    _tile_zero(1);
    if (planes_of(s) > 1) {
        _tile_zero(2);
        _tile_zero(3);
    }
    UNROLL
    for (int step = 0; step < STEPS; step++) {
        const uint8_t *low = weights[0][step * TILE_COLUMNS / 4], *high = weights[1][step * TILE_COLUMNS / 4];
        _tile_loadd(4, codes + step * TILE_COLUMNS, CHUNK_COLUMNS);
        fetch_step(fetch);
        if (next)
            for (int i = step * TILE_TOKENS; i < (step + 1) * TILE_TOKENS; i++)
                _mm_prefetch((const char *)next + i * 64, _MM_HINT_T0);
        _tile_loadd(5, low, WORD_BYTES);
        _tile_dpbsud(0, 4, 5);
        _tile_loadd(6, low + HALF * 4, WORD_BYTES);
        _tile_dpbsud(1, 4, 6);
        if (planes_of(s) > 1) {
            _tile_loadd(7, high, WORD_BYTES);
            _tile_loadd(5, high + HALF * 4, WORD_BYTES);
            if (has_byte_products(s)) {
                _tile_dpbsud(2, 4, 7);
                _tile_dpbsud(3, 4, 5);
            } else {
                _tile_dpbssd(2, 4, 7);
                _tile_dpbssd(3, 4, 5);
            }
        }
        finish_part(s, before, step);
    }
    _tile_stored(0, sums[0][0], HALF * 4);
    _tile_stored(1, sums[1][0], HALF * 4);
    if (planes_of(s) > 1) {
        _tile_stored(2, sums[0][1], HALF * 4);
        _tile_stored(3, sums[1][1], HALF * 4);
    }
}

/* All chunks of one panel, or of STREAMS by turns; row `first` of the activations is the first token. acc: of a panel
 * behind those of the one before. */
ALWAYS_INLINE void panels_256(struct shape s, const struct matmul_args *args, uint32_t panel, uint32_t together,
                              uint32_t first, const struct tiling *tiling, float (*acc)[PANEL_ROWS])
{
    const struct packed_matrix *w = args->weights;
    const struct activations_int8 *form = &args->input->int8[1];
    const size_t stride = (size_t)args->input->tokens * args->input->planes, subs = (size_t)(s.columns / s.sub);
    const int16_t *input_sums = s.sub == 16 ? form->sums16 : form->sums32;
    _Alignas(64) products weights;
    _Alignas(64) tile_sums sums[2][HALVES][2];
    struct factors factors[2];
    struct pending before = {.factors = factors, .sums = sums[0]}; /* of no tokens */
    uint32_t turn = 0;
    for (uint32_t chunk = 0; chunk < w->columns / CHUNK_COLUMNS * together; chunk++) {
        const uint32_t column = chunk / together, which = chunk % together;
        const uint8_t *begin = w->data + panel * w->panel_bytes + column * shape_block_bytes(s);
        const uint8_t *next = column + 1 < w->columns / CHUNK_COLUMNS ? begin + shape_block_bytes(s)
                                                                      : matmul_panel(args, panel + together);
        struct fetch fetch = fetch_plan(s, next, w->panel_bytes, which, together, CHUNK_GROUPS, tiling->count * STEPS);
        read_block(s, begin + which * w->panel_bytes, &factors[chunk % 2], weights, &fetch);
        TILES_READ(weights);
        for (uint32_t tile = 0; tile < tiling->count; tile++, turn ^= 1) {
            const size_t at = column * stride + first + tile_first(tiling, tile);
            const int8_t *codes = form->codes + at * CHUNK_COLUMNS;
            multiply_tile_256(s, codes, tiling->count > FEW_TILES ? codes + tiling->size * CHUNK_COLUMNS : NULL,
                              weights, sums[turn], &before, &fetch);
            before = (struct pending){.sums = sums[turn],
                                      .factors = &factors[chunk % 2],
                                      .scales = form->scales + at,
                                      .input_sums = input_sums + at * subs,
                                      .acc = acc + which * tiling->tokens + tile_first(tiling, tile),
                                      .first = tile_skips(tiling, tile),
                                      .last = tiling->size};
        }
    }
    for (int part = 0; part < STEPS; part++)
        finish_part(s, &before, part);
}

/* ---- 32 columns ---- */

/* Up to eight blocks of a panel: signed codes and factors. */
struct codes_32 {
    _Alignas(64) uint8_t codes[CHUNK_GROUPS][UNITS][WORD_BYTES];
    float d[CHUNK_GROUPS][PANEL_ROWS];
    float minus[CHUNK_GROUPS][PANEL_ROWS]; /* m, with minimum */
};

/* Quantities of a chunk's activations. Those after the last token have no meaning. */
struct factors_32 {
    float scales[CHUNK_GROUPS][MAX_TOKENS + TILE_TOKENS];
    float sums[CHUNK_GROUPS][MAX_TOKENS + TILE_TOKENS]; /* with minimum */
};

ALWAYS_INLINE void widen_sums(const int16_t *sums, uint32_t count, float *floats)
{
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i some = _mm256_loadu_si256((const __m256i *)(sums + i));
        _mm512_storeu_ps(floats + i, _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(some)));
    }
    for (; i < count; i++)
        floats[i] = (float)sums[i];
}

ALWAYS_INLINE void read_codes(struct shape s, const uint8_t *block, int groups, struct codes_32 *to,
                              struct fetch *fetch)
{
    for (int group = 0; group < groups; group++, block += shape_block_bytes(s)) {
        for (int line = 0; line < early_lines(s); line++)
            _mm_prefetch((const char *)(fetch->from[0] + line * 64), _MM_HINT_T1);
        fetch_other(fetch, (size_t)early_lines(s));
        UNROLL
        for (int half = 0; half < HALVES; half++) {
            const int row = half * HALF;
            _mm512_store_ps(to->d[group] + row, load_factor(block + row * 2, 0, false));
            if (s.has_min)
                _mm512_store_ps(to->minus[group] + row, load_factor(block + row * 2, 1, false));
            UNROLL
            for (int g = 0; g < UNITS; g++) {
                const __m512i codes = unit_codes(s, block + s.halves * HALF_BYTES + row * 4, 0, 0, g);
                _mm512_store_si512(to->codes[group][g] + row * 4, centered(s, codes));
            }
        }
    }
}

/* The operands for half of the rows and a tile of tokens: up to eight blocks. */
struct half_tile {
    int groups; /* 0: nothing */
    int half;
    const struct codes_32 *weights;
    const int8_t *codes; /* [group] of the activations */
    size_t group_bytes;
    const struct factors_32 *factors;
    uint32_t token; /* the first one, in factors and acc */
    float (*acc)[PANEL_ROWS];
    uint32_t first, last; /* the tokens of the tile whose sums are used */
};

/* Finishes a half tile while the next one is multiplied, group by group; sums: of the former, then of the latter. */
ALWAYS_INLINE void multiply_half_tile(struct shape s, const struct half_tile *before, const struct half_tile *next,
                                      tile_sums *sums, struct fetch *fetch)
{
    const int row = before->half * HALF;
    __m512 chain[TILE_TOKENS];
    UNROLL
    for (int t = 0; t < TILE_TOKENS; t++)
        chain[t] = _mm512_load_ps(&before->acc[before->token + (uint32_t)t][row]);
    for (int group = 0; group < CHUNK_GROUPS; group++) {
        if (group < before->groups) {
            const __m512 d = _mm512_load_ps(before->weights->d[group] + row);
            const __m512 minus = s.has_min ? _mm512_load_ps(before->weights->minus[group] + row) : d;
            const float *scales = before->factors->scales[group] + before->token,
                        *input_sums = before->factors->sums[group] + before->token;
            UNROLL
            for (int t = 0; t < TILE_TOKENS; t++) {
                __m512 sum = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_load_si512(sums[group][t])));
                if (s.has_min)
                    sum = _mm512_fmadd_ps(minus, _mm512_set1_ps(input_sums[t]), sum);
                chain[t] = _mm512_fmadd_ps(_mm512_set1_ps(scales[t]), sum, chain[t]);
            }
        }
        if (group < next->groups) {
            fetch_step(fetch);
            _tile_zero(0);
            _tile_loadd(4, next->codes + (size_t)group * next->group_bytes, GROUP_COLUMNS);
            _tile_loadd(5, next->weights->codes[group][0] + next->half * HALF * 4, WORD_BYTES);
            _tile_dpbssd(0, 4, 5);
            _tile_stored(0, sums[group], HALF * 4);
        }
    }
    UNROLL
    for (int t = 0; t < TILE_TOKENS; t++)
        if ((uint32_t)t >= before->first && (uint32_t)t < before->last)
            _mm512_store_ps(&before->acc[before->token + (uint32_t)t][row], chain[t]);
}

/* All blocks of one panel; row `first` of the activations is the first token. factors: two, zero behind the tokens. */
ALWAYS_INLINE void panel_32(struct shape s, const struct matmul_args *args, uint32_t panel, uint32_t first,
                            const struct tiling *tiling, struct factors_32 *factors, accumulators acc)
{
    const struct packed_matrix *w = args->weights;
    const struct activations_int8 *form = &args->input->int8[0];
    const size_t stride = (size_t)args->input->tokens * args->input->planes;
    const uint8_t *block = w->data + panel * w->panel_bytes;
    struct codes_32 weights[2];
    _Alignas(64) tile_sums sums[CHUNK_GROUPS] = {{{0}}};
    struct half_tile before = {.acc = acc};
    uint32_t turn = 0;
    for (uint32_t column = 0; column < w->columns; column += CHUNK_COLUMNS, turn ^= 1) {
        const uint32_t left = w->columns - column;
        const int groups = left < CHUNK_COLUMNS ? (int)left / GROUP_COLUMNS : CHUNK_GROUPS;
        const size_t at = column / GROUP_COLUMNS * stride + first, bytes = shape_block_bytes(s) * (size_t)groups;
        struct fetch fetch =
            fetch_plan(s, block + bytes, 0, 0, 1, (uint32_t)groups, tiling->count * HALVES * (uint32_t)groups);
        read_codes(s, block, groups, &weights[turn], &fetch);
        for (int group = 0; group < groups; group++) {
            memcpy(factors[turn].scales[group], form->scales + at + (size_t)group * stride,
                   tiling->tokens * sizeof(float));
            if (s.has_min)
                widen_sums(form->sums32 + at + (size_t)group * stride, tiling->tokens, factors[turn].sums[group]);
        }
        TILES_READ(weights);
        for (uint32_t tile = 0; tile < tiling->count; tile++)
            for (int half = 0; half < HALVES; half++) {
                const uint32_t token = tile_first(tiling, tile);
                const struct half_tile next = {.groups = groups,
                                               .half = half,
                                               .weights = &weights[turn],
                                               .codes = form->codes + (at + token) * GROUP_COLUMNS,
                                               .group_bytes = stride * GROUP_COLUMNS,
                                               .factors = &factors[turn],
                                               .token = token,
                                               .acc = acc,
                                               .first = tile_skips(tiling, tile),
                                               .last = tiling->size};
                multiply_half_tile(s, &before, &next, sums, &fetch);
                before = next;
            }
        block += bytes;
    }
    multiply_half_tile(s, &before, &(struct half_tile){0}, sums, NULL);
}

/* ---- all ---- */

ALWAYS_INLINE void panels(struct shape s, const struct matmul_args *args)
{
    const uint32_t end = args->last_token * args->input->planes;
    _Alignas(64) accumulators acc;
    struct factors_32 factors[2];
    struct tiling tiling = {0};
    if (s.columns == 32)
        memset(factors, 0, sizeof factors);
    for (uint32_t first = args->first_token * args->input->planes; first < end; first += tiling.tokens) {
        const uint32_t size = tiling.size;
        tiling.tokens = end - first < MAX_TOKENS ? end - first : MAX_TOKENS;
        tiling.count = (tiling.tokens + TILE_TOKENS - 1) / TILE_TOKENS;
        tiling.size = (tiling.tokens + tiling.count - 1) / tiling.count;
        if (tiling.size != size)
            configure(tiling.size, s.columns == 256 ? TILE_COLUMNS : GROUP_COLUMNS);
        for (uint32_t panel = args->first_panel, together; panel < args->last_panel; panel += together) {
            const bool turns = s.columns == 256 && tiling.count <= FEW_TILES;
            together = turns && args->last_panel - panel >= STREAMS ? STREAMS : 1;
            memset(acc, 0, (together * tiling.tokens + TILE_TOKENS) * sizeof *acc);
            if (s.columns == 256)
                panels_256(s, args, panel, together, first, &tiling, acc);
            else
                panel_32(s, args, panel, first, &tiling, factors, acc);
            for (uint32_t i = 0; i < together; i++)
                store(args, panel + i, first, tiling.tokens, args->input->planes, acc + i * tiling.tokens);
        }
    }
    _tile_release();
}

#define SHAPE_FUNCTION(name, ...)                                                                                      \
    static void panels_##name(const struct matmul_args *args)                                                          \
    {                                                                                                                  \
        panels(SHAPE(__VA_ARGS__), args);                                                                              \
    }
GGUF_TYPE_MAP(GGUF_TYPE_SKIP, SHAPE_FUNCTION)
#undef SHAPE_FUNCTION

void matmul_amx(const struct matmul_args *args)
{
    const uint32_t few = args->weights->layout->block_columns == 32 ? FEW_TOKENS_32 : FEW_TOKENS;
    if ((args->last_token - args->first_token) * args->input->planes <= few) {
        matmul_avx512vnni(args);
        return;
    }
    switch (args->weights->layout->type) {
#define SHAPE_CASE(type, ...)                                                                                          \
    case GGUF_##type:                                                                                                  \
        panels_##type(args);                                                                                           \
        break;
        GGUF_TYPE_MAP(GGUF_TYPE_SKIP, SHAPE_CASE)
#undef SHAPE_CASE
    default:
        matmul_avx512vnni(args);
        break;
    }
}
