/* The prompt of a completion: text, token ids, a mixture of both, or several of these. */
#include "api/shared/conversation_builder.h"
#include "api/shared/request_fields.h"

#include <stdio.h>
#include <string.h>

/* What all of these functions need. */
struct prompt_reader {
    const struct api *api;
    const char *name; /* of the field, in errors */
    struct generation_request *request;
    struct api_error *error;
};

static int read_token(struct prompt_reader *r, const json_t *value, int32_t *token)
{
    const uint32_t vocabulary = r->api->info.vocabulary_size;
    int64_t id;
    if (json_input_integer(value, r->name, 0, (int64_t)vocabulary - 1, &id, r->error) < 0)
        return api_refuse(r->error, r->name, "a token of %s is not a whole number from 0 to %u", r->name,
                          vocabulary - 1);
    *token = (int32_t)id;
    return 0;
}

/* A piece of text between token ids; no BOS before it. */
static int append_text(struct prompt_reader *r, const json_t *value, struct generation_prompt *prompt, size_t room)
{
    static const struct smollm_tokenize_options options = {.size = sizeof options, .parse_special = true};
    struct smollm_error cause;
    int32_t *part;
    size_t part_count;
    if (smollm_tokenize(r->api->model, json_input_string(value), &options, &part, &part_count, &cause) < 0)
        return api_refuse_from(r->error, &cause);
    /* A token has at least one byte of its text, so the room that was counted suffices. */
    if (part_count > room - prompt->token_count)
        part_count = room - prompt->token_count;
    if (part_count > 0)
        memcpy(prompt->tokens + prompt->token_count, part, part_count * sizeof *part);
    prompt->token_count += part_count;
    smollm_free(part);
    return 0;
}

/* [15043, " world", 2] */
static int read_mixture(struct prompt_reader *r, const json_t *array, struct generation_prompt *prompt)
{
    size_t room = 0, i;
    json_t *value;
    json_array_foreach(array, i, value) room += json_input_is_string(value) ? json_string_length(value) + 1 : 1;
    prompt->tokens = arena_array(&r->request->arena, room + 1, sizeof *prompt->tokens);
    if (!prompt->tokens)
        return api_refuse_memory(r->error);
    json_array_foreach(array, i, value)
    {
        if (json_input_is_string(value)) {
            if (append_text(r, value, prompt, room) < 0)
                return -1;
        } else if (read_token(r, value, &prompt->tokens[prompt->token_count++]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* {"prompt_string": "...", "multimodal_data": [...]}, or {"content": [parts]}: llama-server's objects around a prompt.
 */
static int read_object(struct prompt_reader *r, const json_t *object, struct generation_prompt *prompt)
{
    const json_t *text = json_object_get(object, "prompt_string"), *parts = json_object_get(object, "content");
    const json_t *media = json_object_get(object, "multimodal_data");
    if (json_array_size(media) > 0 || json_is_string(media))
        return api_refuse(r->error, r->name, "%s has multimodal_data; this model reads text only", r->name);
    if (json_input_is_string(text)) {
        prompt->text = json_input_string(text);
        return 0;
    }
    if (!json_is_array(parts))
        return api_refuse(r->error, r->name, "%s is an object without a prompt_string", r->name);
    struct conversation_builder builder = {.arena = &r->request->arena, .error = r->error};
    prompt->text = (struct smollm_text){"", 0};
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *piece = json_object_get(part, "text");
        if (!text_is(json_input_string(json_object_get(part, "type")), "text") || !json_input_is_string(piece))
            return api_refuse(r->error, r->name, "%s.content[%zu] is not text; this model reads text only", r->name, i);
        if (conversation_append(&builder, &prompt->text, "", json_input_string(piece)) < 0)
            return -1;
    }
    return 0;
}

static int read_prompt(struct prompt_reader *r, const json_t *value, struct generation_prompt *prompt)
{
    if (json_is_object(value))
        return read_object(r, value, prompt);
    if (json_is_array(value))
        return read_mixture(r, value, prompt);
    if (!json_input_is_string(value))
        return api_refuse(r->error, r->name, "%s is %s; it must be a string or an array of token ids", r->name,
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

int request_read_prompts(const struct api *api, const json_t *json, const char *name, size_t max,
                         struct generation_request *request, struct api_error *error)
{
    struct prompt_reader reader = {.api = api, .name = name, .request = request, .error = error};
    const json_t *value = json_input_value(json, name);
    if (!value)
        return api_refuse(error, name, "%s is missing", name);
    const bool is_list = is_list_of_prompts(value);
    const size_t count = is_list ? json_array_size(value) : 1;
    if (count > max)
        return api_refuse(error, name, "%zu prompts (at most %zu in such a request)", count, max);
    request->prompts = arena_array(&request->arena, count, sizeof *request->prompts);
    if (!request->prompts)
        return api_refuse_memory(error);
    request->prompt_count = count;
    for (size_t i = 0; i < count; i++)
        if (read_prompt(&reader, is_list ? json_array_get(value, i) : value, &request->prompts[i]) < 0)
            return -1;
    return 0;
}
