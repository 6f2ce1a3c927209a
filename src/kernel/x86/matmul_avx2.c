/* Matrix product with AVX2, FMA and F16C: the bits of matmul_generic.
 *
 * Rows are lanes, so the float chain of a row needs no horizontal sum. Products of codes and activations are summed in
 * int16 (vpmaddubsw) for as many units of four columns as the width of the codes allows, then widened and multiplied by
 * the integer scale at once (vpmaddwd). Signed codes trade signs with the activations first, since vpmaddubsw wants one
 * unsigned side.
 *
 * Activations in two planes are as many tokens more: what is called a token here is a row of activations.
 *
 * A panel is worked on in chunks of 256 columns. Up to 2 or 4 tokens use its codes straight from their packed form; for
 * more they are unpacked to bytes once, which stay in the first-level cache while all tokens pass by. */
#include "kernel/activations.h"
#include "kernel/wide/fetch_line.h"
#include "kernel/wide/matmul_store.h"
#include "kernel/x86/panel_avx2.h"

#include <string.h>

enum {
    TILE = 4,            /* tokens whose sums are in registers at the same time */
    MAX_TOKENS = 128,    /* tokens whose accumulators are kept at a time; even, for two planes */
    FLOATS_AHEAD = 8192, /* how many bytes ahead float weights are prefetched */
    MAX_AHEAD = 10304,   /* of codes: a multiple of 4096 would fall on the lines of the cache that are being read */
};

/* Hides a value from gcc, which would otherwise regroup sums of integers into trees and spill their parts. */
#define KEEP_IN_REGISTER(x) __asm__("" : "+x"(x))

/* The float chains of one panel: [token][row] */
typedef float accumulators[MAX_TOKENS][PANEL_ROWS];

/* Activations of a chunk for one tile of tokens. */
struct inputs {
    const int8_t *codes;
    size_t token_bytes; /* distance between the codes of successive tokens */
    size_t group_bytes; /* distance between the codes of successive groups */
    const float *scales;
    size_t scales_stride; /* distance between the scales of successive groups; 32 columns only */
    const int16_t *sums;  /* of sub-blocks */
    size_t token_sums;
    size_t group_sums;
    size_t ahead; /* how many bytes ahead packed codes are prefetched */
};

/* How many units of vpmaddubsw results may be added in int16: 2 * 127 * (2^bits - 1) * units < 2^15. */
ALWAYS_INLINE int drain_depth(struct shape s)
{
    int depth = s.bits == 8 ? 1 : s.bits == 6 ? 2 : s.bits == 5 ? 4 : 8;
    return depth < s.sub / 4 ? depth : s.sub / 4;
}

/* The number of tokens that share unpacking in registers; with more, unpacking to memory first is faster. */
ALWAYS_INLINE uint32_t direct_tokens(struct shape s)
{
    return s.bits == 4 && !s.is_signed ? 4 : 2;
}

/* The int32 of two neighboring int16 in every lane. */
ALWAYS_INLINE __m256i broadcast_pair(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm256_set1_epi32(both);
}

/* What is prefetched during a group of 32 columns, spread over its steps, since bursts of prefetches stall. Packed
 * codes are prefetched twice (kernel/wide/fetch_line.h): `bytes` bytes from `from` on into the second-level cache, a
 * share in each step, and as many from `for_l1` on into the first-level cache. During unpacked codes, `lines` lines
 * from `from` on are prefetched for each group. */
struct ahead {
    const uint8_t *from, *for_l1;
    size_t bytes;
    int lines;
};

ALWAYS_INLINE void prefetch(const struct ahead *ahead, bool unpacked, int g)
{
    const size_t step = (size_t)g;
    if (unpacked) {
        if (g < ahead->lines)
            _mm_prefetch((const char *)(ahead->from + step * 64), _MM_HINT_T0);
        return;
    }
    for (size_t at = (ahead->bytes * step / UNITS + 63) / 64 * 64; at < ahead->bytes * (step + 1) / UNITS; at += 64)
        fetch_line(ahead->from + at, ahead->for_l1 + at);
}

/* The prefetches during packed codes at `at`. */
ALWAYS_INLINE struct ahead ahead_of(const struct inputs *in, const uint8_t *at, size_t bytes)
{
    return (struct ahead){.from = at + in->ahead, .for_l1 = at + in->ahead / 2, .bytes = bytes};
}

/* Adds the products of group `first + i` of 32 columns to total, scaled where the type has integer scales. bytes: codes
 * unpacked, or NULL to take them from words; both point at the first octet's. */
ALWAYS_INLINE void add_group(struct shape s, const uint8_t *words, const uint8_t *bytes, const struct chunk *chunk,
                             const struct inputs *in, int first, const int i, int octet, const int octets,
                             const int tokens, __m256i total[4][4], const struct ahead *ahead)
{
    const int depth = drain_depth(s), group = first + i;
    const int8_t *y = in->codes + (size_t)group * in->group_bytes;
    __m256i part[4][4];
    UNROLL
    for (int g = 0; g < UNITS; g++) {
        __m256i four[4];
        FORGET_LOADS(); /* and keep prefetches apart */
        prefetch(ahead, bytes, g);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            int32_t columns;
            memcpy(&columns, y + (size_t)t * in->token_bytes + g * 4, sizeof columns);
            four[t] = _mm256_set1_epi32(columns);
        }
        UNROLL
        for (int o = 0; o < octets; o++) {
            const __m256i code = bytes ? _mm256_load_si256((const __m256i *)(bytes + g * WORD_BYTES + o * OCTET * 4))
                                       : unit_codes(s, words + o * OCTET * 4, first, i, g);
            const __m256i magnitude = s.is_signed ? _mm256_abs_epi8(code) : code;
            UNROLL
            for (int t = 0; t < tokens; t++) {
                const __m256i yt = s.is_signed ? _mm256_sign_epi8(four[t], code) : four[t];
                const __m256i product = _mm256_maddubs_epi16(magnitude, yt);
                part[o][t] = g % depth == 0 ? product : _mm256_add_epi16(part[o][t], product);
                KEEP_IN_REGISTER(part[o][t]);
            }
        }
        if (g % depth == depth - 1) {
            const int sub = (group * UNITS + g) * 4 / s.sub;
            UNROLL
            for (int o = 0; o < octets; o++) {
                const __m256i scale = s.columns == 256
                                          ? _mm256_load_si256((const __m256i *)chunk->scales[sub][(octet + o) * OCTET])
                                          : _mm256_set1_epi16(1);
                UNROLL
                for (int t = 0; t < tokens; t++)
                    total[o][t] = _mm256_add_epi32(total[o][t], _mm256_madd_epi16(part[o][t], scale));
            }
        }
    }
}

/* A block of 256 columns. */
ALWAYS_INLINE void tile_256(struct shape s, const uint8_t *block, const uint8_t *bytes, const struct chunk *chunk,
                            const struct inputs *in, struct ahead *ahead, int octet, const int octets, const int tokens,
                            float (*acc)[PANEL_ROWS])
{
    const uint8_t *words = block + s.halves * HALF_BYTES + octet * OCTET * 4;
    const int subs = s.columns / s.sub, centered = s.offset ? subs : 0;
    const size_t share = shape_block_bytes(s) / CHUNK_GROUPS * (size_t)octets / OCTETS;
    __m256i total[4][4];
    UNROLL
    for (int o = 0; o < octets; o++) {
        UNROLL
        for (int t = 0; t < tokens; t++) {
            total[o][t] = _mm256_setzero_si256();
            UNROLL
            for (int sub = 0; sub < centered; sub += 2) {
                const __m256i pair = _mm256_load_si256((const __m256i *)chunk->pairs[sub / 2][(octet + o) * OCTET]);
                const __m256i sums = broadcast_pair(in->sums + (size_t)t * in->token_sums + sub);
                total[o][t] = _mm256_sub_epi32(total[o][t], _mm256_madd_epi16(pair, sums));
            }
        }
    }
    const int together = groups_together(s);
    for (int group = 0; group < CHUNK_GROUPS; group++) {
        const uint8_t *at = block + (size_t)octet * shape_block_bytes(s) / OCTETS + (size_t)group * share;
        const struct ahead packed = ahead_of(in, at, share);
        add_group(s, words, bytes ? bytes + group * UNITS * WORD_BYTES + octet * OCTET * 4 : NULL, chunk, in,
                  group / together * together, group % together, octet, octets, tokens, total, bytes ? ahead : &packed);
        ahead->from += (size_t)ahead->lines * 64;
    }
    UNROLL
    for (int o = 0; o < octets; o++) {
        const int row = (octet + o) * OCTET;
        UNROLL
        for (int t = 0; t < tokens; t++) {
            __m256 sum = _mm256_mul_ps(_mm256_load_ps(&chunk->d[0][row]), _mm256_cvtepi32_ps(total[o][t]));
            if (s.has_min) {
                __m256i minimum = _mm256_setzero_si256();
                UNROLL
                for (int sub = 0; sub < subs; sub += 2) {
                    const __m256i pair = _mm256_load_si256((const __m256i *)chunk->pairs[sub / 2][row]);
                    const __m256i sums = broadcast_pair(in->sums + (size_t)t * in->token_sums + sub);
                    minimum = _mm256_add_epi32(minimum, _mm256_madd_epi16(pair, sums));
                }
                sum = _mm256_fmadd_ps(_mm256_load_ps(&chunk->minus[0][row]), _mm256_cvtepi32_ps(minimum), sum);
            }
            _mm256_store_ps(&acc[t][row],
                            _mm256_fmadd_ps(_mm256_set1_ps(in->scales[t]), sum, _mm256_load_ps(&acc[t][row])));
        }
    }
}

/* Up to eight blocks of 32 columns. */
ALWAYS_INLINE void tile_32(struct shape s, const uint8_t *block, const uint8_t *bytes, const struct chunk *chunk,
                           const struct inputs *in, struct ahead *ahead, int groups, int octet, const int octets,
                           const int tokens, float (*acc)[PANEL_ROWS])
{
    const uint8_t *words = block + s.halves * HALF_BYTES + octet * OCTET * 4;
    const size_t block_bytes = shape_block_bytes(s), share = block_bytes * (size_t)octets / OCTETS;
    const bool alone = !bytes && tokens == 1; /* its chains stay in registers, its factors are not widened beforehand */
    __m256 chain[4];
    UNROLL
    for (int o = 0; o < octets && alone; o++)
        chain[o] = _mm256_load_ps(&acc[0][(octet + o) * OCTET]);
    for (int group = 0; group < groups; group++) {
        __m256i total[4][4];
        UNROLL
        for (int o = 0; o < octets; o++) {
            UNROLL
            for (int t = 0; t < tokens; t++)
                total[o][t] = _mm256_setzero_si256();
        }
        const uint8_t *at = block + (size_t)group * block_bytes + (size_t)(octet / octets) * share;
        const struct ahead packed = ahead_of(in, at, share);
        add_group(s, words + (size_t)group * block_bytes,
                  bytes ? bytes + group * UNITS * WORD_BYTES + octet * OCTET * 4 : NULL, chunk, in, group, 0, octet,
                  octets, tokens, total, bytes ? ahead : &packed);
        ahead->from += (size_t)ahead->lines * 64;
        UNROLL
        for (int t = 0; t < tokens; t++) {
            const int32_t ysum = in->sums[(size_t)group * in->group_sums + (size_t)t];
            const __m256 scale = _mm256_set1_ps(in->scales[(size_t)group * in->scales_stride + (size_t)t]);
            UNROLL
            for (int o = 0; o < octets; o++) {
                const int row = (octet + o) * OCTET;
                __m256i product = total[o][t];
                if (s.offset)
                    product = _mm256_sub_epi32(product, _mm256_set1_epi32(s.offset * ysum));
                const uint8_t *halves = block + (size_t)group * block_bytes + row * 2;
                const __m256 d = alone ? load_factor(halves, 0, false) : _mm256_load_ps(&chunk->d[group][row]);
                __m256 sum = _mm256_mul_ps(d, _mm256_cvtepi32_ps(product));
                if (s.has_min) {
                    const __m256 minus =
                        alone ? load_factor(halves, 1, false) : _mm256_load_ps(&chunk->minus[group][row]);
                    sum = _mm256_fmadd_ps(minus, _mm256_set1_ps((float)ysum), sum);
                }
                if (alone)
                    chain[o] = _mm256_fmadd_ps(scale, sum, chain[o]);
                else
                    _mm256_store_ps(&acc[t][row], _mm256_fmadd_ps(scale, sum, _mm256_load_ps(&acc[t][row])));
            }
        }
    }
    UNROLL
    for (int o = 0; o < octets && alone; o++)
        _mm256_store_ps(&acc[0][(octet + o) * OCTET], chain[o]);
}

ALWAYS_INLINE void tile(struct shape s, const uint8_t *block, const uint8_t *bytes, const struct chunk *chunk,
                        const struct inputs *in, struct ahead *ahead, int groups, int octet, const int octets,
                        const int tokens, float (*acc)[PANEL_ROWS])
{
    if (s.columns == 256)
        tile_256(s, block, bytes, chunk, in, ahead, octet, octets, tokens, acc);
    else
        tile_32(s, block, bytes, chunk, in, ahead, groups, octet, octets, tokens, acc);
}

/* Codes as bytes [group][unit][32 rows][4] */
ALWAYS_INLINE void unpack(struct shape s, const uint8_t *block, int groups, uint8_t *bytes)
{
    const int together = groups_together(s);
    const size_t block_bytes = s.columns == 256 ? 0 : shape_block_bytes(s);
    for (int first = 0; first < groups; first += together) {
        for (int o = 0; o < OCTETS; o++) {
            const uint8_t *words = block + s.halves * HALF_BYTES + o * OCTET * 4 + (size_t)first * block_bytes;
            uint8_t *to = bytes + first * UNITS * WORD_BYTES + o * OCTET * 4;
            UNROLL
            for (int i = 0; i < together; i++) {
                UNROLL
                for (int g = 0; g < UNITS; g++)
                    _mm256_store_si256((__m256i *)(to + (i * UNITS + g) * WORD_BYTES),
                                       unit_codes(s, words, s.columns == 256 ? first : 0, i, g));
            }
        }
    }
}

/* All tokens of one chunk. */
ALWAYS_INLINE void add_chunk(struct shape s, const uint8_t *block, int groups, struct inputs in, uint32_t tokens,
                             accumulators acc)
{
    struct chunk chunk;
    _Alignas(32) uint8_t bytes[CHUNK_GROUPS * UNITS * WORD_BYTES];
    float(*row)[PANEL_ROWS] = acc;
    if (s.columns == 256)
        chunk_read_256(s, block, &chunk);
    else if (tokens > 1)
        chunk_read_32(s, block, groups, &chunk);
    const uint8_t *unpacked = tokens > direct_tokens(s) ? bytes : NULL;
    /* Prefetches the next chunk while this one is multiplied. */
    const size_t chunk_bytes = shape_block_bytes(s) * (s.columns == 256 ? 1 : (size_t)groups);
    const size_t visits = (size_t)(tokens + TILE - 1) / TILE * 2 * (size_t)groups;
    struct ahead ahead = {.from = block + chunk_bytes, .lines = (int)((chunk_bytes / 64 + visits) / visits)};
    if (unpacked)
        unpack(s, block, groups, bytes);
    while (tokens > 0) {
        const uint32_t step = tokens < TILE ? tokens : TILE;
        if (!unpacked && step == 1)
            tile(s, block, NULL, &chunk, &in, &ahead, groups, 0, 4, 1, row);
        else
            for (int octet = 0; octet < OCTETS; octet += 2)
                switch (step + (unpacked ? TILE : 0)) {
#define TILE_CASES(n)                                                                                                  \
    case (n):                                                                                                          \
        tile(s, block, NULL, &chunk, &in, &ahead, groups, octet, 2, n, row);                                           \
        break;                                                                                                         \
    case TILE + (n):                                                                                                   \
        tile(s, block, bytes, &chunk, &in, &ahead, groups, octet, 2, n, row);                                          \
        break;
                    TILE_CASES(2)
                    TILE_CASES(3)
                    TILE_CASES(4)
                default:
                    tile(s, block, bytes, &chunk, &in, &ahead, groups, octet, 2, 1, row);
                    break;
#undef TILE_CASES
                }
        tokens -= step;
        row += step;
        in.codes += step * in.token_bytes;
        in.scales += step;
        in.sums += step * in.token_sums;
    }
}

ALWAYS_INLINE void panels(struct shape s, const struct matmul_args *args)
{
    const struct packed_matrix *w = args->weights;
    const struct activations_int8 *form = &args->input->int8[s.columns == 256];
    const uint32_t end = args->last_token * args->input->planes;
    const size_t stride = (size_t)args->input->tokens * args->input->planes, columns = (size_t)s.columns;
    const int16_t *sums = s.sub == 16 ? form->sums16 : form->sums32;
    const size_t row_sums = columns / (size_t)s.sub;
    /* Small matrices end soon, and what is prefetched far ahead would belong to another thread. */
    const size_t ahead = w->panel_bytes / 4 < MAX_AHEAD ? w->panel_bytes / 4 : MAX_AHEAD;
    _Alignas(32) accumulators acc;
    for (uint32_t first = args->first_token * args->input->planes; first < end; first += MAX_TOKENS)
        for (uint32_t panel = args->first_panel; panel < args->last_panel; panel++) {
            const uint32_t count = end - first < MAX_TOKENS ? end - first : MAX_TOKENS;
            const uint8_t *block = w->data + panel * w->panel_bytes;
            memset(acc, 0, count * sizeof *acc);
            for (uint32_t column = 0; column < w->columns; column += CHUNK_COLUMNS) {
                const uint32_t left = w->columns - column;
                const int groups = left < CHUNK_COLUMNS ? (int)left / GROUP_COLUMNS : CHUNK_GROUPS;
                const size_t at = column / columns * stride + first;
                add_chunk(s, block, groups,
                          (struct inputs){.codes = form->codes + at * columns,
                                          .token_bytes = columns,
                                          .group_bytes = s.columns == 256 ? GROUP_COLUMNS : stride * columns,
                                          .scales = form->scales + at,
                                          .scales_stride = stride,
                                          .sums = sums + at * row_sums,
                                          .token_sums = row_sums,
                                          .group_sums = stride,
                                          .ahead = ahead},
                          count, acc);
                block += shape_block_bytes(s) * (s.columns == 256 ? 1 : (size_t)groups);
            }
            store(args, panel, first, count, args->input->planes, acc);
        }
}

#define SHAPE_FUNCTION(name, ...)                                                                                      \
    static void panels_##name(const struct matmul_args *args)                                                          \
    {                                                                                                                  \
        panels(SHAPE(__VA_ARGS__), args);                                                                              \
    }
GGUF_TYPE_MAP(GGUF_TYPE_SKIP, SHAPE_FUNCTION)
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

/* `octets` octets of a panel with T tokens; one chain for each row and token. */
ALWAYS_INLINE void float_tile(uint32_t type, const struct matmul_args *args, uint32_t p, int octet, const int octets,
                              uint32_t token, const int T)
{
    const struct packed_matrix *w = args->weights;
    const size_t size = type == GGUF_F32 ? 4 : 2;
    const float *x = args->input->values + (size_t)token * w->columns;
    const uint8_t *weights = w->data + p * w->panel_bytes + (size_t)octet * OCTET * size;
    __m256 acc[4][6];
    UNROLL
    for (int o = 0; o < octets; o++) {
        UNROLL
        for (int t = 0; t < T; t++)
            acc[o][t] = _mm256_setzero_ps();
    }
    for (uint32_t column = 0; column < w->columns; column++, weights += PANEL_ROWS * size) {
        __m256 weight[4];
        UNROLL
        for (int o = 0; o < octets; o++)
            weight[o] = load_values(type, weights + (size_t)o * OCTET * size);
        if (octet == 0)
            for (size_t at = 0; at < PANEL_ROWS * size; at += 64)
                fetch_line(weights + FLOATS_AHEAD + at, weights + FLOATS_AHEAD / 4 + at);
        UNROLL
        for (int t = 0; t < T; t++) {
            const __m256 xt = _mm256_broadcast_ss(x + (size_t)t * w->columns + column);
            UNROLL
            for (int o = 0; o < octets; o++)
                acc[o][t] = _mm256_fmadd_ps(weight[o], xt, acc[o][t]);
        }
    }
    UNROLL
    for (int o = 0; o < octets; o++) {
        UNROLL
        for (int t = 0; t < T; t++) {
            const uint32_t row = p * PANEL_ROWS + (uint32_t)(octet + o) * OCTET;
            float *out = args->out + (size_t)(token + (uint32_t)t - args->first_token) * args->out_stride + row -
                         (size_t)args->first_panel * PANEL_ROWS;
            float values[OCTET];
            _mm256_storeu_ps(values, acc[o][t]);
            for (uint32_t i = 0; i < OCTET && row + i < w->rows; i++)
                out[i] = args->add ? out[i] + values[i] : values[i];
        }
    }
}

/* With few tokens all rows of a panel are computed at once, with more only half of them, so that twelve chains fit the
 * registers. */
ALWAYS_INLINE void float_panels(uint32_t type, const struct matmul_args *args)
{
    for (uint32_t p = args->first_panel; p < args->last_panel; p++)
        for (uint32_t token = args->first_token; token < args->last_token;) {
            const uint32_t left = args->last_token - token, step = left < 6 ? left : 6;
            if (step == 1)
                float_tile(type, args, p, 0, 4, token, 1);
            else if (step == 2)
                float_tile(type, args, p, 0, 4, token, 2);
            else
                for (int octet = 0; octet < OCTETS; octet += 2)
                    switch (step) {
                    case 3:
                        float_tile(type, args, p, octet, 2, token, 3);
                        break;
                    case 4:
                        float_tile(type, args, p, octet, 2, token, 4);
                        break;
                    case 5:
                        float_tile(type, args, p, octet, 2, token, 5);
                        break;
                    default:
                        float_tile(type, args, p, octet, 2, token, 6);
                        break;
                    }
            token += step;
        }
}

void matmul_avx2(const struct matmul_args *args)
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
