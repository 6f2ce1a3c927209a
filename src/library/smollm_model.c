/* smollm_model_*: opening a file. */
#include "base/error.h"
#include "base/memory.h"
#include "base/system_limits.h"
#include "gguf/gguf_split.h"
#include "library/handles.h"
#include "library/sized.h"
#include "model/kv_cache.h"
#include "tokenizer/tokenizer_gguf.h"

#include <stdlib.h>
#include <string.h>

const char *smollm_version(void)
{
    return SMOLLM_VERSION;
}

void smollm_free(void *block)
{
    free(block);
}

/* "models/SmolLM2.Q4_1.gguf" is called SmolLM2.Q4_1. */
static char *name_from_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t size = strlen(base);
    if (size > 5 && strcmp(base + size - 5, ".gguf") == 0)
        size -= 5;
    return strndup(base, size);
}

static char *copy_text(const struct gguf_file *file, const char *key)
{
    struct smollm_text text;
    if (gguf_get_text(file, key, &text, NULL) < 0 || text.size == 0)
        return NULL;
    return strndup(text.data, text.size);
}

static int choose_format(struct smollm_model *model, const struct gguf_file *file, const char *forced,
                         struct smollm_error *error)
{
    if (forced) {
        model->chat_format = chat_format_find(forced);
        RETURN_ERROR_IF(!model->chat_format, error, SMOLLM_EINVAL, "unknown chat format '%s' (%s)", forced,
                        chat_format_names());
        return 0;
    }
    struct smollm_text template_text = {0};
    gguf_get_text(file, "tokenizer.chat_template", &template_text, NULL);
    /* A file without a chat format still serves raw prompts; a conversation is refused with this message. */
    chat_format_recognize(template_text, text_of(model->weights.config.architecture), &model->chat_format,
                          &model->chat_format_error);
    return 0;
}

static int read_tokens(struct smollm_model *model, const struct gguf_file *file, struct smollm_error *error)
{
    int status = tokenizer_from_gguf(file, &model->tokenizer, error);
    if (status < 0)
        return status;
    size_t tokens = tokenizer_token_count(model->tokenizer);
    if (!model->weights.block)
        return 0;
    uint32_t vocabulary = model->weights.config.vocabulary;
    RETURN_ERROR_IF(tokens > vocabulary, error, SMOLLM_EFORMAT, "the tokenizer has %zu tokens, the embedding %u rows",
                    tokens, vocabulary);
    model->end_token = array_allocate(vocabulary, sizeof *model->end_token);
    RETURN_ERROR_IF(!model->end_token, error, SMOLLM_ENOMEM, "out of memory for %u tokens", vocabulary);
    for (uint32_t id = 0; id < tokens; id++)
        model->end_token[id] = tokenizer_is_end(model->tokenizer, (int32_t)id);
    return 0;
}

/* From the header alone. */
static int measure(const struct gguf_file *file, const struct model_config *config, uint64_t *weights,
                   uint64_t *parameters, struct smollm_error *error)
{
    *parameters = 0;
    for (size_t i = 0; i < gguf_tensor_count(file); i++)
        *parameters += gguf_tensor_at(file, i)->elements;
    return weights_measure(file, config, weights, error);
}

int smollm_measure_sized(const char *path, const struct smollm_model_options *model_options,
                         const struct smollm_engine_options *engine_options, struct smollm_memory *memory, size_t size,
                         struct smollm_error *error)
{
    struct smollm_model_options options = SMOLLM_MODEL_OPTIONS_INIT;
    struct gguf_file *file = NULL;
    struct model_config config;
    struct engine_options wanted;
    uint64_t weights = 0, parameters = 0;
    int status = model_options ? sized_read(&options, sizeof options, model_options, model_options->size,
                                            "smollm_model_options", error)
                               : 0;
    const struct model_config_options changes = {options.rope_scaling, options.rope_scale,
                                                 options.yarn_original_context};
    if (status == 0)
        status = gguf_open(path, &file, error);
    if (status == 0)
        status = model_config_read(&config, file, &changes, error);
    if (status == 0)
        status = measure(file, &config, &weights, &parameters, error);
    gguf_close(file);
    if (status < 0) {
        error_prefix(error, "%s", path);
        return status;
    }
    status = engine_options_resolve(engine_options, &config, parameters, &wanted, error);
    if (status < 0)
        return status;
    struct memory_need need = engine_need(&config, &wanted);
    need.weights = weights;
    const struct smollm_memory now = {need.weights, need.kv_cache, need.work, system_memory_available("")};
    sized_write(memory, size, &now, sizeof now);
    status = memory_need_check(&need, error);
    if (status < 0)
        error_prefix(error, "%s with %u conversations of %u tokens", path, wanted.parallel, wanted.context);
    return status;
}

static int load(struct smollm_model *model, const struct gguf_file *file, const struct smollm_model_options *options,
                struct smollm_error *error)
{
    const struct model_config_options changes = {options->rope_scaling, options->rope_scale,
                                                 options->yarn_original_context};
    struct model_config config;
    struct thread_pool *pool = NULL;
    if (options->vocabulary_only)
        return read_tokens(model, file, error);
    struct memory_need need = {0};
    uint64_t parameters;
    int status = model_config_read(&config, file, &changes, error);
    if (status == 0)
        status = measure(file, &config, &need.weights, &parameters, error);
    if (status == 0)
        status = memory_need_check(&need, error);
    if (status == 0)
        status =
            thread_pool_create(options->threads > 0 ? options->threads : system_processors_available(""), &pool, error);
    if (status == 0)
        status = weights_load(&model->weights, file, &config, pool, options->progress, options->progress_user, error);
    thread_pool_destroy(pool);
    if (status == 0)
        status = read_tokens(model, file, error);
    return status < 0 ? status : choose_format(model, file, options->chat_format, error);
}

int smollm_model_open(const char *path, const struct smollm_model_options *options, struct smollm_model **result,
                      struct smollm_error *error)
{
    *result = NULL;
    struct smollm_model_options wanted = SMOLLM_MODEL_OPTIONS_INIT;
    int status =
        options ? sized_read(&wanted, sizeof wanted, options, options->size, "smollm_model_options", error) : 0;
    if (status < 0)
        return status;
    RETURN_ERROR_IF(!path, error, SMOLLM_EINVAL, "no path");
    RETURN_ERROR_IF(wanted.threads > ENGINE_THREADS_MAX, error, SMOLLM_EINVAL, "threads is %u; it must be from 0 to %d",
                    wanted.threads, ENGINE_THREADS_MAX);
    struct smollm_model *model = calloc(1, sizeof *model);
    RETURN_ERROR_IF(!model, error, SMOLLM_ENOMEM, "out of memory");
    struct gguf_file *file = NULL;
    status = cpu_tier_parse(wanted.cpu, &model->tier, error);
    if (status == 0) {
        status = gguf_open(path, &file, error);
        if (status == 0)
            status = load(model, file, &wanted, error);
        if (status < 0)
            error_prefix(error, "%s", path);
    }
    if (status == 0) {
        model->file_bytes = gguf_size(file);
        model->path = strdup(path);
        model->name = copy_text(file, "general.name");
        if (!model->name)
            model->name = name_from_path(path);
        model->template_text = copy_text(file, "tokenizer.chat_template");
        if (!model->path || !model->name)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory");
    }
    gguf_close(file);
    if (status < 0) {
        smollm_model_close(model);
        return status;
    }
    *result = model;
    return 0;
}

uint32_t smollm_model_parts(const char *path, uint32_t *part)
{
    uint32_t its_part, count;
    const bool is_part = gguf_split_name(path, &its_part, &count);
    if (part)
        *part = is_part ? its_part : 1;
    return is_part ? count : 1;
}

void smollm_model_part_rename(char *path, uint32_t part)
{
    uint32_t its_part, count;
    if (gguf_split_name(path, &its_part, &count))
        gguf_split_rename(path, part, count);
}

int smollm_check_file(const char *path, struct smollm_error *error)
{
    struct gguf_file *file = NULL;
    int status = gguf_open_alone(path, &file, error);
    gguf_close(file);
    return status;
}

void smollm_model_close(struct smollm_model *model)
{
    if (!model)
        return;
    weights_free(&model->weights);
    tokenizer_free(model->tokenizer);
    free(model->end_token);
    free(model->name);
    free(model->path);
    free(model->template_text);
    free(model);
}

void smollm_model_get_info_sized(const struct smollm_model *model, struct smollm_model_info *info, size_t size)
{
    const struct model_config *c = &model->weights.config;
    const struct chat_format *format = model->chat_format;
    const struct smollm_model_info now = {
        .architecture = c->architecture,
        .name = model->name,
        .path = model->path,
        .chat_format = format ? chat_format_name(format) : NULL,
        .chat_format_has_thinking = format && chat_format_has_thinking(format),
        .chat_format_has_tools = format && chat_format_has_tools(format),
        .parameters = model->weights.parameters,
        .file_bytes = model->file_bytes,
        .weight_bytes = model->weights.block_bytes,
        .context_length = c->context,
        .vocabulary_size = c->vocabulary,
        .embedding_length = c->hidden,
        .layers = c->layers,
        .kv_bytes_per_token = kv_cache_bytes_per_position(c, KV_F16),
        .bos_token = tokenizer_bos(model->tokenizer),
        .eos_token = tokenizer_eos(model->tokenizer),
        .template_text = model->template_text,
        .content_hash = model->weights.hash,
    };
    sized_write(info, size, &now, sizeof now);
}
