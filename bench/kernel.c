/* Each operation of the forward pass by itself, in every tier that this CPU has, beside the limits of the machine.
 *
 * For working on kernels: a case takes a tenth of a second, and --only, --type, --shape, --tokens and --tier choose
 * among them. An operation of KERNEL_LIST without a function here does not compile.
 *
 * Few tokens (--memory auto: up to 16) read weights that are in no cache, as decoding does: slice after slice of a
 * matrix several times the size of the last-level cache. More tokens go over one slice again and again.
 *
 * Times are those of the fastest of several runs, for the whole shape. "share" is the time that the limits of the same
 * minute allow, reading and computing overlapped, divided by the time taken. */
#include "base/clock.h"
#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "gguf/gguf_type.h"
#include "kernel/activations.h"
#include "quant/quant.h"
#include "tools/limits.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LISTED = 32, MAX_TOKENS = 4096, COLD_TOKENS = 16 };

enum memory { MEMORY_AUTO, MEMORY_COLD, MEMORY_HOT };

struct list {
    uint32_t values[MAX_LISTED];
    uint32_t count;
};

struct bench {
    struct kernel_table kernels;
    struct thread_pool *pool;
    struct limits_meter meter;
    struct limits limits;
    const char *operation;
    double seconds;   /* of a case */
    size_t cold_size; /* bytes that no cache holds */
    enum memory memory;
    struct list types, tokens, rows, columns, depths; /* empty: all */
    const char *only;
    uint64_t random;
};

/* What is measured: units 0, 1, ... of `run`, `units` of which are the whole case. */
struct work {
    thread_pool_function *run;
    void *argument;
    uint32_t units;
    uint32_t largest; /* parts of a case that every unit but its last does */
    uint32_t parts;   /* of a case */
    double bytes;     /* of a case */
    double int8_macs, float_macs;
    bool is_cold; /* bytes come from memory */
};

static float random_value(struct bench *b)
{
    b->random = b->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (float)(int32_t)(b->random >> 32) * 0x1p-31f;
}

/* Nearly normally distributed, as activations are: how large most codes of a block are decides the way that they take.
 */
static float random_normal(struct bench *b)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += random_value(b);
    return sum / 2;
}

static float *random_floats(struct bench *b, size_t count)
{
    float *x = array_allocate(count, sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = random_value(b);
    return x;
}

static void *must(void *block)
{
    if (!block) {
        fprintf(stderr, "kernel: out of memory\n");
        exit(1);
    }
    return block;
}

static bool is_wanted(const struct list *list, uint32_t value)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->values[i] == value)
            return true;
    return list->count == 0;
}

/* ---- Measuring ---- */

struct window {
    const struct work *work;
    uint32_t first;
};

static void window_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct window *window = argument;
    window->work->run(window->work->argument, window->first + unit, thread);
}

/* Seconds of one case. Runs grow until they take some milliseconds; slow cases are measured by a part of their units.
 */
static double seconds_of(struct bench *b, const struct work *w)
{
    const uint32_t threads = thread_pool_size(b->pool);
    uint32_t units = threads < w->units ? threads : w->units;
    struct window window = {w, 0};
    double best = 0, end = clock_seconds() + b->seconds;
    for (bool is_first = true;;) {
        double begin = clock_seconds();
        thread_pool_run(b->pool, window_unit, &window, units);
        double now = clock_seconds(), took = now - begin;
        uint32_t parts = units * w->largest < w->parts ? units * w->largest : w->parts;
        double cases = units <= w->units ? (double)parts / w->parts : (double)units / w->units;
        /* A run that is short because it is few units counts only until there is a longer one. */
        bool grows = took < 4e-3 && took < b->seconds / 8 && units < THREAD_POOL_MAX_UNITS / 4;
        if (is_first || grows || took / cases < best)
            best = took / cases;
        is_first = grows;
        /* Another run begins at another slice of the weights, at the beginning of a case. */
        uint32_t whole = (units + w->units - 1) / w->units * w->units;
        window.first = (window.first + whole) % (w->units << 12);
        if (grows)
            units = units * 2 <= w->units ? units * 2 : (units * 2 + w->units - 1) / w->units * w->units;
        else if (now > end)
            return best;
    }
}

static void report(struct bench *b, const char *text, const struct work *w)
{
    double seconds = seconds_of(b, w);
    double min = limits_seconds(&b->limits, w->is_cold ? w->bytes : 0, w->int8_macs, w->float_macs);
    double macs = w->int8_macs + w->float_macs;
    printf("%-13s %-10s %-34s %12.0f %8.2f", b->operation, cpu_tier_name(b->kernels.tier), text, seconds * 1e9,
           w->bytes / seconds / 1e9);
    if (macs > 0)
        printf(" %9.1f", macs / seconds / 1e9);
    else
        printf(" %9s", "-");
    if (min > 0)
        printf(" %6.2f %s\n", min / seconds,
               w->is_cold && w->bytes / b->limits.bytes_per_second >= min ? "memory"
               : w->int8_macs > 0                                         ? "int8"
                                                                          : "fma");
    else
        printf(" %6s\n", "-");
    fflush(stdout);
}

/* Limits move with what neighbors of a shared machine do: measured anew before each group of cases. */
static void measure_limits(struct bench *b)
{
    b->limits = limits_measure(&b->meter, 0.02);
    printf("# limits of %u thread%s: %.1f GB/s", b->limits.threads, b->limits.threads > 1 ? "s" : "",
           b->limits.bytes_per_second / 1e9);
    if (b->limits.int8_macs_per_second > 0)
        printf(", %s %.0f GMAC/s", b->limits.int8_instruction, b->limits.int8_macs_per_second / 1e9);
    if (b->limits.float_macs_per_second > 0)
        printf(", fma %.0f GMAC/s", b->limits.float_macs_per_second / 1e9);
    printf("\n");
}

/* ---- matmul ---- */

/* rows, columns: of the 3B (query, gate, down), of the 135M */
static const uint32_t matmul_shapes[][2] = {{2048, 2048}, {11008, 2048}, {2048, 11008}, {576, 576}, {1536, 576}};
static const uint32_t matmul_tokens[] = {1, 2, 4, 8, 12, 16, 64, 512};

struct matmul_case {
    struct bench *bench;
    struct packed_matrix slice; /* the first of `slices`, which lie one after the other */
    uint32_t slices;
    uint32_t panels_per_unit, units;
    struct activations input;
    float *out;
};

static void matmul_unit(void *argument, uint32_t unit, unsigned thread)
{
    struct matmul_case *c = argument;
    struct packed_matrix weights = c->slice;
    uint32_t first = unit % c->units * c->panels_per_unit, last = first + c->panels_per_unit;
    weights.data += (size_t)(unit / c->units % c->slices) * packed_matrix_bytes(&c->slice);
    struct matmul_args args = {.weights = &weights,
                               .input = &c->input,
                               .last_token = c->input.tokens,
                               .out = c->out + (size_t)first * PANEL_ROWS,
                               .out_stride = weights.rows,
                               .first_panel = first,
                               .last_panel = last < weights.panels ? last : weights.panels};
    c->bench->kernels.matmul(&args);
}

/* A panel of random bytes whose factors are small numbers, as they are in models: no NaN, nothing denormal. */
static void random_panel(struct bench *b, struct packed_matrix *matrix, size_t row_bytes)
{
    const struct quant_layout *layout = quant_layout_find(matrix->layout->type);
    const size_t size = PANEL_ROWS * row_bytes, step = layout ? layout->bytes : row_bytes / matrix->columns;
    uint8_t *rows = must(array_allocate(size, 1));
    for (size_t at = 0; at < size; at += step) {
        float value = random_value(b);
        if (!layout) {
            quant_row_encode(matrix->layout->type, &value, rows + at, 1);
            continue;
        }
        for (size_t i = 0; i < step; i++)
            rows[at + i] = (uint8_t)(random_value(b) * 128.0f);
        for (uint32_t i = 0; i < matrix->layout->halves; i++) {
            uint16_t half = half_from_float_saturated(value * 0.01f + 0.02f);
            memcpy(rows + at + matrix->layout->halves_at + 2 * i, &half, sizeof half);
        }
    }
    packed_matrix_pack(matrix, 0, rows, row_bytes);
    free(rows);
}

static void matmul_tokens_case(struct matmul_case *c, uint32_t tokens)
{
    struct bench *b = c->bench;
    const struct packed_matrix *m = &c->slice;
    const unsigned form = activations_form(m->layout);
    const uint32_t slices = c->slices;
    const bool is_cold = b->memory == MEMORY_AUTO ? tokens <= COLD_TOKENS : b->memory == MEMORY_COLD;
    struct smollm_error error;
    if (activations_create(&c->input, m->columns, tokens, 1, form | ACTIVATIONS_FLOAT, &error) < 0)
        must(NULL);
    c->input.tokens = tokens;
    for (uint32_t t = 0; t < tokens; t++) {
        for (uint32_t i = 0; i < m->columns; i++)
            c->input.values[(size_t)t * m->columns + i] = random_normal(b);
        activations_quantize(&c->input, &b->kernels, t, 0, m->columns, form);
    }
    c->out = must(array_allocate((size_t)tokens * m->rows, sizeof *c->out));
    c->slices = is_cold ? slices : 1;
    const double macs = (double)m->rows * m->columns * tokens;
    const struct work work = {.run = matmul_unit,
                              .argument = c,
                              .units = c->units,
                              .largest = c->panels_per_unit,
                              .parts = m->panels,
                              .bytes = (double)packed_matrix_bytes(m),
                              .int8_macs = form == ACTIVATIONS_FLOAT ? 0 : macs,
                              .float_macs = form == ACTIVATIONS_FLOAT ? macs : 0,
                              .is_cold = is_cold};
    char text[64];
    snprintf(text, sizeof text, "%s %ux%u, %u token%s%s", gguf_type_name(m->layout->type), m->rows, m->columns, tokens,
             tokens > 1 ? "s" : "", is_cold ? "" : ", hot");
    report(b, text, &work);
    c->slices = slices;
    free(c->out);
    activations_destroy(&c->input);
}

static void matmul_shape(struct bench *b, uint32_t type, uint32_t rows, uint32_t columns)
{
    struct matmul_case c = {.bench = b};
    struct smollm_error error;
    if (packed_matrix_describe(&c.slice, type, rows, columns, &error) < 0)
        return; /* columns that are no whole blocks */
    const size_t bytes = packed_matrix_bytes(&c.slice);
    c.slices = 1 + (uint32_t)(b->cold_size / bytes);
    c.slice.data = must(pages_allocate(c.slices * bytes));
    random_panel(b, &c.slice, (size_t)gguf_type_row_bytes(type, columns));
    for (size_t at = c.slice.panel_bytes; at < c.slices * bytes; at += c.slice.panel_bytes)
        memcpy(c.slice.data + at, c.slice.data, c.slice.panel_bytes);
    /* Units as the pass cuts them. */
    c.panels_per_unit = 1 + c.slice.panels / (12 * thread_pool_size(b->pool));
    c.units = (c.slice.panels + c.panels_per_unit - 1) / c.panels_per_unit;
    if (b->tokens.count > 0)
        for (uint32_t i = 0; i < b->tokens.count; i++)
            matmul_tokens_case(&c, b->tokens.values[i]);
    else
        for (size_t i = 0; i < sizeof matmul_tokens / sizeof *matmul_tokens; i++)
            matmul_tokens_case(&c, matmul_tokens[i]);
    pages_free(c.slice.data, c.slices * bytes);
}

static void bench_matmul(struct bench *b)
{
#define TYPE_NUMBER(name, number, ...) number,
    static const uint32_t types[] = {GGUF_TYPE_MAP(TYPE_NUMBER, TYPE_NUMBER)};
#undef TYPE_NUMBER
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!is_wanted(&b->types, types[i]))
            continue;
        measure_limits(b);
        for (uint32_t s = 0; s < b->rows.count; s++)
            matmul_shape(b, types[i], b->rows.values[s], b->columns.values[s]);
        for (size_t s = 0; s < sizeof matmul_shapes / sizeof *matmul_shapes && b->rows.count == 0; s++)
            matmul_shape(b, types[i], matmul_shapes[s][0], matmul_shapes[s][1]);
    }
}

/* ---- attention: one unit is the query heads of one KV head, of one token or of a tile ---- */

/* query heads of a KV head, their size: of the 3B, of the 135M, of SmolLM2-1.7B */
static const uint32_t attention_shapes[][2] = {{4, 128}, {3, 64}, {1, 64}};
static const uint32_t attention_depths[] = {512, 4096};
static const char *const kv_names[KV_TYPE_COUNT] = {"f16", "int8"};

struct attention_case {
    struct bench *bench;
    struct attention_args args;
    uint8_t *scratch; /* of each thread */
    uint32_t blocks, sequences;
};

static void attention_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct attention_case *c = argument;
    float out[ATTENTION_TILE_ROWS * ATTENTION_MAX_HEAD_DIM];
    struct attention_args args = c->args;
    args.cache += (size_t)(unit % c->sequences) * c->blocks * kv_block_bytes(args.type, args.head_dim);
    args.out = out;
    args.scratch = c->scratch + (size_t)thread * ATTENTION_SCRATCH_BYTES;
    c->bench->kernels.attention(&args);
}

/* Blocks of `sequences` times `blocks`, all holding what the first ones do. */
static uint8_t *attention_cache(struct bench *b, const struct attention_args *args, uint32_t blocks, uint32_t sequences)
{
    const size_t block_bytes = kv_block_bytes(args->type, args->head_dim), bytes = blocks * block_bytes;
    uint8_t *cache = must(pages_allocate(sequences * bytes));
    float *rows = must(random_floats(b, 2 * (size_t)args->head_dim));
    for (uint32_t i = 0; i < blocks * ATTENTION_BLOCK; i++) {
        const struct kv_store_args store = {.type = args->type,
                                            .block = cache + i / ATTENTION_BLOCK * block_bytes,
                                            .slot = i % ATTENTION_BLOCK,
                                            .head_dim = args->head_dim,
                                            .key = rows,
                                            .value = rows + args->head_dim};
        rows[i % (2 * args->head_dim)] = random_value(b);
        b->kernels.kv_store(&store);
    }
    for (uint32_t i = 1; i < sequences; i++)
        memcpy(cache + i * bytes, cache, bytes);
    free(rows);
    return cache;
}

static void attention_shape(struct bench *b, enum kv_type type, uint32_t heads, uint32_t head_dim, uint32_t tokens,
                            uint32_t depth)
{
    struct attention_case c = {.bench = b, .blocks = (depth + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK};
    c.args = (struct attention_args){.out_stride = (size_t)heads * head_dim,
                                     .tokens = tokens,
                                     .heads = heads,
                                     .head_dim = head_dim,
                                     .type = type,
                                     .group_stride = KV_GROUP * kv_block_bytes(type, head_dim),
                                     .position = depth - tokens,
                                     .scale = 1.0f / __builtin_sqrtf((float)head_dim)};
    const size_t bytes = c.blocks * kv_block_bytes(type, head_dim);
    const bool is_cold = tokens == 1 && b->memory != MEMORY_HOT;
    c.sequences = is_cold ? 1 + (uint32_t)(b->cold_size / bytes) : 1;
    uint8_t *cache = attention_cache(b, &c.args, c.blocks, c.sequences);
    c.scratch = must(array_allocate(thread_pool_size(b->pool), ATTENTION_SCRATCH_BYTES));
    uint32_t *pages = must(array_allocate(c.blocks, sizeof *pages));
    float *q = must(random_floats(b, (size_t)tokens * heads * head_dim));
    for (uint32_t i = 0; i < c.blocks; i++)
        pages[i] = i;
    c.args.q = q;
    c.args.cache = cache;
    c.args.pages = pages;
    const struct work work = {.run = attention_unit,
                              .argument = &c,
                              .units = 1,
                              .largest = 1,
                              .parts = 1,
                              .bytes = (double)bytes,
                              .float_macs = 2.0 * depth * head_dim * heads * tokens,
                              .is_cold = is_cold};
    char text[80];
    snprintf(text, sizeof text, "%s %ux%u, depth %u, %u token%s%s", kv_names[type], heads, head_dim, depth, tokens,
             tokens == 1 ? "" : "s", is_cold ? "" : ", hot");
    report(b, text, &work);
    pages_free(cache, c.sequences * bytes);
    free(c.scratch);
    free(pages);
    free(q);
}

static void bench_attention(struct bench *b)
{
    measure_limits(b);
    for (int type = 0; type < KV_TYPE_COUNT; type++)
        for (size_t s = 0; s < sizeof attention_shapes / sizeof *attention_shapes; s++) {
            const uint32_t heads = attention_shapes[s][0], head_dim = attention_shapes[s][1];
            const uint32_t *depths = b->depths.count ? b->depths.values : attention_depths;
            const size_t count = b->depths.count ? b->depths.count : sizeof attention_depths / sizeof *attention_depths;
            for (size_t d = 0; d < count; d++) {
                attention_shape(b, (enum kv_type)type, heads, head_dim, 1, depths[d]);
                const uint32_t tile = ATTENTION_TILE_ROWS / heads;
                attention_shape(b, (enum kv_type)type, heads, head_dim, tile < depths[d] ? tile : depths[d], depths[d]);
            }
        }
}

/* ---- Vectors: in the cache, where the pass has them too ---- */

/* values of which a thread has its own, as many as units may run at once */
struct vector_case {
    struct bench *bench;
    float *x, *y, *out; /* [threads][size] */
    int8_t *codes;
    float *scales;
    int16_t *sums16, *sums32;
    uint8_t *large;
    uint32_t size, block;
};

static void rmsnorm_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const size_t at = (size_t)thread * c->size;
    const struct rmsnorm_args args = {c->x + at, c->y + at, c->out + at, c->size, 1e-6f};
    c->bench->kernels.rmsnorm(&args);
}

static void quantize_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const size_t at = (size_t)thread * c->size;
    const struct quantize_args args = {c->x + at,
                                       c->size,
                                       c->block,
                                       1,
                                       1,
                                       c->codes + at,
                                       c->scales + at / 32,
                                       c->sums16 + at / 16,
                                       c->sums32 + at / 32,
                                       c->block == 256 ? c->large + at / 32 : NULL};
    c->bench->kernels.quantize(&args);
}

static void swiglu_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const size_t at = (size_t)thread * c->size;
    const struct swiglu_args args = {c->x + at, c->y + at, c->out + at, c->size};
    c->bench->kernels.swiglu(&args);
}

/* An angle of which cosine and sine are these: however often a vector is turned, it stays as long. */
static float turn_cosine[64], turn_sine[64];

static void rotate_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const struct rotate_args args = {
        c->x + (size_t)thread * c->size, c->size / c->block, c->block, c->block / 2, turn_cosine, turn_sine};
    c->bench->kernels.rotate(&args);
}

static void exponentials_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const size_t at = (size_t)thread * c->size;
    double sum;
    const struct exponentials_args args = {c->x + at, c->out + at, &sum, c->size, 1.0f};
    c->bench->kernels.exponentials(&args);
}

static void peaks_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const size_t at = (size_t)thread * c->size;
    const struct peaks_args args = {c->x + at, c->out + at, c->size};
    c->bench->kernels.peaks(&args);
}

/* x is a key and y a value of `size`; codes have room for a block. */
static void kv_store_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const struct kv_store_args args = {
        (enum kv_type)c->block,          (uint8_t *)c->codes + thread * kv_block_bytes(KV_F16, c->size),
        unit % ATTENTION_BLOCK,          c->size,
        c->x + (size_t)thread * c->size, c->y + (size_t)thread * c->size};
    c->bench->kernels.kv_store(&args);
}

/* bytes: read and written for each value */
static void vector_bench(struct bench *b, thread_pool_function *run, uint32_t size, uint32_t block, double bytes)
{
    const size_t count = (size_t)thread_pool_size(b->pool) * size;
    struct vector_case c = {.bench = b, .size = size, .block = block};
    c.x = must(random_floats(b, count));
    c.y = must(random_floats(b, count));
    c.out = must(random_floats(b, count));
    c.codes = must(array_allocate(count, 1));
    c.scales = must(array_allocate(count / 32 + 1, sizeof *c.scales));
    c.sums16 = must(array_allocate(count / 16 + 1, sizeof *c.sums16));
    c.sums32 = must(array_allocate(count / 32 + 1, sizeof *c.sums32));
    c.large = must(array_allocate(count / 32 + 1, sizeof *c.large));
    const struct work work = {.run = run, .argument = &c, .units = 1, .largest = 1, .parts = 1, .bytes = bytes * size};
    char text[64];
    snprintf(text, sizeof text, block ? "%u values, blocks of %u" : "%u values", size, block);
    report(b, text, &work);
    free(c.x);
    free(c.y);
    free(c.out);
    free(c.codes);
    free(c.scales);
    free(c.sums16);
    free(c.sums32);
    free(c.large);
}

static void bench_kv_store(struct bench *b)
{
    for (int type = 0; type < KV_TYPE_COUNT; type++)
        for (uint32_t size = 64; size <= 128; size += 64) {
            const unsigned threads = thread_pool_size(b->pool);
            struct vector_case c = {.bench = b, .size = size, .block = (uint32_t)type};
            c.x = must(random_floats(b, (size_t)threads * size));
            c.y = must(random_floats(b, (size_t)threads * size));
            c.codes = must(array_allocate(threads, kv_block_bytes(KV_F16, size)));
            const struct work work = {.run = kv_store_unit,
                                      .argument = &c,
                                      .units = 1,
                                      .largest = 1,
                                      .parts = 1,
                                      .bytes = 2.0 * size * (4.0 + (double)kv_value_bytes((enum kv_type)type))};
            char text[64];
            snprintf(text, sizeof text, "%s, key and value of %u", kv_names[type], size);
            report(b, text, &work);
            free(c.x);
            free(c.y);
            free(c.codes);
        }
}

/* The rows of a KV head of the 3B, 8 ranges (4096 positions) */
static void attention_merge_unit(void *argument, uint32_t unit, unsigned thread)
{
    const struct vector_case *c = argument;
    const struct attention_merge_args args = {.partials = c->x,
                                              .out = c->out + (size_t)thread * c->size,
                                              .out_stride = c->size,
                                              .tokens = 1,
                                              .heads = 4,
                                              .head_dim = 128,
                                              .position = 4095};
    c->bench->kernels.attention_merge(&args);
}

static void bench_attention_merge(struct bench *b)
{
    const size_t floats = 8 * 4 * attention_partial_floats(128);
    struct vector_case c = {.bench = b, .size = 4 * 128};
    c.x = must(random_floats(b, floats));
    c.out = must(random_floats(b, (size_t)thread_pool_size(b->pool) * c.size));
    const struct work work = {.run = attention_merge_unit,
                              .argument = &c,
                              .units = 1,
                              .largest = 1,
                              .parts = 1,
                              .bytes = 4.0 * (double)floats};
    report(b, "4x128, 8 ranges", &work);
    free(c.x);
    free(c.out);
}

static void bench_rotate(struct bench *b)
{
    for (int i = 0; i < 64; i++) {
        turn_cosine[i] = 0.6f;
        turn_sine[i] = 0.8f;
    }
    vector_bench(b, rotate_unit, 2048, 128, 8);
    vector_bench(b, rotate_unit, 576, 64, 8);
}

static void bench_rmsnorm(struct bench *b)
{
    vector_bench(b, rmsnorm_unit, 2048, 0, 12);
    vector_bench(b, rmsnorm_unit, 576, 0, 12);
}

static void bench_quantize(struct bench *b)
{
    vector_bench(b, quantize_unit, 2048, 32, 4 + 1 + 0.125 + 0.125 + 0.0625);
    vector_bench(b, quantize_unit, 2048, 256, 4 + 1 + 0.015625 + 0.125 + 0.0625);
    vector_bench(b, quantize_unit, 11008, 256, 4 + 1 + 0.015625 + 0.125 + 0.0625);
}

static void bench_swiglu(struct bench *b)
{
    vector_bench(b, swiglu_unit, 11008, 0, 12);
    vector_bench(b, swiglu_unit, 1536, 0, 12);
}

static void bench_exponentials(struct bench *b)
{
    vector_bench(b, exponentials_unit, 128256, 0, 8);
    vector_bench(b, exponentials_unit, 49152, 0, 8);
}

static void bench_peaks(struct bench *b)
{
    vector_bench(b, peaks_unit, 128256, 0, 4.125);
    vector_bench(b, peaks_unit, 49152, 0, 4.125);
}

/* ---- The program ---- */

static const char usage[] = "usage: kernel [OPTIONS]\n\n"
                            "Times every operation of the forward pass in every tier of this CPU.\n\n"
                            "  --only OPERATION     one operation: "
#define OPERATION_NAME(name) #name " "
    KERNEL_LIST(OPERATION_NAME)
#undef OPERATION_NAME
        "\n"
        "  --tier TIER          one tier (generic, ...)\n"
        "  --type TYPE,...      matmul: types of weights (q4_k,q6_k) [all]\n"
        "  --shape RxC,...      matmul: rows and columns (2048x2048) [those of SmolLM3-3B and SmolLM2-135M]\n"
        "  --tokens N,...       matmul: tokens [1,2,4,8,12,16,64,512]\n"
        "  --depth N,...        attention: positions [512,4096]\n"
        "  --memory WHERE       matmul: weights read from memory (cold) or from the cache (hot) [auto: cold up to 16 "
        "tokens]\n"
        "  --threads N          [1]\n"
        "  --seconds X          of each case [0.1]\n\n"
        "ns: of the whole shape, the fastest run. GB/s: of weights or keys and values read; of vectors, read and "
        "written.\n"
        "share: of what the limit allows that is measured before each group, and which one that is.\n";

static bool read_numbers(const char *text, struct list *list, uint32_t most)
{
    for (list->count = 0; list->count < MAX_LISTED;) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        if (end == text || value < 1 || value > most || (*end && *end != ','))
            return false;
        list->values[list->count++] = (uint32_t)value;
        if (!*end)
            return true;
        text = end + 1;
    }
    return false;
}

static bool read_types(char *text, struct list *list)
{
    char *rest = NULL;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        const struct gguf_type_info *type = gguf_type_find_name(name);
        if (!type || list->count == MAX_LISTED)
            return false;
        list->values[list->count++] = type->number;
    }
    return list->count > 0;
}

static bool read_shapes(char *text, struct list *rows, struct list *columns)
{
    char *rest = NULL;
    for (char *shape = strtok_r(text, ",", &rest); shape; shape = strtok_r(NULL, ",", &rest)) {
        uint32_t r, c;
        char more;
        if (sscanf(shape, "%ux%u%c", &r, &c, &more) != 2 || r < 1 || c < 1 || r > 1 << 20 || c > 1 << 20 ||
            rows->count == MAX_LISTED)
            return false;
        rows->values[rows->count++] = r;
        columns->values[columns->count++] = c;
    }
    return rows->count > 0;
}

static bool read_options(int argc, char **argv, struct bench *b, unsigned *threads, const char **tier)
{
    static const struct option names[] = {
        {"only", 1, NULL, 'o'},    {"tier", 1, NULL, 'i'},  {"type", 1, NULL, 't'},   {"shape", 1, NULL, 's'},
        {"tokens", 1, NULL, 'n'},  {"depth", 1, NULL, 'd'}, {"memory", 1, NULL, 'm'}, {"threads", 1, NULL, 'j'},
        {"seconds", 1, NULL, 'e'}, {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0}};
    struct list count;
    bool good = true;
    for (int option; (option = getopt_long(argc, argv, "h", names, NULL)) != -1 && good;)
        switch (option) {
        case 'o':
            b->only = optarg;
            good = false;
#define IS_KNOWN(name) good = good || strcmp(optarg, #name) == 0;
            KERNEL_LIST(IS_KNOWN)
#undef IS_KNOWN
            break;
        case 'i':
            *tier = optarg;
            break;
        case 't':
            good = read_types(optarg, &b->types);
            break;
        case 's':
            good = read_shapes(optarg, &b->rows, &b->columns);
            break;
        case 'n':
            good = read_numbers(optarg, &b->tokens, MAX_TOKENS);
            break;
        case 'd':
            good = read_numbers(optarg, &b->depths, 1 << 20);
            break;
        case 'm':
            b->memory = strcmp(optarg, "cold") == 0  ? MEMORY_COLD
                        : strcmp(optarg, "hot") == 0 ? MEMORY_HOT
                                                     : MEMORY_AUTO;
            good = b->memory != MEMORY_AUTO || strcmp(optarg, "auto") == 0;
            break;
        case 'j':
            good = read_numbers(optarg, &count, 1024) && count.count == 1;
            *threads = count.values[0];
            break;
        case 'e':
            b->seconds = strtod(optarg, NULL);
            good = b->seconds > 0 && b->seconds <= 60;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            good = false;
        }
    if (!good || optind < argc)
        fputs(usage, stderr);
    return good && optind == argc;
}

static void run_tier(struct bench *b, enum cpu_tier tier)
{
    struct kernel_table below = {0};
    kernel_table_fill(&b->kernels, tier);
    if (tier > CPU_GENERIC)
        kernel_table_fill(&below, (enum cpu_tier)(tier - 1));
        /* What a tier takes from the one below is measured there. */
#define RUN(name)                                                                                                      \
    if ((!b->only || strcmp(b->only, #name) == 0) && b->kernels.name != below.name) {                                  \
        b->operation = #name;                                                                                          \
        bench_##name(b);                                                                                               \
    }
    KERNEL_LIST(RUN)
#undef RUN
}

int main(int argc, char **argv)
{
    struct bench b = {.seconds = 0.1, .random = 1};
    struct smollm_error error = {0};
    unsigned threads = 1;
    const char *tier = NULL;
    if (!read_options(argc, argv, &b, &threads, &tier))
        return 2;
    enum cpu_tier first = CPU_GENERIC, last = cpu_detect();
    b.cold_size = limits_default_bytes() / 2;
    int status = tier ? cpu_tier_parse(tier, &last, &error) : 0;
    if (tier)
        first = last;
    if (status == 0)
        status = thread_pool_create(threads, &b.pool, &error);
    if (status == 0)
        status = limits_meter_create(&b.meter, b.pool, limits_default_bytes(), &error);
    if (status == 0) {
        printf("%-13s %-10s %-34s %12s %8s %9s %6s\n", "operation", "tier", "case", "ns", "GB/s", "GMAC/s", "share");
        for (int i = (int)first; i <= (int)last; i++)
            run_tier(&b, (enum cpu_tier)i);
    } else {
        fprintf(stderr, "kernel: %s\n", error.message);
    }
    limits_meter_destroy(&b.meter);
    thread_pool_destroy(b.pool);
    return status < 0;
}
