/* The final hidden states of the pass beside those of the reference, for a number of tokens.
 *
 * usage: hidden_states MODEL TOKENS
 * Prints the largest distance of a hidden state of the pass in precise mode from the reference's, relative to its
 * length. Exits 1 when the reference's logits are not, to the bit, what the output matrix makes of its hidden states.
 */
#include "base/error.h"
#include "model/forward.h"
#include "model/reference.h"
#include "quant/quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const struct smollm_error *error)
{
    fprintf(stderr, "hidden_states: %s\n", error->message);
    exit(2);
}

static int32_t token_at(uint32_t position, uint32_t vocabulary)
{
    return (int32_t)((position * 7919u + position * position * 31u) % vocabulary);
}

static void check_logits(const struct gguf_file *file, const float *hidden, uint32_t size, const float *logits)
{
    const struct gguf_tensor *head = gguf_tensor_find(file, "output.weight");
    head = head ? head : gguf_tensor_find(file, "token_embd.weight");
    struct smollm_error error;
    const size_t bytes = gguf_type_row_bytes(head->type, size);
    float *row = malloc(size * sizeof *row);
    uint8_t *raw = malloc(bytes);
    for (uint64_t i = 0; i < head->dims[1]; i++) {
        float sum = 0;
        if (gguf_tensor_read(file, head, i * bytes, bytes, raw, &error) < 0)
            die(&error);
        quant_row_decode(head->type, raw, row, size);
        for (uint32_t k = 0; k < size; k++)
            sum += row[k] * hidden[k];
        if (memcmp(&sum, &logits[i], sizeof sum) != 0) {
            fprintf(stderr, "hidden_states: logit %llu is not that of the hidden state\n", (unsigned long long)i);
            exit(1);
        }
    }
    free(row);
    free(raw);
}

int main(int argc, char **argv)
{
    struct smollm_error error;
    struct gguf_file *file;
    struct model_config config;
    struct reference *reference;
    struct thread_pool *pool;
    struct weights weights;
    struct kv_cache cache;
    struct forward forward;
    const uint32_t count = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0,
                   page_count = count / KV_PAGE_POSITIONS + 1;
    if (count == 0) {
        fprintf(stderr, "usage: hidden_states MODEL TOKENS\n");
        return 2;
    }
    if (gguf_open(argv[1], &file, &error) < 0 || model_config_read(&config, file, NULL, &error) < 0 ||
        reference_create(file, &config, count, &reference, &error) < 0 || thread_pool_create(2, &pool, &error) < 0 ||
        weights_load(&weights, file, &config, pool, NULL, NULL, &error) < 0 ||
        kv_cache_create(&cache, &config, KV_F16, page_count, &error) < 0 ||
        forward_create(&forward, &weights, &cache, pool, cpu_detect(), 2, count, &error) < 0)
        die(&error);
    const uint32_t size = config.hidden;
    uint32_t *pages = malloc(page_count * sizeof *pages);
    struct batch_token *tokens = malloc(count * sizeof *tokens);
    float *have = malloc((size_t)count * size * sizeof *have), *want = malloc(size * sizeof *want);
    float *logits = malloc(config.vocabulary * sizeof *logits);
    for (uint32_t i = 0; i < page_count; i++)
        pages[i] = i;
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (struct batch_token){token_at(i, config.vocabulary), i, pages, ROW_HIDDEN};
    forward_run(&forward, tokens, count, (struct forward_results){.hidden = have});
    double worst = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* Once without logits, which hidden states do not need. */
        if (reference_step(reference, tokens[i].id, want, i == 0 ? NULL : logits, &error) < 0)
            die(&error);
        if (i > 0)
            check_logits(file, want, size, logits);
        double length = 0, distance = 0;
        for (uint32_t k = 0; k < size; k++) {
            const double difference = (double)have[(size_t)i * size + k] - want[k];
            length += (double)want[k] * want[k];
            distance += difference * difference;
        }
        const double relative = sqrt(distance / length);
        worst = relative > worst || relative != relative ? relative : worst;
    }
    printf("%.6f\n", worst);
    free(logits);
    free(want);
    free(have);
    free(tokens);
    free(pages);
    forward_destroy(&forward);
    kv_cache_destroy(&cache);
    weights_free(&weights);
    thread_pool_destroy(pool);
    reference_destroy(reference);
    gguf_close(file);
    return 0;
}
