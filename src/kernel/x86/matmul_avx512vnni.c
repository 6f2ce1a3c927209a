/* Matrix product with AVX-512 and VNNI: the bits of matmul_generic.
 *
 * Rows are lanes, so the float chain of a row needs no horizontal sum. Each tile of tokens (kernel/x86/tile_avx512.h)
 * takes the way that all of its activations allow.
 *
 * A panel is worked on in chunks of 256 columns. Up to DIRECT tokens use its codes straight from their packed form; for
 * more they are unpacked to bytes once, which stay in the first-level cache while all tokens pass by. */
#include "kernel/activations.h"
#include "kernel/wide/matmul_store.h"
#include "kernel/x86/tile_avx512.h"

#include <string.h>

enum {
    DIRECT = 4, /* tokens that share unpacking in registers */
    FEW = 18,   /* up to this many tokens, tiles prefetch weights while they compute; with more this costs 3 % */
    PREFETCH_AHEAD = 8192 /* bytes, into the second-level cache */
};

/* Where a tile reads the codes of a chunk, and what is prefetched meanwhile. */
enum way {
    PACKED,   /* from their packed form, up to DIRECT tokens */
    FETCHING, /* from bytes; tiles prefetch the next weights, up to FEW tokens */
    UNPACKED, /* from bytes; the next weights are prefetched between tiles */
    LARGE     /* as the last two, for a tile with large blocks; it prefetches nothing */
};

/* The float chains of one panel: [token][row] */
typedef float accumulators[MAX_TOKENS][PANEL_ROWS];

/* Where the results of a panel's rows of activations from `first` go, when their last chunk is done. */
struct destination {
    const struct matmul_args *args;
    uint32_t panel;
    uint32_t first;
    bool is_last_chunk;
};

/* Quantities derived from the sums of a chunk's activations, for all tokens. */
struct derived_sums {
    _Alignas(64) int32_t starts[16 * MAX_TOKENS];
    float sums_float[CHUNK_GROUPS * MAX_TOKENS];
};

/* Prefetches what is PREFETCH_AHEAD bytes after the share of one of `steps` steps in the bytes that are read from
 * memory. */
ALWAYS_INLINE void prefetch(const uint8_t *from, size_t bytes, size_t step, size_t steps)
{
    for (size_t at = (bytes * step / steps + 63) / 64 * 64; at < bytes * (step + 1) / steps; at += 64)
        _mm_prefetch((const char *)(from + PREFETCH_AHEAD + at), _MM_HINT_T1);
}

/* Codes of groups [first, first + groups_together) as bytes [group][unit][32 rows][4], of half the rows. */
ALWAYS_INLINE void unpack_half(struct shape s, const uint8_t *words, int first, uint8_t *bytes, struct ahead *ahead)
{
    const int together = groups_together(s);
    UNROLL
    for (int i = 0; i < together; i++) {
        UNROLL
        for (int g = 0; g < UNITS; g++) {
            if (ahead)
                fetch_few(s, ahead, (size_t)g);
            _mm512_store_si512(bytes + (i * UNITS + g) * WORD_BYTES,
                               unit_codes(s, words, s.columns == 256 ? first : 0, i, g));
        }
        if (ahead)
            prefetched(ahead, ahead->for_l2.lines);
    }
}

ALWAYS_INLINE void unpack(struct shape s, const uint8_t *block, int groups, uint8_t *bytes, struct ahead *ahead)
{
    const size_t block_bytes = s.columns == 256 ? 0 : shape_block_bytes(s);
    for (int first = 0; first < groups; first += groups_together(s)) {
        const uint8_t *words = block + s.halves * HALF_BYTES + (size_t)first * block_bytes;
        uint8_t *to = bytes + first * UNITS * WORD_BYTES;
        unpack_half(s, words, first, to, ahead);
        unpack_half(s, words + HALF * 4, first, to + HALF * 4, NULL);
    }
}

/* sums_stride: 32 columns: from one group's sums to the next one's */
ALWAYS_INLINE void derive_sums(struct shape s, const int16_t *sums, size_t sums_stride, int groups, uint32_t tokens,
                               struct derived_sums *derived)
{
    if (s.columns == 256) {
        for (uint32_t i = 0; bias(s) && i < tokens * (uint32_t)(s.columns / s.sub); i++)
            derived->starts[i] = -bias(s) * sums[i];
        return;
    }
    for (int group = 0; group < groups; group++)
        for (uint32_t t = 0; t < tokens; t++) {
            const int32_t sum = sums[(size_t)group * sums_stride + t];
            const size_t at = (size_t)group * MAX_TOKENS + t;
            if (s.has_min)
                derived->sums_float[at] = (float)sum;
            else
                derived->starts[at] = SUM_BIAS_BITS - bias(s) * sum;
        }
}

/* The next `step` tokens. */
ALWAYS_INLINE void advance(struct shape s, struct inputs *in, uint32_t step)
{
    in->codes += step * in->token_bytes;
    in->scales += step;
    in->sums += step * (uint32_t)(s.columns / s.sub);
    in->starts += s.columns == 256 ? step * (uint32_t)(s.columns / s.sub) : step;
    in->sums_float += step;
    if (s.columns == 256)
        in->large += step;
}

/* With few tokens, or sub-blocks of only 16 columns, wide tiles gain nothing. */
ALWAYS_INLINE uint32_t tile_tokens(struct shape s, uint32_t tokens)
{
    return tokens <= FEW || s.sub == 16 ? ALL_KEPT : TILE;
}

/* Tiles of about the same size: narrow ones wait for their own sums. */
ALWAYS_INLINE uint32_t tiles_of(struct shape s, uint32_t tokens)
{
    return (tokens + tile_tokens(s, tokens) - 1) / tile_tokens(s, tokens);
}

ALWAYS_INLINE enum way way_of(uint32_t tokens)
{
    return tokens <= DIRECT ? PACKED : tokens <= FEW ? FETCHING : UNPACKED;
}

/* Whether large activations make a difference. */
ALWAYS_INLINE bool has_large(struct shape s)
{
    return s.columns == 256 && sums_fit_int16(s, true) && !sums_fit_int16(s, false);
}

/* See tile_256. */
ALWAYS_INLINE bool are_small(struct shape s, const struct inputs *in, uint32_t tokens)
{
    bool small = true;
    if (has_large(s))
        for (uint32_t t = 0; t < tokens; t++)
            small &= !in->large[t];
    return small;
}

/* The widths of tiles with many tokens (from 19 on), as tiles_of divides them. */
ALWAYS_INLINE bool is_width(struct shape s, const uint32_t tokens)
{
    return tokens <= tile_tokens(s, MAX_TOKENS) && tokens + 2 >= tile_tokens(s, MAX_TOKENS);
}

ALWAYS_INLINE void add_tile(struct shape s, enum way way, const uint8_t *block, const uint8_t *bytes,
                            const struct chunk *chunk, const struct inputs *in, int groups, uint32_t tokens,
                            float (*acc)[PANEL_ROWS], struct ahead *ahead)
{
    const bool small = are_small(s, in, tokens);
    if (!small && way != PACKED)
        way = LARGE;
    switch ((int)way * TILE + (int)tokens) {
#define TILE_CASE(way, n, possible, bytes, ahead)                                                                      \
    case (int)(way)*TILE + (n):                                                                                        \
        if (!(possible))                                                                                               \
            __builtin_trap();                                                                                          \
        if ((way) == PACKED && !small)                                                                                 \
            tile(s, false, block, bytes, chunk, in, groups, n, acc, ahead);                                            \
        else                                                                                                           \
            tile(s, (way) != LARGE, block, bytes, chunk, in, groups, n, acc, ahead);                                   \
        break;
        TILE_CASE(PACKED, 1, true, NULL, ahead)
        TILE_CASE(PACKED, 2, true, NULL, ahead)
        TILE_CASE(PACKED, 3, true, NULL, ahead)
        TILE_CASE(PACKED, 4, true, NULL, ahead)
        TILE_CASE(FETCHING, 3, true, bytes, ahead)
        TILE_CASE(FETCHING, 4, true, bytes, ahead)
        TILE_CASE(FETCHING, 5, true, bytes, ahead)
        TILE_CASE(FETCHING, 6, true, bytes, ahead)
        TILE_CASE(UNPACKED, 4, is_width(s, 4), bytes, NULL)
        TILE_CASE(UNPACKED, 5, is_width(s, 5), bytes, NULL)
        TILE_CASE(UNPACKED, 6, is_width(s, 6), bytes, NULL)
        TILE_CASE(UNPACKED, 7, is_width(s, 7), bytes, NULL)
        TILE_CASE(UNPACKED, 8, is_width(s, 8), bytes, NULL)
        TILE_CASE(LARGE, 3, has_large(s), bytes, NULL)
        TILE_CASE(LARGE, 4, has_large(s), bytes, NULL)
        TILE_CASE(LARGE, 5, has_large(s), bytes, NULL)
        TILE_CASE(LARGE, 6, has_large(s), bytes, NULL)
        TILE_CASE(LARGE, 7, has_large(s) && is_width(s, 7), bytes, NULL)
        TILE_CASE(LARGE, 8, has_large(s) && is_width(s, 8), bytes, NULL)
#undef TILE_CASE
    default:
        __builtin_trap();
    }
}

/* All tokens of one chunk, and their results after the last one: tile by tile, so that they are on their way to memory
 * while the next tile computes. ahead: without lines when they are UNPACKED. row: their chains. */
ALWAYS_INLINE void add_chunk(struct shape s, const uint8_t *block, int groups, struct inputs in, uint32_t tokens,
                             float (*row)[PANEL_ROWS], struct ahead *ahead, struct destination to)
{
    const uint32_t planes = to.args->input->planes;
    struct chunk chunk;
    struct derived_sums derived;
    _Alignas(64) uint8_t bytes[CHUNK_GROUPS * UNITS * WORD_BYTES];
    if (s.columns == 256)
        chunk_read_256(s, block, &chunk);
    else if (tokens <= DIRECT)
        chunk_read_32(s, block, groups, false, &chunk);
    else
        chunk_read_32(s, block, groups, true, &chunk);
    derive_sums(s, in.sums, in.scales_stride, groups, tokens, &derived);
    in.starts = derived.starts;
    in.sums_float = derived.sums_float;
    if (s.columns == 32 && tokens > DIRECT && !chunk.is_finite) {
        for (uint32_t t = 0; t < tokens; t++, advance(s, &in, 1))
            tile_32(s, false, block, NULL, &chunk, &in, groups, 1, row + t, ahead);
        if (to.is_last_chunk)
            store(to.args, to.panel, to.first, tokens, planes, row);
        return;
    }
    const size_t chunk_bytes = shape_block_bytes(s) * (s.columns == 256 ? 1 : (size_t)groups);
    const uint32_t all = tiles_of(s, tokens);
    const enum way way = way_of(tokens);
    if (way != PACKED)
        unpack(s, block, groups, bytes, ahead);
    for (uint32_t tiles = all; tiles > 0; tiles--) {
        uint32_t step = (tokens + tiles - 1) / tiles;
        step += step % planes; /* both planes of a token in one tile */
        if (way == UNPACKED)
            prefetch(block, chunk_bytes, all - tiles, all);
        add_tile(s, way, block, bytes, &chunk, &in, groups, step, row, ahead);
        if (to.is_last_chunk)
            store(to.args, to.panel, to.first, step, planes, row);
        to.first += step;
        tokens -= step;
        row += step;
        advance(s, &in, step);
    }
}

/* The maximum number of groups in a chunk. With few tokens and types of 32 columns, alternating between panels after
 * about 1 KB reads faster. Short rows belong to small models, which may be in a cache, where alternating only costs
 * time. */
ALWAYS_INLINE uint32_t max_groups(struct shape s, uint32_t columns, uint32_t together, uint32_t tokens)
{
    enum { LONG_ROW = 2048 };
    if (s.columns == 256 || together < STREAMS || columns < LONG_ROW)
        return CHUNK_GROUPS;
    const uint32_t groups = tokens <= 2 ? 2 : tokens <= DIRECT ? 4 : CHUNK_GROUPS;
    return shape_block_bytes(s) > 1024 ? groups / 2 : groups;
}

/* The number of groups in the next chunk: chunks have about the same size, at most `max` groups. */
ALWAYS_INLINE uint32_t chunk_groups(uint32_t groups_left, uint32_t max)
{
    const uint32_t chunks = (groups_left + max - 1) / max;
    return (groups_left + chunks - 1) / chunks;
}

/* The number of lines to prefetch each time a group is visited; all visits together prefetch the bytes of a chunk. */
ALWAYS_INLINE size_t lines_to_fetch(struct shape s, size_t chunk_bytes, uint32_t groups, uint32_t tokens)
{
    const size_t visits = (tiles_of(s, tokens) + 1) * groups;
    return way_of(tokens) == PACKED     ? group_lines(s)
           : way_of(tokens) == FETCHING ? (chunk_bytes / 64 + visits - 1) / visits
                                        : 0;
}

/* The address of group `group` of a panel. A group beyond the panel's end is one of the panel that the thread reads
 * next, `together` panels later. */
ALWAYS_INLINE const uint8_t *group_at(const struct matmul_args *args, uint32_t panel, uint32_t together, uint32_t group,
                                      size_t group_bytes)
{
    const struct packed_matrix *w = args->weights;
    const uint32_t all = w->columns / GROUP_COLUMNS;
    return group < all ? w->data + panel * w->panel_bytes + group * group_bytes
                       : matmul_panel(args, panel + together) + (group - all) * group_bytes;
}

/* Multiplies one panel, or STREAMS panels in alternation, chunk by chunk, with `count` rows of activations from `first`
 * on. */
ALWAYS_INLINE void panels_together(struct shape s, const struct matmul_args *args, uint32_t panel, uint32_t together,
                                   uint32_t first, uint32_t count)
{
    const struct packed_matrix *w = args->weights;
    const struct activations_int8 *form = &args->input->int8[s.columns == 256];
    const size_t stride = (size_t)args->input->tokens * args->input->planes, columns = (size_t)s.columns;
    const int16_t *sums = s.sub == 16 ? form->sums16 : form->sums32;
    const size_t group_bytes = shape_block_bytes(s) * GROUP_COLUMNS / columns;
    const uint32_t all = w->columns / GROUP_COLUMNS;
    const uint32_t max = max_groups(s, w->columns, together, count);
    const size_t chunk_bytes = chunk_groups(all, max) * group_bytes;
    const size_t lines = lines_to_fetch(s, chunk_bytes, chunk_groups(all, max), count);
    _Alignas(64) accumulators acc;
    memset(acc, 0, together * count * sizeof *acc);
    for (uint32_t begin = 0, groups; begin < all; begin += groups) {
        groups = chunk_groups(all - begin, max);
        const uint8_t *block = w->data + panel * w->panel_bytes + begin * group_bytes;
        const uint8_t *next = group_at(args, panel, together, begin + groups, group_bytes);
        const uint8_t *after_next = group_at(args, panel, together, begin + 2 * groups, group_bytes);
        const size_t at = begin * GROUP_COLUMNS / columns * stride + first;
        for (uint32_t i = 0; i < together; i++) {
            const uint8_t *panel_block = block + i * w->panel_bytes;
            struct ahead ahead = {.for_l2 = fetch_start(after_next, w->panel_bytes, chunk_bytes, i, together, lines),
                                  .for_l1 = i + 1 < together ? panel_block + w->panel_bytes : next};
            add_chunk(s, panel_block, (int)groups,
                      (struct inputs){.codes = form->codes + at * columns,
                                      .token_bytes = columns,
                                      .group_bytes = s.columns == 256 ? GROUP_COLUMNS : stride * columns,
                                      .scales = form->scales + at,
                                      .scales_stride = stride,
                                      .sums = sums + at * (columns / (size_t)s.sub),
                                      .large = s.columns == 256 ? form->large + at : NULL},
                      count, acc + i * count, &ahead,
                      (struct destination){
                          .args = args, .panel = panel + i, .first = first, .is_last_chunk = begin + groups == all});
        }
    }
}

ALWAYS_INLINE void panels(struct shape s, const struct matmul_args *args)
{
    const uint32_t end = args->last_token * args->input->planes;
    for (uint32_t first = args->first_token * args->input->planes; first < end; first += MAX_TOKENS) {
        const uint32_t count = end - first < MAX_TOKENS ? end - first : MAX_TOKENS;
        for (uint32_t panel = args->first_panel, together; panel < args->last_panel; panel += together) {
            together = way_of(count) == UNPACKED || args->last_panel - panel < STREAMS ? 1 : STREAMS;
            panels_together(s, args, panel, together, first, count);
        }
    }
}

#define SHAPE_FUNCTION(name, ...)                                                                                      \
    static void panels_##name(const struct matmul_args *args)                                                          \
    {                                                                                                                  \
        panels(SHAPE(__VA_ARGS__), args);                                                                              \
    }
GGUF_TYPE_MAP(GGUF_TYPE_SKIP, SHAPE_FUNCTION)
#undef SHAPE_FUNCTION

/* Sixteen values of a float type. */
ALWAYS_INLINE __m512 load_values(uint32_t type, const uint8_t *data)
{
    if (type == GGUF_F32)
        return _mm512_load_ps((const float *)data);
    const __m256i halves = _mm256_load_si256((const __m256i *)data);
    if (type == GGUF_F16)
        return _mm512_cvtph_ps(halves);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

ALWAYS_INLINE void float_tile(uint32_t type, const struct matmul_args *args, uint32_t panel, uint32_t token,
                              const int tokens)
{
    const struct packed_matrix *w = args->weights;
    const size_t size = type == GGUF_F32 ? 4 : 2;
    const uint8_t *data = w->data + panel * w->panel_bytes;
    const float *x = args->input->values + (size_t)token * w->columns;
    __m512 chain[HALVES][TILE];
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int t = 0; t < tokens; t++)
            chain[h][t] = _mm512_setzero_ps();
    }
    for (uint32_t column = 0; column < w->columns; column++, data += PANEL_ROWS * size) {
        const __m512 low = load_values(type, data), high = load_values(type, data + HALF * size);
        for (size_t at = 0; at < PANEL_ROWS * size; at += 64)
            fetch_line(data + PREFETCH_AHEAD + at, data + PREFETCH_AHEAD / 4 + at);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            const __m512 value = _mm512_set1_ps(x[(size_t)t * w->columns + column]);
            chain[0][t] = _mm512_fmadd_ps(low, value, chain[0][t]);
            chain[1][t] = _mm512_fmadd_ps(high, value, chain[1][t]);
        }
    }
    _Alignas(64) float acc[TILE][PANEL_ROWS];
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int t = 0; t < tokens; t++)
            _mm512_store_ps(&acc[t][h * HALF], chain[h][t]);
    }
    store(args, panel, token, (uint32_t)tokens, 1, acc);
}

ALWAYS_INLINE void float_panels(uint32_t type, const struct matmul_args *args)
{
    for (uint32_t panel = args->first_panel; panel < args->last_panel; panel++)
        for (uint32_t token = args->first_token, tiles = (args->last_token - token + TILE - 1) / TILE; tiles > 0;
             tiles--) {
            const uint32_t step = (args->last_token - token + tiles - 1) / tiles;
            switch (step) {
#define FLOAT_TILE(n)                                                                                                  \
    case (n):                                                                                                          \
        float_tile(type, args, panel, token, n);                                                                       \
        break;
                FLOAT_TILE(1)
                FLOAT_TILE(2)
                FLOAT_TILE(3)
                FLOAT_TILE(4)
                FLOAT_TILE(5)
                FLOAT_TILE(6)
                FLOAT_TILE(7)
#undef FLOAT_TILE
            default:
                float_tile(type, args, panel, token, TILE);
                break;
            }
            token += step;
        }
}

void matmul_avx512vnni(const struct matmul_args *args)
{
    switch (args->weights->layout->type) {
#define SHAPE_CASE(type, ...)                                                                                          \
    case GGUF_##type:                                                                                                  \
        panels_##type(args);                                                                                           \
        break;
        GGUF_TYPE_MAP(GGUF_TYPE_SKIP, SHAPE_CASE)
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
