/* Logits and hidden states of a sequence, bit for bit, however the pass is run: threads, chunks, kernels, company,
 * pages, and what other tokens want.
 *
 * usage: same_bits MODEL TOKENS [f16|q8_0 [on|off]]
 * Prints a line for each way with the number of values whose bits differ from those of the first two ways; exits 1
 * where any do. */
#include "base/error.h"
#include "model/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the tokens of a pass want. */
enum wish {
    LOGITS,
    HIDDEN,
    BOTH, /* by turns; other sequences the other way round */
};

struct way {
    const char *name;
    enum cpu_tier tier;
    uint32_t threads;
    uint32_t chunk;
    uint32_t company; /* other sequences in every pass */
    uint32_t every;   /* only one of so many tokens has an output */
    enum wish wish;
};

/* The outputs of one sequence. */
struct outputs {
    float *logits, *hidden; /* [position][vocabulary or hidden] */
    enum row_output *given; /* [position] */
};

static int32_t token_at(uint32_t sequence, uint32_t position, uint32_t vocabulary)
{
    uint32_t x = sequence * 2654435761u + position * 40503u + 17;
    x ^= x >> 15;
    x *= 2246822519u;
    return (int32_t)((x ^ x >> 13) % vocabulary);
}

static void die(const struct smollm_error *error)
{
    fprintf(stderr, "same_bits: %s\n", error->message);
    exit(2);
}

/* Dies when peaks are not what is found in the logits. */
static void check_peaks(const struct way *way, const float *logits, const float *peaks, uint32_t rows,
                        uint32_t vocabulary)
{
    const uint32_t count = peak_count(vocabulary);
    float *want = malloc(count * sizeof *want);
    for (uint32_t row = 0; row < rows; row++) {
        peaks_generic(&(struct peaks_args){logits + (size_t)row * vocabulary, want, vocabulary});
        if (memcmp(want, peaks + (size_t)row * count, count * sizeof *want) != 0) {
            fprintf(stderr, "same_bits: %s: the peaks of token %u are not those of its logits\n", way->name, row);
            exit(1);
        }
    }
    free(want);
}

static enum row_output wanted_by(const struct way *way, uint32_t sequence, uint32_t position)
{
    /* Of other sequences only the mixed ways want anything. */
    if (position % way->every != way->every - 1 || (sequence > 0 && way->wish != BOTH))
        return ROW_NOTHING;
    return way->wish == BOTH ? ((position / way->every + sequence) % 2 ? ROW_LOGITS : ROW_HIDDEN)
                             : (way->wish == HIDDEN ? ROW_HIDDEN : ROW_LOGITS);
}

/* Dies when the head does not make these logits of these hidden states. */
static void check_head(const struct weights *weights, uint32_t planes, uint32_t count, const struct outputs *from,
                       const struct outputs *want)
{
    const uint32_t vocabulary = weights->config.vocabulary, hidden = weights->config.hidden;
    const unsigned form = activations_form(weights->head.layout);
    struct kernel_table kernels;
    struct activations input;
    struct smollm_error error;
    float *logits = malloc(vocabulary * sizeof *logits);
    kernel_table_fill(&kernels, CPU_GENERIC);
    if (activations_create(&input, hidden, 1, planes, form | ACTIVATIONS_FLOAT, &error) < 0)
        die(&error);
    input.tokens = 1;
    struct product product = {.kernels = &kernels,
                              .whole = 1,
                              .matrices = {&weights->head},
                              .out = {logits},
                              .out_stride = {vocabulary},
                              .count = 1,
                              .input = &input};
    if (product_create(&product, &error) < 0)
        die(&error);
    product_plan(&product, (struct lanes){1, 1}, 1);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(input.values, from->hidden + (size_t)i * hidden, hidden * sizeof *input.values);
        activations_quantize(&input, &kernels, 0, 0, hidden, form);
        for (uint32_t unit = 0; unit < product.units; unit++)
            for (struct piece piece = {0}; product_next_piece(&product, unit, &piece);)
                product_multiply(&product, &piece, 0);
        if (memcmp(logits, want->logits + (size_t)i * vocabulary, vocabulary * sizeof *logits) != 0) {
            fprintf(stderr, "same_bits: the logits of token %u are not those of its hidden state\n", i);
            exit(1);
        }
    }
    product_destroy(&product);
    activations_destroy(&input);
    free(logits);
}

/* Reads `count` tokens chunk by chunk, beside as many tokens of other sequences. from: the outputs of the first way,
 * whose logits must be those of these hidden states, or NULL. */
static void run(const struct way *way, const struct gguf_file *file, const struct model_config *config,
                enum kv_type cache_type, const char *precise, uint32_t count, const struct outputs *out,
                const struct outputs *first_way)
{
    struct smollm_error error;
    struct thread_pool *pool;
    struct weights weights;
    struct kv_cache cache;
    struct forward forward;
    uint32_t planes, sequences = 1 + way->company, pages_each = count / KV_PAGE_POSITIONS + 1;
    uint32_t most = way->chunk * sequences;
    if (thread_pool_create(way->threads, &pool, &error) < 0 ||
        weights_load(&weights, file, config, pool, NULL, NULL, &error) < 0 ||
        kv_cache_create(&cache, config, cache_type, pages_each * sequences, &error) < 0 ||
        precise_parse(precise, weights.parameters, &planes, &error) < 0 ||
        forward_create(&forward, &weights, &cache, pool, way->tier, planes, most, &error) < 0)
        die(&error);
    uint32_t *pages = malloc(sequences * pages_each * sizeof *pages);
    for (uint32_t i = 0; i < sequences * pages_each; i++) /* pages of the sequences lie among each other */
        pages[i] = (i % pages_each) * sequences + i / pages_each;
    struct batch_token *tokens = malloc(most * sizeof *tokens);
    const uint32_t row_peaks = peak_count(config->vocabulary);
    const size_t vocabulary = config->vocabulary, hidden = config->hidden;
    float *logits = malloc(most * vocabulary * sizeof *logits), *states = malloc(most * hidden * sizeof *states);
    float *peaks = malloc((size_t)most * row_peaks * sizeof *peaks);

    memset(out->given, 0, count * sizeof *out->given);
    for (uint32_t first = 0; first < count; first += way->chunk) {
        uint32_t size = count - first < way->chunk ? count - first : way->chunk, n = 0;
        for (uint32_t s = 0; s < sequences; s++)
            for (uint32_t i = 0; i < size; i++) {
                uint32_t position = first + i;
                /* The others take turns before and behind ours, so that ours moves about in the batch. */
                uint32_t who = (s + first / way->chunk) % sequences;
                tokens[n++] = (struct batch_token){.id = token_at(who, position, config->vocabulary),
                                                   .position = position,
                                                   .pages = pages + who * pages_each,
                                                   .output = wanted_by(way, who, position)};
            }
        forward_run(&forward, tokens, n, (struct forward_results){logits, peaks, states});
        uint32_t logit_rows = 0, hidden_rows = 0;
        for (uint32_t i = 0; i < n; i++) {
            const bool is_ours = tokens[i].pages == pages;
            const size_t at = tokens[i].position;
            if (is_ours)
                out->given[at] = tokens[i].output;
            if (is_ours && tokens[i].output == ROW_LOGITS)
                memcpy(out->logits + at * vocabulary, logits + logit_rows * vocabulary, vocabulary * sizeof *logits);
            if (is_ours && tokens[i].output == ROW_HIDDEN)
                memcpy(out->hidden + at * hidden, states + hidden_rows * hidden, hidden * sizeof *states);
            logit_rows += tokens[i].output == ROW_LOGITS;
            hidden_rows += tokens[i].output == ROW_HIDDEN;
        }
        check_peaks(way, logits, peaks, logit_rows, config->vocabulary);
    }
    if (first_way)
        check_head(&weights, planes, count, out, first_way);

    free(peaks);
    free(states);
    free(logits);
    free(tokens);
    free(pages);
    forward_destroy(&forward);
    kv_cache_destroy(&cache);
    weights_free(&weights);
    thread_pool_destroy(pool);
}

/* The values of a row whose bits differ. */
static size_t count_differing(const float *want, const float *have, size_t row, size_t size)
{
    size_t differing = 0;
    for (size_t i = row * size; i < (row + 1) * size; i++)
        differing += memcmp(&want[i], &have[i], sizeof *want) != 0;
    return differing;
}

static void check_finite(const float *values, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (values[i] - values[i] != 0.0f) {
            printf("value %zu is not finite\n", i);
            exit(1);
        }
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: same_bits MODEL TOKENS [f16|q8_0 [on|off]]\n");
        return 2;
    }
    struct smollm_error error;
    struct gguf_file *file;
    struct model_config config;
    uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    enum kv_type cache_type;
    if (kv_type_parse(argc > 3 ? argv[3] : NULL, &cache_type, &error) < 0 || gguf_open(argv[1], &file, &error) < 0 ||
        model_config_read(&config, file, NULL, &error) < 0)
        die(&error);
    const struct way ways[] = {
        {"generic, 1 thread, whole", CPU_GENERIC, 1, count, 0, 1, LOGITS},
        {"the same, hidden states", CPU_GENERIC, 1, count, 0, 1, HIDDEN},
        {"1 token at a time", cpu_detect(), 2, 1, 0, 1, LOGITS},
        {"chunks of 7", cpu_detect(), 2, 7, 0, 1, LOGITS},
        {"chunks of 64, 1 thread", cpu_detect(), 1, 64, 0, 1, LOGITS},
        {"whole, 2 threads", cpu_detect(), 2, count, 0, 1, LOGITS},
        {"whole, 4 threads", cpu_detect(), 4, count, 0, 1, LOGITS},
        {"beside three others", cpu_detect(), 2, 7, 3, 1, LOGITS},
        {"one by one beside three", cpu_detect(), 2, 1, 3, 1, LOGITS},
        {"generic beside three", CPU_GENERIC, 2, 64, 3, 1, LOGITS},
        {"whole beside three", cpu_detect(), 3, count, 3, 1, LOGITS},
        {"every 5th, chunks of 7", cpu_detect(), 2, 7, 0, 5, LOGITS},
        {"every 19th, one by one", cpu_detect(), 2, 1, 3, 19, LOGITS},
        {"the last, whole", cpu_detect(), 4, count, 0, count, LOGITS},
        {"hidden, one by one", cpu_detect(), 2, 1, 0, 1, HIDDEN},
        {"hidden, chunks of 7", cpu_detect(), 2, 7, 3, 1, HIDDEN},
        {"hidden, whole, 4 threads", cpu_detect(), 4, count, 0, 1, HIDDEN},
        {"the last hidden, whole", cpu_detect(), 3, count, 3, count, HIDDEN},
        {"both, whole, 4 threads", cpu_detect(), 4, count, 0, 1, BOTH},
        {"both, one by one", cpu_detect(), 2, 1, 3, 1, BOTH},
        {"both beside three", cpu_detect(), 4, count, 3, 1, BOTH},
        {"both, every 3rd", cpu_detect(), 2, 11, 3, 3, BOTH},
    };
    const size_t vocabulary = config.vocabulary, hidden = config.hidden;
    size_t differing_ways = 0;
    struct outputs all[2];
    for (int i = 0; i < 2; i++) {
        all[i].logits = malloc(count * vocabulary * sizeof(float));
        all[i].hidden = malloc(count * hidden * sizeof(float));
        all[i].given = malloc(count * sizeof *all[i].given);
    }
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        const struct outputs *want = &all[0], *have = w < 2 ? want : &all[1];
        run(&ways[w], file, &config, cache_type, argc > 4 ? argv[4] : "off", count, have, w == 1 ? want : NULL);
        size_t differing = 0, values = 0, rows = 0;
        for (size_t i = 0; i < count; i++) {
            const bool is_logits = have->given[i] == ROW_LOGITS;
            if (have->given[i] == ROW_NOTHING)
                continue;
            rows++;
            values += is_logits ? vocabulary : hidden;
            differing += is_logits ? count_differing(want->logits, have->logits, i, vocabulary)
                                   : count_differing(want->hidden, have->hidden, i, hidden);
        }
        if (rows != count / ways[w].every) {
            printf("%s: %zu outputs instead of %zu\n", ways[w].name, rows, (size_t)count / ways[w].every);
            return 1;
        }
        printf("%-26s %zu of %zu values differ (%s)\n", ways[w].name, differing, values, cpu_tier_name(ways[w].tier));
        differing_ways += differing > 0;
    }
    check_finite(all[0].logits, count * vocabulary);
    check_finite(all[0].hidden, count * hidden);
    for (int i = 0; i < 2; i++) {
        free(all[i].logits);
        free(all[i].hidden);
        free(all[i].given);
    }
    gguf_close(file);
    return differing_ways > 0;
}
