/* One tile of a matrix product with AVX-512 and VNNI: the 32 rows of a panel and up to TILE tokens, for 256 columns.
 *
 * vpdpbusd sums the products of codes and activations in int32, exactly. The sum of a sub-block starts with -bias times
 * the sum of its activations, which makes codes signed at no cost; what it then adds to the total depends on how large
 * it can be:
 *
 *   it fits int16                     one vpdpwssd multiplies its low half by the scale and adds
 *   it may not                        vpmulld, then an addition
 *   there is no integer scale         it is the total
 *
 * Of Q2_K and Q3_K all sums fit, of IQ4_XS none need to, and of Q4_K, Q5_K and Q6_K those with activations that are not
 * `large` (struct quantize_args). */
#ifndef KERNEL_X86_TILE_AVX512_H
#define KERNEL_X86_TILE_AVX512_H

#include "kernel/wide/fetch_line.h"
#include "kernel/wide/streams.h"
#include "kernel/x86/panel_avx512.h"

#include <string.h>

enum {
    TILE = 8,        /* tokens whose sums are in registers at the same time */
    ALL_KEPT = 6,    /* tokens whose sums and totals are in registers: 12 and 12 of 32 */
    PAIR = 2,        /* groups of columns that share their packed words and are computed together */
    MAX_TOKENS = 128 /* tokens whose accumulators are kept at a time */
};

/* Hides a value from gcc, which would otherwise regroup additions of integers. */
#if defined(__AVX512F__)
#define KEEP_IN_REGISTER(x) __asm__("" : "+v"(x))
#else
#define KEEP_IN_REGISTER(x) (void)(x) /* emulated by the tests */
#endif

/* An array whose address gcc has given away is in memory whenever its loads are to be forgotten. */
#define KEEP_IN_MEMORY(array) __asm__ volatile("" : : "r"(array) : "memory")

/* vpdpbusd takes five cycles and two begin in each, so ten sums have to be in flight; with twelve, one late operand
 * stalls them all, with sixteen it does not. They leave room for the totals (of 32 columns: the float chains) of the
 * first tokens of a tile; the others' are in memory. */
ALWAYS_INLINE bool is_kept(struct shape s, const int tokens, const int t)
{
    const int kept = s.columns == 32 ? 3 : 4;
    return tokens <= ALL_KEPT || t < kept;
}

/* Activations of a chunk for one tile of tokens. */
struct inputs {
    const int8_t *codes;
    size_t token_bytes; /* distance between the codes of successive tokens */
    size_t group_bytes; /* distance between the codes of successive groups */
    const float *scales;
    size_t scales_stride;    /* distance between the scales of successive groups; 32 columns only */
    const int16_t *sums;     /* of sub-blocks; 256 columns: [token][sub-block] */
    const int32_t *starts;   /* -bias * sums; 256 columns: [token][sub-block], 32 columns: [group][MAX_TOKENS] */
    const float *sums_float; /* 32 columns with minimum: [group][MAX_TOKENS] */
    const uint8_t *large;    /* 256 columns: [token] */
};

ALWAYS_INLINE __m512i broadcast_word(const void *bytes)
{
    int32_t word;
    memcpy(&word, bytes, sizeof word);
    return _mm512_set1_epi32(word);
}

/* The weights to prefetch (kernel/wide/fetch_line.h): those of the chunks after the next ones into the second-level
 * cache, and those of the next chunk in the order of reading into the first-level cache. */
struct ahead {
    struct fetch for_l2;
    const uint8_t *for_l1;
};

ALWAYS_INLINE void prefetch_line(const struct ahead *ahead, size_t line)
{
    fetch_line(ahead->for_l2.from[0] + line * 64, ahead->for_l1 + line * 64);
}

ALWAYS_INLINE void prefetched(struct ahead *ahead, size_t lines)
{
    fetch_other(&ahead->for_l2, lines);
    ahead->for_l1 += lines * 64;
}

/* The number of lines of a group of 32 columns. */
ALWAYS_INLINE size_t group_lines(struct shape s)
{
    return (shape_block_bytes(s) * GROUP_COLUMNS / (size_t)s.columns + 63) / 64;
}

/* Prefetches the share of one of a group's UNITS steps, for any number of lines. */
ALWAYS_INLINE void fetch_lines(const struct ahead *ahead, size_t lines, size_t step)
{
    for (size_t line = lines * step / UNITS; line < lines * (step + 1) / UNITS; line++)
        prefetch_line(ahead, line);
}

/* Prefetches ahead->for_l2.lines lines, at most half of a group's. Only Q8_0 has more than UNITS of them. */
ALWAYS_INLINE void fetch_few(struct shape s, const struct ahead *ahead, size_t step)
{
    if (step < ahead->for_l2.lines)
        prefetch_line(ahead, step);
    if (group_lines(s) > 2 * UNITS && step + UNITS < ahead->for_l2.lines)
        prefetch_line(ahead, step + UNITS);
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
                prefetched(ahead, group_lines(s));
            fetch_lines(ahead, group_lines(s), (size_t)(step % UNITS));
        }
        if (bytes && ahead)
            fetch_few(s, ahead, (size_t)g);
        __m512i code[PAIR][HALVES];
        int sub[PAIR];
        UNROLL
        for (int k = 0; k < count; k++) {
            const int group = first + i + k * apart;
            sub[k] = group * (GROUP_COLUMNS / s.sub) + g * 4 / s.sub;
            if (g * 4 % s.sub == 0) {
                UNROLL
                for (int t = 0; t < tokens; t++) {
                    const int at = s.columns == 256 ? t * subs + sub[k] : group * MAX_TOKENS + t;
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
                add_scaled(s, small, chunk, sub[k], tokens, part[k], total, others);
    }
    if (ahead)
        prefetched(ahead, ahead->for_l2.lines);
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

/* A block of 256 columns. small: no activations are of a large block, or it makes no difference. */
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
                                          _mm512_set1_ps(in->sums_float[group * MAX_TOKENS + t]), sum);
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

/* small: see tile_256. */
ALWAYS_INLINE void tile(struct shape s, const bool small, const uint8_t *block, const uint8_t *bytes,
                        const struct chunk *chunk, const struct inputs *in, int groups, const int tokens,
                        float (*acc)[PANEL_ROWS], struct ahead *ahead)
{
    if (s.columns == 32)
        tile_32(s, bytes != NULL, block, bytes, chunk, in, groups, tokens, acc, ahead);
    else
        tile_256(s, small, block, bytes, chunk, in, tokens, acc, ahead);
}

#endif
