/* Prompts as tokens, in vLLM's forms. */
#include "api/core/generation.h"
#include "api/openai/openai.h"
#include "api/shared/conversation_fields.h"
#include "api/shared/request_fields.h"
#include "api/vllm/vllm.h"

#include <stddef.h>

static void write_tokens(const int32_t *tokens, size_t count, const char *key, struct json_writer *writer)
{
    json_key(writer, key);
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        json_number(writer, tokens[i]);
    json_end_array(writer);
}

/* A special token by its text; null: there is none. */
static void write_special(const struct api *api, const char *key, int32_t token, struct json_writer *writer)
{
    struct smollm_text text = {0};
    if (token >= 0 && smollm_detokenize(api->model, &token, 1, &text, NULL) == 0)
        json_key_text(writer, key, text);
    else
        json_key_nothing(writer, key);
    smollm_free((void *)(uintptr_t)text.data);
}

int vllm_tokenizer_info(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                        struct api_error *error)
{
    (void)call, (void)json, (void)error;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "tokenizer_class", "GGUF");
    write_special(api, "bos_token", api->info.bos_token, &writer);
    write_special(api, "eos_token", api->info.eos_token, &writer);
    write_special(api, "pad_token", api->info.eos_token, &writer);
    json_key_word(&writer, "chat_template", api->info.template_text);
    json_key_unsigned(&writer, "vocab_size", api->info.vocabulary_size);
    json_end_object(&writer);
    return 0;
}

static int tokenize_prompt(const struct api *api, const json_t *json, int32_t **tokens, size_t *count,
                           struct api_error *error)
{
    struct wanted {
        bool add_special_tokens;
    } wanted = {true};
    static const struct json_field field = {"add_special_tokens", FIELD_TRUTH, 0, 0,
                                            offsetof(struct wanted, add_special_tokens)};
    struct smollm_text prompt;
    struct smollm_error cause;
    if (json_input_fields(json, &field, 1, &wanted, error) < 0 || json_input_text(json, "prompt", &prompt, error) < 0)
        return -1;
    const struct smollm_tokenize_options options = {
        .size = sizeof options, .add_special = wanted.add_special_tokens, .parse_special = true};
    return smollm_tokenize(api->model, prompt, &options, tokens, count, &cause) < 0 ? api_refuse_from(error, &cause)
                                                                                    : 0;
}

static int tokenize_messages(struct api *api, const json_t *json, int32_t **tokens, size_t *count,
                             struct api_error *error)
{
    struct arena arena = {0};
    struct smollm_conversation conversation;
    struct smollm_error cause;
    int status = request_read_conversation(api->model, json, &arena, &conversation, error);
    if (status == 0 && smollm_render(api->model, &conversation, tokens, count, &cause) < 0)
        status = api_refuse_from(error, &cause);
    arena_free(&arena);
    return status;
}

int vllm_tokenize(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                  struct api_error *error)
{
    (void)call;
    struct smollm_engine_info engine;
    int32_t *tokens = NULL;
    size_t count = 0;
    const int status = json_input_value(json, "messages") ? tokenize_messages(api, json, &tokens, &count, error)
                                                          : tokenize_prompt(api, json, &tokens, &count, error);
    if (status < 0)
        return status;
    smollm_engine_get_info(api->engine, &engine);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_unsigned(&writer, "count", count);
    json_key_unsigned(&writer, "max_model_len", engine.context);
    write_tokens(tokens, count, "tokens", &writer);
    json_end_object(&writer);
    smollm_free(tokens);
    return 0;
}

static void write_rendered(const struct api *api, const struct api_call *call, const int32_t *tokens, size_t count,
                           struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_word(writer, "request_id", call->request_id);
    json_key_word(writer, "model", api->names[0]);
    write_tokens(tokens, count, "token_ids", writer);
    json_end_object(writer);
}

int vllm_render_chat(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                     struct api_error *error)
{
    int32_t *tokens = NULL;
    size_t count = 0;
    if (tokenize_messages(api, json, &tokens, &count, error) < 0)
        return -1;
    struct json_writer writer = {out, false};
    write_rendered(api, call, tokens, count, &writer);
    smollm_free(tokens);
    return 0;
}

int vllm_render_completion(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error)
{
    struct generation_request request;
    generation_request_init(&request, api);
    int status = request_read_prompts(api, json, "prompt", GENERATION_CHOICES_MAX, &request, error);
    if (status == 0)
        status = generation_request_tokenize(&request, api, error);
    struct json_writer writer = {out, false};
    if (status == 0)
        json_begin_array(&writer);
    for (size_t i = 0; status == 0 && i < request.prompt_count; i++)
        write_rendered(api, call, request.prompts[i].tokens, request.prompts[i].token_count, &writer);
    if (status == 0)
        json_end_array(&writer);
    generation_request_free(&request);
    return status;
}
