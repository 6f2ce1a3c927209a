/* Matrix product with AVX-512 and VNNI: the bits of matmul_generic.
 *
 * Rows are lanes, so the float chain of a row needs no horizontal sum. vpdpbusd sums the products of codes and
 * activations in int32, exactly. The sum of a sub-block starts with -bias times the sum of its activations, which makes
 * codes signed at no cost; what it then adds to the total depends on how large it can be:
 *
 *   it fits int16                     one vpdpwssd multiplies its low half by the scale and adds
 *   it may not                        vpmulld, then an addition
 *   there is no integer scale         it is the total
 *
 * Of Q2_K and Q3_K all sums fit, of IQ4_XS none need to, and of Q4_K, Q5_K and Q6_K those with activations that are not
 * `large` (struct quantise_args): each tile of tokens takes the way that all of its activations allow.
 *
 * A panel is worked on in chunks of 256 columns. Up to DIRECT tokens use its codes straight from their packed form; for
 * more they are unpacked to bytes once, which stay in the first-level cache while all tokens pass by. */
#include "kernel/activations.h"
#include "kernel/x86/fetch_line.h"
#include "kernel/x86/matmul_store.h"
#include "kernel/x86/panel_avx512.h"
#include "kernel/x86/streams.h"

#include <string.h>

enum {
    DIRECT = 4,           /* tokens that share the work of unpacking in registers */
    FEW = 18,             /* tokens whose tiles fetch weights while they compute: it costs more of them 3 % */
    ALL_KEPT = 6,         /* tokens whose sums and totals are in registers together: 12 and 12 of 32 */
    TILE = 8,             /* tokens of a tile at most, see is_kept */
    PAIR = 2,             /* groups of columns at a time that share their packed words */
    MOST_TOKENS = 128,    /* whose accumulators are kept at a time */
    PREFETCH_AHEAD = 8192 /* bytes, into the second-level cache */
};

/* gcc would regroup additions of integers; it must not look through this. */
#if defined(__AVX512F__)
#define KEEP_IN_REGISTER(x) __asm__("" : "+v"(x))
#else
#define KEEP_IN_REGISTER(x) (void)(x) /* emulated by the tests */
#endif

/* An array whose address gcc has given away is in memory whenever its loads are to be forgotten. */
#define KEEP_IN_MEMORY(array) __asm__ volatile("" : : "r"(array) : "memory")

/* gcc would load what several tokens or groups share once, and spill it; loading again is cheaper. */
#define FORGET_LOADS() __asm__ volatile("" ::: "memory")

/* vpdpbusd takes five cycles and two begin in each, so ten sums have to be under way; twelve stand still whenever one
 * is late, sixteen do not. They leave room for the totals (of 32 columns: the float chains) of the first tokens of a
 * tile; the others' are in memory. Where a sub-block is only 16 columns, that costs more than it gains. */
ALWAYS_INLINE uint32_t tile_tokens(struct shape s)
{
    return s.sub == 16 ? ALL_KEPT : TILE;
}

ALWAYS_INLINE bool is_kept(struct shape s, const int tokens, const int t)
{
    const int kept = s.columns == 32 ? 3 : 4;
    return tokens <= ALL_KEPT || t < kept;
}

/* How the codes of a chunk come to a tile. */
enum way {
    PACKED,   /* from their packed form, up to DIRECT tokens */
    FETCHING, /* from bytes; the tiles fetch weights to come, up to FEW tokens */
    UNPACKED  /* from bytes; weights to come are fetched between the tiles */
};

/* The float chains of one panel: [token][row] */
typedef float accumulators[MOST_TOKENS][PANEL_ROWS];

/* Where the results of a panel's rows of activations from `first` go, when their last chunk is done. */
struct destination {
    const struct matmul_args *args;
    uint32_t panel;
    uint32_t first;
    bool is_last_chunk;
};

/* Activations of a chunk for one tile of tokens. */
struct inputs {
    const int8_t *codes;
    size_t token_bytes; /* from one token's codes to the next one's */
    size_t group_bytes; /* from one group's codes to the next one's */
    const float *scales;
    size_t scales_stride;    /* from one group's scales to the next one's; 32 columns only */
    const int16_t *sums;     /* of sub-blocks; 256 columns: [token][sub-block] */
    const int32_t *starts;   /* -bias * sums; 256 columns: [token][sub-block], 32 columns: [group][MOST_TOKENS] */
    const float *sums_float; /* 32 columns with minimum: [group][MOST_TOKENS] */
    const uint8_t *large;    /* 256 columns: [token] */
};

/* What is derived from the sums of a chunk's activations, for all tokens. */
struct derived_sums {
    _Alignas(64) int32_t starts[16 * MOST_TOKENS];
    float sums_float[CHUNK_GROUPS * MOST_TOKENS];
};

ALWAYS_INLINE __m512i broadcast_word(const void *bytes)
{
    int32_t word;
    memcpy(&word, bytes, sizeof word);
    return _mm512_set1_epi32(word);
}

/* Weights to come: far ones, of the chunks after the next ones, and near ones, of the next chunk in the order of
 * reading (kernel/x86/fetch_line.h). */
struct ahead {
    struct fetch far;
    const uint8_t *near;
};

ALWAYS_INLINE void ask_for_line(const struct ahead *ahead, size_t line)
{
    fetch_line(ahead->far.from[0] + line * 64, ahead->near + line * 64);
}

ALWAYS_INLINE void asked_for(struct ahead *ahead, size_t lines)
{
    fetch_other(&ahead->far, lines);
    ahead->near += lines * 64;
}

/* Lines of a group of 32 columns. */
ALWAYS_INLINE size_t group_lines(struct shape s)
{
    return (shape_block_bytes(s) * GROUP_COLUMNS / (size_t)s.columns + 63) / 64;
}

/* The share of one of the UNITS steps of a group of any number of lines. */
ALWAYS_INLINE void fetch_lines(const struct ahead *ahead, size_t lines, size_t step)
{
    for (size_t line = lines * step / UNITS; line < lines * (step + 1) / UNITS; line++)
        ask_for_line(ahead, line);
}

/* The same of ahead->far.lines, half of a group's at most: more than UNITS only of Q8_0. */
ALWAYS_INLINE void fetch_few(struct shape s, const struct ahead *ahead, size_t step)
{
    if (step < ahead->far.lines)
        ask_for_line(ahead, step);
    if (group_lines(s) > 2 * UNITS && step + UNITS < ahead->far.lines)
        ask_for_line(ahead, step + UNITS);
}

/* Asks for what comes PREFETCH_AHEAD behind the share of one of `steps` steps of bytes that are read from memory. */
ALWAYS_INLINE void prefetch(const uint8_t *from, size_t bytes, size_t step, size_t steps)
{
    for (size_t at = (bytes * step / steps + 63) / 64 * 64; at < bytes * (step + 1) / steps; at += 64)
        _mm_prefetch((const char *)(from + PREFETCH_AHEAD + at), _MM_HINT_T1);
}

/* Adds the sums of a sub-block to the totals; those of tokens that are not kept are in others. small: no activations
 * are of a large block. */
ALWAYS_INLINE void add_scaled(struct shape s, const bool small, const struct chunk *chunk, int sub, const int tokens,
                              const __m512i part[HALVES][TILE], __m512i total[HALVES][TILE], __m512i (*others)[TILE])
{
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        __m512i scale = _mm512_load_si512(chunk->scales[sub] + h * HALF);
        if (has_low_scales(s) && !sums_fit_int16(s, small))
            scale = _mm512_srai_epi32(_mm512_slli_epi32(scale, 16), 16);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            __m512i sum = is_kept(s, tokens, t) ? total[h][t] : others[h][t];
            if (sums_fit_int16(s, small))
                sum = _mm512_dpwssd_epi32(sum, part[h][t], scale);
            else
                sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(part[h][t], scale));
            KEEP_IN_REGISTER(sum);
            if (is_kept(s, tokens, t))
                total[h][t] = sum;
            else
                others[h][t] = sum;
        }
    }
}

/* Makes the sums of group `first + i` of 32 columns; from packed words of 256 columns of `count` groups, `apart` from
 * each other, that share their words. 256 columns: adds them to total, sub-block by sub-block. 32 columns: leaves them
 * in part, SUM_BIAS_BITS added. bytes: codes unpacked, or NULL to take them from words. ahead: or NULL. */
ALWAYS_INLINE void add_groups(struct shape s, const bool small, const int count, const int apart, const uint8_t *words,
                              const uint8_t *bytes, const struct chunk *chunk, const struct inputs *in, int first,
                              int i, const int tokens, __m512i part[PAIR][HALVES][TILE], __m512i total[HALVES][TILE],
                              __m512i (*others)[TILE], struct ahead *ahead)
{
    const int subs = s.columns / s.sub;
    UNROLL
    for (int g = 0; g < UNITS; g++) {
        FORGET_LOADS(); /* and keep prefetches apart */
        UNROLL
        for (int k = 0; k < count && !bytes; k++) {
            const int step = g * count + k;
            if (step > 0 && step % UNITS == 0)
                asked_for(ahead, group_lines(s));
            fetch_lines(ahead, group_lines(s), (size_t)(step % UNITS));
        }
        if (bytes && ahead)
            fetch_few(s, ahead, (size_t)g);
        __m512i code[PAIR][HALVES];
        UNROLL
        for (int k = 0; k < count; k++) {
            const int group = first + i + k * apart, sub = group * (GROUP_COLUMNS / s.sub) + g * 4 / s.sub;
            if (g * 4 % s.sub == 0) {
                UNROLL
                for (int t = 0; t < tokens; t++) {
                    const int at = s.columns == 256 ? t * subs + sub : group * MOST_TOKENS + t;
                    part[k][0][t] = part[k][1][t] = bias(s) ? broadcast_word(in->starts + at)
                                                            : _mm512_set1_epi32(s.columns == 32 ? SUM_BIAS_BITS : 0);
                }
            }
            UNROLL
            for (int h = 0; h < HALVES; h++)
                code[k][h] = bytes ? load_word(bytes + h * HALF * 4, g)
                                   : unit_codes(s, words + h * HALF * 4, first, i + k * apart, g);
        }
        UNROLL
        for (int t = 0; t < tokens; t++) {
            UNROLL
            for (int k = 0; k < count; k++) {
                const int8_t *y = in->codes + (size_t)(first + i + k * apart) * in->group_bytes;
                const __m512i four = broadcast_word(y + (size_t)t * in->token_bytes + g * 4);
                UNROLL
                for (int h = 0; h < HALVES; h++)
                    part[k][h][t] = _mm512_dpbusd_epi32(part[k][h][t], code[k][h], four);
            }
        }
        UNROLL
        for (int k = 0; k < count; k++)
            if (s.columns == 256 && (g + 1) * 4 % s.sub == 0)
                add_scaled(s, small, chunk, (first + i + k * apart) * (GROUP_COLUMNS / s.sub) + g * 4 / s.sub, tokens,
                           part[k], total, others);
    }
    if (ahead)
        asked_for(ahead, ahead->far.lines);
}

/* Adds the products of half of the rows of a block of 256 columns to the chains of the tokens. */
ALWAYS_INLINE void finish_256(struct shape s, const struct chunk *chunk, const struct inputs *in, const int half,
                              const int tokens, const __m512i total[TILE], const __m512i *others,
                              float (*acc)[PANEL_ROWS])
{
    const int subs = s.columns / s.sub, row = half * HALF;
    const __m512 d = _mm512_load_ps(&chunk->d[0][row]);
    __m512i back[4], minima[8];
    UNROLL
    for (int pair = 0; pair < subs / 2; pair++) {
        if (added_back(s))
            back[pair] = _mm512_load_si512(chunk->back_pairs[pair] + row);
        if (s.has_min)
            minima[pair] = _mm512_load_si512(chunk->min_pairs[pair] + row);
    }
    UNROLL
    for (int t = 0; t < tokens; t++) {
        FORGET_LOADS();
        __m512i all = is_kept(s, tokens, t) ? total[t] : others[t], minimum = _mm512_setzero_si512();
        UNROLL
        for (int pair = 0; pair < subs / 2; pair++) {
            const __m512i sums = broadcast_word(in->sums + t * subs + pair * 2);
            if (added_back(s))
                all = _mm512_dpwssd_epi32(all, back[pair], sums);
            if (s.has_min)
                minimum = _mm512_dpwssd_epi32(minimum, minima[pair], sums);
        }
        __m512 sum = _mm512_mul_ps(d, _mm512_cvtepi32_ps(all));
        if (s.has_min)
            sum = _mm512_fmadd_ps(_mm512_load_ps(&chunk->minus[0][row]), _mm512_cvtepi32_ps(minimum), sum);
        _mm512_store_ps(&acc[t][row],
                        _mm512_fmadd_ps(_mm512_set1_ps(in->scales[t]), sum, _mm512_load_ps(&acc[t][row])));
    }
}

/* A block of 256 columns. */
ALWAYS_INLINE void tile_256(struct shape s, const bool small, const uint8_t *block, const uint8_t *bytes,
                            const struct chunk *chunk, const struct inputs *in, const int tokens,
                            float (*acc)[PANEL_ROWS], struct ahead *ahead)
{
    const uint8_t *words = block + s.halves * HALF_BYTES;
    const int together = groups_together(s);
    __m512i total[HALVES][TILE], others[HALVES][TILE];
    KEEP_IN_MEMORY(others);
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int t = 0; t < tokens; t++)
            if (is_kept(s, tokens, t))
                total[h][t] = _mm512_setzero_si512();
            else
                others[h][t] = _mm512_setzero_si512();
    }
    __m512i part[PAIR][HALVES][TILE];
    if (!bytes && together > 1) {
        for (int first = 0; first < CHUNK_GROUPS; first += together) {
            UNROLL
            for (int i = 0; i < together / PAIR; i++)
                add_groups(s, small, PAIR, together / PAIR, words, NULL, chunk, in, first, i, tokens, part, total,
                           others, ahead);
        }
    } else {
        for (int group = 0; group < CHUNK_GROUPS; group++)
            add_groups(s, small, 1, 1, words, bytes ? bytes + group * UNITS * WORD_BYTES : NULL, chunk, in,
                       group / together * together, group % together, tokens, part, total, others, ahead);
    }
    UNROLL
    for (int h = 0; h < HALVES; h++)
        finish_256(s, chunk, in, h, tokens, total[h], others[h], acc);
}

/* Up to eight blocks of 32 columns. finite: every d is, and chunk says what takes SUM_BIAS back. */
ALWAYS_INLINE void tile_32(struct shape s, const bool finite, const uint8_t *block, const uint8_t *bytes,
                           const struct chunk *chunk, const struct inputs *in, int groups, const int tokens,
                           float (*acc)[PANEL_ROWS], struct ahead *ahead)
{
    const size_t block_bytes = shape_block_bytes(s);
    __m512 chain[HALVES][TILE];
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int t = 0; t < tokens; t++)
            if (is_kept(s, tokens, t))
                chain[h][t] = _mm512_load_ps(&acc[t][h * HALF]);
    }
    for (int group = 0; group < groups; group++, block += block_bytes) {
        __m512i part[PAIR][HALVES][TILE];
        add_groups(s, false, 1, 1, block + s.halves * HALF_BYTES, bytes ? bytes + group * UNITS * WORD_BYTES : NULL,
                   chunk, in, group, 0, tokens, part, NULL, NULL, ahead);
        UNROLL
        for (int h = 0; h < HALVES; h++) {
            const __m512 d = _mm512_load_ps(&chunk->d[group][h * HALF]);
            const __m512 unbias = _mm512_load_ps(&chunk->unbias[group][h * HALF]);
            UNROLL
            for (int t = 0; t < tokens; t++) {
                __m512 sum = _mm512_castsi512_ps(part[0][h][t]);
                sum = finite ? _mm512_fmadd_ps(d, sum, unbias)
                             : _mm512_mul_ps(d, _mm512_sub_ps(sum, _mm512_set1_ps(SUM_BIAS)));
                if (s.has_min)
                    sum = _mm512_fmadd_ps(_mm512_load_ps(&chunk->minus[group][h * HALF]),
                                          _mm512_set1_ps(in->sums_float[group * MOST_TOKENS + t]), sum);
                const __m512 scale = _mm512_set1_ps(in->scales[(size_t)group * in->scales_stride + (size_t)t]);
                if (is_kept(s, tokens, t))
                    chain[h][t] = _mm512_fmadd_ps(scale, sum, chain[h][t]);
                else
                    _mm512_store_ps(&acc[t][h * HALF], _mm512_fmadd_ps(scale, sum, _mm512_load_ps(&acc[t][h * HALF])));
            }
        }
    }
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int t = 0; t < tokens; t++)
            if (is_kept(s, tokens, t))
                _mm512_store_ps(&acc[t][h * HALF], chain[h][t]);
    }
}

ALWAYS_INLINE void tile(struct shape s, const uint8_t *block, const uint8_t *bytes, const struct chunk *chunk,
                        const struct inputs *in, int groups, const int tokens, float (*acc)[PANEL_ROWS],
                        struct ahead *ahead)
{
    bool small = true;
    if (s.columns == 256 && sums_fit_int16(s, true) && !sums_fit_int16(s, false))
        for (int t = 0; t < tokens; t++)
            small &= !in->large[t];
    if (s.columns == 32)
        tile_32(s, bytes != NULL, block, bytes, chunk, in, groups, tokens, acc, ahead);
    else if (small)
        tile_256(s, true, block, bytes, chunk, in, tokens, acc, ahead);
    else
        tile_256(s, false, block, bytes, chunk, in, tokens, acc, ahead);
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
            asked_for(ahead, ahead->far.lines);
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
            const size_t at = (size_t)group * MOST_TOKENS + t;
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

/* Tiles of about the same size: narrow ones wait for their own sums. */
ALWAYS_INLINE uint32_t tiles_of(struct shape s, uint32_t tokens)
{
    return (tokens + tile_tokens(s) - 1) / tile_tokens(s);
}

ALWAYS_INLINE enum way way_of(uint32_t tokens)
{
    return tokens <= DIRECT ? PACKED : tokens <= FEW ? FETCHING : UNPACKED;
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
        switch ((int)way * TILE + (int)step) {
#define TILE_CASE(way, n, bytes, ahead)                                                                                \
    case (int)(way)*TILE + (n):                                                                                        \
        if ((n) > tile_tokens(s))                                                                                      \
            __builtin_trap();                                                                                          \
        tile(s, block, bytes, &chunk, &in, groups, n, row, ahead);                                                     \
        break;
            TILE_CASE(PACKED, 1, NULL, ahead)
            TILE_CASE(PACKED, 2, NULL, ahead)
            TILE_CASE(PACKED, 3, NULL, ahead)
            TILE_CASE(PACKED, 4, NULL, ahead)
            TILE_CASE(FETCHING, 3, bytes, ahead)
            TILE_CASE(FETCHING, 4, bytes, ahead)
            TILE_CASE(FETCHING, 5, bytes, ahead)
            TILE_CASE(FETCHING, 6, bytes, ahead)
            TILE_CASE(FETCHING, 7, bytes, ahead)
            TILE_CASE(FETCHING, 8, bytes, ahead)
            TILE_CASE(UNPACKED, 4, bytes, NULL)
            TILE_CASE(UNPACKED, 5, bytes, NULL)
            TILE_CASE(UNPACKED, 6, bytes, NULL)
            TILE_CASE(UNPACKED, 7, bytes, NULL)
            TILE_CASE(UNPACKED, 8, bytes, NULL)
#undef TILE_CASE
        default:
            __builtin_trap();
        }
        if (to.is_last_chunk)
            store(to.args, to.panel, to.first, step, planes, row);
        to.first += step;
        tokens -= step;
        row += step;
        advance(s, &in, step);
    }
}

/* Groups of a chunk at most. Few tokens of 32 columns read faster where panels take shorter turns, of about 1 KB; short
 * rows are of small models, which may be in a cache, where turns only cost. */
ALWAYS_INLINE uint32_t most_groups(struct shape s, uint32_t columns, uint32_t together, uint32_t tokens)
{
    enum { LONG_ROW = 2048 };
    if (s.columns == 256 || together < STREAMS || columns < LONG_ROW)
        return CHUNK_GROUPS;
    const uint32_t groups = tokens <= 2 ? 2 : tokens <= DIRECT ? 4 : CHUNK_GROUPS;
    return shape_block_bytes(s) > 1024 ? groups / 2 : groups;
}

/* Chunks of about the same size, of at most `most` groups. */
ALWAYS_INLINE uint32_t chunk_groups(uint32_t groups_left, uint32_t most)
{
    const uint32_t chunks = (groups_left + most - 1) / most;
    return (groups_left + chunks - 1) / chunks;
}

/* Lines to ask for whenever a group is visited: in all, the bytes of a chunk. */
ALWAYS_INLINE size_t lines_to_fetch(struct shape s, size_t chunk_bytes, uint32_t groups, uint32_t tokens)
{
    const size_t visits = (tiles_of(s, tokens) + 1) * groups;
    return way_of(tokens) == PACKED     ? group_lines(s)
           : way_of(tokens) == FETCHING ? (chunk_bytes / 64 + visits - 1) / visits
                                        : 0;
}

/* Group `group` of a panel, or as far behind its end as what its thread reads after `together` panels. */
ALWAYS_INLINE const uint8_t *group_at(const struct matmul_args *args, uint32_t panel, uint32_t together, uint32_t group,
                                      size_t group_bytes)
{
    const struct packed_matrix *w = args->weights;
    const uint32_t all = w->columns / GROUP_COLUMNS;
    return group < all ? w->data + panel * w->panel_bytes + group * group_bytes
                       : matmul_panel(args, panel + together) + (group - all) * group_bytes;
}

/* One panel, or STREAMS of them by turns, chunk by chunk: `count` rows of activations from `first`. */
ALWAYS_INLINE void panels_together(struct shape s, const struct matmul_args *args, uint32_t panel, uint32_t together,
                                   uint32_t first, uint32_t count)
{
    const struct packed_matrix *w = args->weights;
    const struct activations_int8 *form = &args->input->int8[s.columns == 256];
    const size_t stride = (size_t)args->input->tokens * args->input->planes, columns = (size_t)s.columns;
    const int16_t *sums = s.sub == 16 ? form->sums16 : form->sums32;
    const size_t group_bytes = shape_block_bytes(s) * GROUP_COLUMNS / columns;
    const uint32_t all = w->columns / GROUP_COLUMNS;
    const uint32_t most = most_groups(s, w->columns, together, count);
    const size_t chunk_bytes = chunk_groups(all, most) * group_bytes;
    const size_t lines = lines_to_fetch(s, chunk_bytes, chunk_groups(all, most), count);
    _Alignas(64) accumulators acc;
    memset(acc, 0, together * count * sizeof *acc);
    for (uint32_t begin = 0, groups; begin < all; begin += groups) {
        groups = chunk_groups(all - begin, most);
        const uint8_t *block = w->data + panel * w->panel_bytes + begin * group_bytes;
        const uint8_t *next = group_at(args, panel, together, begin + groups, group_bytes);
        const uint8_t *far = group_at(args, panel, together, begin + 2 * groups, group_bytes);
        const size_t at = begin * GROUP_COLUMNS / columns * stride + first;
        for (uint32_t i = 0; i < together; i++) {
            const uint8_t *panel_block = block + i * w->panel_bytes;
            struct ahead ahead = {.far = fetch_start(far, w->panel_bytes, chunk_bytes, i, together, lines),
                                  .near = i + 1 < together ? panel_block + w->panel_bytes : next};
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
    for (uint32_t first = args->first_token * args->input->planes; first < end; first += MOST_TOKENS) {
        const uint32_t count = end - first < MOST_TOKENS ? end - first : MOST_TOKENS;
        for (uint32_t panel = args->first_panel, together; panel < args->last_panel; panel += together) {
            together = way_of(count) == UNPACKED || args->last_panel - panel < STREAMS ? 1 : STREAMS;
            panels_together(s, args, panel, together, first, count);
        }
    }
}

#define SHAPE_FUNCTION(name, ...)                                                                                      \
    static void panels_##name(const struct matmul_args *args)                                                          \
    {                                                                                                                  \
        panels((struct shape){GGUF_##name, __VA_ARGS__}, args);                                                        \
    }
SHAPE_LIST(SHAPE_FUNCTION)
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
