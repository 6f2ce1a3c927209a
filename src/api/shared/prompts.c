/* The prompt of a completion: text, token ids, a mixture of both, or several of these. */
#include "api/shared/request_fields.h"

#include <stdio.h>
#include <string.h>

static int read_token(const json_t *value, uint32_t vocabulary, int32_t *token, struct api_error *error)
{
    int64_t id;
    if (json_input_integer(value, "prompt", 0, (int64_t)vocabulary - 1, &id, error) < 0)
        return api_refuse(error, "prompt", "a token of the prompt is not a whole number from 0 to %u", vocabulary - 1);
    *token = (int32_t)id;
    return 0;
}

/* A piece of text between token ids; no BOS before it. */
static int append_text(const struct smollm_model *model, const json_t *value, int32_t *tokens, size_t *count,
                       size_t room, struct api_error *error)
{
    static const struct smollm_tokenize_options options = {.size = sizeof options, .parse_special = true};
    struct smollm_error cause;
    int32_t *part;
    size_t part_count;
    if (smollm_tokenize(model, json_input_string(value), &options, &part, &part_count, &cause) < 0)
        return api_refuse_from(error, &cause);
    /* A token has at least one byte of its text, so the room that was counted suffices. */
    if (part_count > room - *count)
        part_count = room - *count;
    if (part_count > 0)
        memcpy(tokens + *count, part, part_count * sizeof *part);
    *count += part_count;
    smollm_free(part);
    return 0;
}

/* [15043, " world", 2] */
static int read_mixture(const struct smollm_model *model, const json_t *array, uint32_t vocabulary,
                        struct generation_request *request, struct generation_prompt *prompt, struct api_error *error)
{
    size_t room = 0, i;
    json_t *value;
    json_array_foreach(array, i, value) room += json_input_is_string(value) ? json_string_length(value) + 1 : 1;
    prompt->tokens = arena_array(&request->arena, room + 1, sizeof *prompt->tokens);
    if (!prompt->tokens)
        return api_refuse_memory(error);
    json_array_foreach(array, i, value)
    {
        if (json_input_is_string(value)) {
            if (append_text(model, value, prompt->tokens, &prompt->token_count, room, error) < 0)
                return -1;
        } else if (read_token(value, vocabulary, &prompt->tokens[prompt->token_count++], error) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_prompt(const struct smollm_model *model, const json_t *value, uint32_t vocabulary,
                       struct generation_request *request, struct generation_prompt *prompt, struct api_error *error)
{
    /* llama-server's object around a prompt, for models that take more than text. */
    if (json_is_object(value)) {
        if (json_array_size(json_object_get(value, "multimodal_data")) > 0)
            return api_refuse(error, "prompt", "prompt has multimodal_data; this model reads text only");
        value = json_object_get(value, "prompt_string");
        if (!json_input_is_string(value))
            return api_refuse(error, "prompt", "prompt is an object without a prompt_string");
    }
    if (json_is_array(value))
        return read_mixture(model, value, vocabulary, request, prompt, error);
    if (!json_input_is_string(value))
        return api_refuse(error, "prompt", "prompt is %s; it must be a string or an array of token ids",
                          json_input_kind(value));
    prompt->text = json_input_string(value);
    return 0;
}

/* ["one", "two"] and [[1, 2], [3]] are several prompts; [1, "two"] is one. */
static bool is_list_of_prompts(const json_t *value)
{
    bool only_strings = true;
    size_t i;
    json_t *part;
    json_array_foreach(value, i, part)
    {
        if (json_is_array(part) || json_is_object(part))
            return true;
        only_strings &= json_input_is_string(part);
    }
    return json_array_size(value) > 0 && only_strings;
}

int request_read_prompts(const struct api *api, const json_t *json, size_t max, struct generation_request *request,
                         struct api_error *error)
{
    const json_t *value = json_input_value(json, "prompt");
    if (!value)
        return api_refuse(error, "prompt", "prompt is missing");
    const bool is_list = is_list_of_prompts(value);
    const size_t count = is_list ? json_array_size(value) : 1;
    if (count > max)
        return api_refuse(error, "prompt", "%zu prompts (at most %zu in such a request)", count, max);
    request->prompts = arena_array(&request->arena, count, sizeof *request->prompts);
    if (!request->prompts)
        return api_refuse_memory(error);
    request->prompt_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = is_list ? json_array_get(value, i) : value;
        if (read_prompt(api->model, one, api->info.vocabulary_size, request, &request->prompts[i], error) < 0)
            return -1;
    }
    return 0;
}
