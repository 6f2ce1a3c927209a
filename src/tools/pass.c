#include "tools/pass.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/system_limits.h"

#include <stdlib.h>

/* Before anything is read. */
static int check_memory(const struct gguf_file *file, const struct model_config *config, const struct options *options,
                        enum kv_type cache_type, uint32_t page_count, uint32_t logit_rows, struct smollm_error *error)
{
    const unsigned threads = options->threads ? options->threads : system_processors_available("");
    struct memory_need need = {.kv_cache = (uint64_t)page_count * KV_PAGE_POSITIONS *
                                           kv_cache_bytes_per_position(config, cache_type),
                               .work = forward_bytes(config, threads, 2, options->ubatch_size) +
                                       (uint64_t)logit_rows * config->vocabulary * sizeof(float)};
    int status = weights_measure(file, config, &need.weights, error);
    return status < 0 ? status : memory_need_check(&need, error);
}

int pass_create(struct pass *p, const struct gguf_file *file, const struct model_config *config,
                const struct options *options, uint32_t positions, uint32_t logit_rows, struct smollm_error *error)
{
    enum cpu_tier tier;
    uint32_t batch = options->ubatch_size, page_count = positions / KV_PAGE_POSITIONS + 1;
    enum kv_type cache_type;
    uint32_t planes;
    int status = cpu_tier_parse(options->cpu, &tier, error);
    if (status == 0)
        status = kv_type_parse(options->cache_type, &cache_type, error);
    if (status == 0)
        status = check_memory(file, config, options, cache_type, page_count, logit_rows, error);
    if (status == 0)
        status =
            thread_pool_create(options->threads ? options->threads : system_processors_available(""), &p->pool, error);
    if (status == 0)
        status = weights_load(&p->weights, file, config, p->pool, NULL, NULL, error);
    if (status == 0)
        status = precise_parse(options->precise, p->weights.parameters, &planes, error);
    if (status == 0)
        status = kv_cache_create(&p->cache, config, cache_type, page_count, error);
    if (status == 0)
        status = forward_create(&p->forward, &p->weights, &p->cache, p->pool, tier, planes, batch, error);
    if (status < 0)
        return status;
    p->pages = array_allocate(page_count, sizeof *p->pages);
    p->tokens = array_allocate(batch, sizeof *p->tokens);
    p->logits = array_allocate((size_t)logit_rows * config->vocabulary, sizeof *p->logits);
    p->peaks = array_allocate((size_t)logit_rows * peak_count(config->vocabulary), sizeof *p->peaks);
    RETURN_ERROR_IF(!p->pages || !p->tokens || !p->logits || !p->peaks, error, SMOLLM_ENOMEM,
                    "out of memory for logits");
    for (uint32_t i = 0; i < page_count; i++)
        p->pages[i] = i;
    return 0;
}

void pass_destroy(struct pass *p)
{
    free(p->pages);
    free(p->tokens);
    free(p->logits);
    free(p->peaks);
    forward_destroy(&p->forward);
    kv_cache_destroy(&p->cache);
    weights_free(&p->weights);
    thread_pool_destroy(p->pool);
    *p = (struct pass){0};
}
