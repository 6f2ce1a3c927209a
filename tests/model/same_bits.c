/* Logits of a sequence, bit for bit, however the pass is run: threads, chunks, kernels, company, pages.
 *
 * usage: same_bits MODEL TOKENS [f16|q8_0 [on|off]]
 * Prints a line for each way with the number of logits whose bits differ from the first way's; exits 1 where any do. */
#include "base/error.h"
#include "model/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct way {
    const char *name;
    enum cpu_tier tier;
    uint32_t threads;
    uint32_t chunk;
    uint32_t company; /* other sequences in every pass */
    uint32_t every;   /* only one of so many tokens wants logits */
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

/* Reads `count` tokens chunk by chunk, beside as many tokens of other sequences; logits [tokens that want
 * them][vocabulary]. */
static void run(const struct way *way, const struct gguf_file *file, const struct model_config *config,
                enum kv_type cache_type, const char *precise, uint32_t count, float *logits)
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

    const uint32_t row_peaks = peak_count(config->vocabulary), rows = count / way->every;
    float *peaks = malloc((size_t)(rows + 1) * row_peaks * sizeof *peaks);
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
                                                   .wants_logits = who == 0 && position % way->every == way->every - 1};
            }
        const size_t row = first / way->every;
        forward_run(&forward, tokens, n, logits + row * config->vocabulary, peaks + row * row_peaks);
    }
    check_peaks(way, logits, peaks, rows, config->vocabulary);

    free(peaks);
    free(tokens);
    free(pages);
    forward_destroy(&forward);
    kv_cache_destroy(&cache);
    weights_free(&weights);
    thread_pool_destroy(pool);
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
        {"generic, 1 thread, whole", CPU_GENERIC, 1, count, 0, 1},
        {"1 token at a time", cpu_detect(), 2, 1, 0, 1},
        {"chunks of 7", cpu_detect(), 2, 7, 0, 1},
        {"chunks of 64, 1 thread", cpu_detect(), 1, 64, 0, 1},
        {"whole, 2 threads", cpu_detect(), 2, count, 0, 1},
        {"whole, 4 threads", cpu_detect(), 4, count, 0, 1},
        {"beside three others", cpu_detect(), 2, 7, 3, 1},
        {"one by one beside three", cpu_detect(), 2, 1, 3, 1},
        {"generic beside three", CPU_GENERIC, 2, 64, 3, 1},
        {"whole beside three", cpu_detect(), 3, count, 3, 1},
        {"every 5th, chunks of 7", cpu_detect(), 2, 7, 0, 5},
        {"every 19th, one by one", cpu_detect(), 2, 1, 3, 19},
        {"the last, whole", cpu_detect(), 4, count, 0, count},
    };
    size_t size = (size_t)count * config.vocabulary, differing_ways = 0;
    float *want = malloc(size * sizeof *want), *have = malloc(size * sizeof *have);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        memset(have, 0xff, size * sizeof *have);
        run(&ways[w], file, &config, cache_type, argc > 4 ? argv[4] : "off", count, w == 0 ? want : have);
        size_t differing = 0, every = ways[w].every, rows = count / every, row = config.vocabulary;
        for (size_t i = 0; i < rows * row && w > 0; i++)
            differing += memcmp(&want[(i / row * every + every - 1) * row + i % row], &have[i], sizeof *want) != 0;
        printf("%-26s %zu of %zu logits differ (%s)\n", ways[w].name, differing, rows * row,
               cpu_tier_name(ways[w].tier));
        differing_ways += differing > 0;
    }
    for (size_t i = 0; i < size; i++)
        if (want[i] - want[i] != 0.0f) {
            printf("logit %zu is not finite\n", i);
            return 1;
        }
    free(want);
    free(have);
    gguf_close(file);
    return differing_ways > 0;
}
