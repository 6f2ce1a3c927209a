/* /completion and /infill: read the requests. */
#include "api/llama_server/llama_server.h"
#include "api/shared/request_fields.h"

#include <string.h>

static const struct request_field fields[] = {
    REQUEST_INTEGER("max_tokens", max_tokens, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("n_predict", max_tokens, -1, REQUEST_TOKENS_MAX),
    REQUEST_INTEGER("n_probs", logprobs, 0, LOGPROBS_MAX),
    REQUEST_INTEGER("n_cmpl", answers, 1, GENERATION_ANSWERS_MAX),
    REQUEST_TRUTH("return_tokens", return_tokens),
    REQUEST_TRUTH("post_sampling_probs", sampled_logprobs),
};

static const struct named_field named_fields[] = {
    {"prompt", NULL, true},
    {"response_fields", "array", false},
};
const struct field_list llama_server_completion_fields = FIELD_LIST(fields, named_fields);

static int read_response_fields(const json_t *json, struct generation_request *request, struct native_request *own,
                                struct api_error *error)
{
    enum { FIELDS_MAX = 64 };
    const json_t *list = json_input_value(json, "response_fields");
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > FIELDS_MAX)
        return api_refuse(error, "response_fields", "response_fields must be an array of up to %d names", FIELDS_MAX);
    const char **names = arena_array(&request->arena, json_array_size(list) + 1, sizeof *names);
    if (!names)
        return api_refuse_memory(error);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const struct smollm_text name = json_input_string(json_array_get(list, i));
        for (size_t j = 0; j < name.size; j++)
            if (name.data[j] < 0x20 || name.data[j] == '"' || name.data[j] == '\\')
                return api_refuse(error, "response_fields", "response_fields[%zu] is not a valid field name", i);
        if (name.size == 0 || name.size > 100)
            return api_refuse(error, "response_fields", "response_fields[%zu] must be a string of 1 to 100 bytes", i);
        names[i] = arena_copy(&request->arena, name.data, name.size);
        if (!names[i])
            return api_refuse_memory(error);
    }
    own->fields = names;
    own->field_count = json_array_size(list);
    return 0;
}

static int read_common(struct api *api, const json_t *json, struct generation_request *request, struct api_error *error)
{
    struct native_request *own = arena_allocate(&request->arena, sizeof *own);
    if (!own)
        return api_refuse_memory(error);
    request->own = own;
    request->keep_prompt = true;
    if (request_read_common(api, json, request, error) < 0 ||
        request_read_fields(json, fields, sizeof fields / sizeof *fields, request, error) < 0 ||
        read_response_fields(json, request, own, error) < 0)
        return -1;
    if (request->logprobs == 0)
        request->logprobs = -1;
    request->return_tokens |= request->is_stream;
    return 0;
}

int llama_server_read_completion(struct api *api, const struct api_call *call, const json_t *json,
                                 struct generation_request *request, struct api_error *error)
{
    (void)call;
    return read_common(api, json, request, error) < 0
               ? -1
               : request_read_prompts(api, json, "prompt", GENERATION_CHOICES_MAX / (size_t)request->answers, request,
                                      error);
}

/* ---- /infill ---- */

/* Tokens of a vocabulary for filling in the middle, by the names that models give them; -1: there is none. */
struct middle_tokens {
    int32_t prefix, suffix, middle, separator;
};

static int32_t find_token(const struct api *api, const char *const *names)
{
    static const struct smollm_tokenize_options special = {.size = sizeof special, .parse_special = true};
    int32_t found = -1;
    for (; *names && found < 0; names++) {
        int32_t *tokens;
        size_t count;
        if (smollm_tokenize(api->model, text_of(*names), &special, &tokens, &count, NULL) < 0)
            continue;
        if (count == 1)
            found = tokens[0];
        smollm_free(tokens);
    }
    return found;
}

static struct middle_tokens find_tokens(const struct api *api)
{
    static const char *const prefixes[] = {"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<PRE>", NULL};
    static const char *const suffixes[] = {"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<SUF>", NULL};
    static const char *const middles[] = {"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<MID>", NULL};
    static const char *const separators[] = {"<|file_sep|>", "<file_sep>", "<file-sep>", NULL};
    return (struct middle_tokens){find_token(api, prefixes), find_token(api, suffixes), find_token(api, middles),
                                  find_token(api, separators)};
}

struct token_list {
    struct arena *arena;
    int32_t *tokens;
    size_t count, room;
};

static int append_token(struct token_list *list, int32_t token, struct api_error *error)
{
    if (list->count == list->room) {
        const size_t room = list->room * 2 + 256;
        int32_t *grown = arena_array(list->arena, room, sizeof *grown);
        if (!grown)
            return api_refuse_memory(error);
        if (list->count > 0)
            memcpy(grown, list->tokens, list->count * sizeof *grown);
        list->tokens = grown;
        list->room = room;
    }
    list->tokens[list->count++] = token;
    return 0;
}

/* Code is text: nothing in it is a special token. */
static int append_text(const struct api *api, struct token_list *list, struct smollm_text text, struct api_error *error)
{
    struct smollm_error cause;
    int32_t *tokens;
    size_t count;
    if (text.size == 0)
        return 0;
    if (smollm_tokenize(api->model, text, NULL, &tokens, &count, &cause) < 0)
        return api_refuse_from(error, &cause);
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = append_token(list, tokens[i], error);
    smollm_free(tokens);
    return status;
}

static int check_extra(const json_t *json, struct api_error *error)
{
    const json_t *extra = json_input_value(json, "input_extra");
    if (extra && !json_is_array(extra))
        return api_refuse(error, "input_extra", "input_extra is %s; it must be an array", json_input_kind(extra));
    for (size_t i = 0; i < json_array_size(extra); i++) {
        const json_t *chunk = json_array_get(extra, i), *name = json_object_get(chunk, "filename");
        if (!json_input_is_string(json_object_get(chunk, "text")) || (name && !json_input_is_string(name)))
            return api_refuse(error, "input_extra",
                              "input_extra[%zu] must have a text, and a filename that is a string", i);
    }
    return 0;
}

static int append_extra(const struct api *api, const struct middle_tokens *special, const json_t *json,
                        struct token_list *list, struct api_error *error)
{
    const json_t *extra = json_input_value(json, "input_extra");
    for (size_t i = 0; i < json_array_size(extra); i++) {
        const json_t *chunk = json_array_get(extra, i);
        const struct smollm_text name = json_input_string(json_object_get(chunk, "filename"));
        if ((special->separator >= 0 ? append_token(list, special->separator, error)
                                     : append_text(api, list, text_of("\n\n--- snippet ---\n\n"), error)) < 0)
            return -1;
        if (name.size > 0 && special->separator >= 0 &&
            (append_text(api, list, name, error) < 0 || append_text(api, list, text_of("\n"), error) < 0))
            return -1;
        if (append_text(api, list, json_input_string(json_object_get(chunk, "text")), error) < 0)
            return -1;
    }
    return 0;
}

int llama_server_read_infill(struct api *api, const struct api_call *call, const json_t *json,
                             struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct smollm_text prefix, suffix, prompt;
    struct token_list list = {.arena = &request->arena};
    if (json_input_text(json, "input_prefix", &prefix, error) < 0 ||
        json_input_text(json, "input_suffix", &suffix, error) < 0 ||
        json_input_text(json, "prompt", &prompt, error) < 0 || check_extra(json, error) < 0 ||
        read_common(api, json, request, error) < 0)
        return -1;
    if (!prefix.data || !suffix.data)
        return api_refuse(error, prefix.data ? "input_suffix" : "input_prefix", "%s is missing",
                          prefix.data ? "input_suffix" : "input_prefix");
    const struct middle_tokens special = find_tokens(api);
    if (special.prefix < 0 || special.suffix < 0 || special.middle < 0) {
        api_refuse(error, NULL, "this model cannot fill in the middle: its vocabulary has no tokens for it");
        error->status = 501;
        return -1;
    }
    struct generation_prompt *filled = arena_array(&request->arena, 1, sizeof *filled);
    if (!filled)
        return api_refuse_memory(error);
    if (append_extra(api, &special, json, &list, error) < 0 || append_token(&list, special.prefix, error) < 0 ||
        append_text(api, &list, prefix, error) < 0 || append_text(api, &list, prompt, error) < 0 ||
        append_token(&list, special.suffix, error) < 0 || append_text(api, &list, suffix, error) < 0 ||
        append_token(&list, special.middle, error) < 0)
        return -1;
    *filled = (struct generation_prompt){.tokens = list.tokens, .token_count = list.count};
    request->prompts = filled;
    request->prompt_count = 1;
    return 0;
}
