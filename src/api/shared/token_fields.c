/* Fields about the tokens of an answer: vLLM's allowed_token_ids, stop_token_ids, bad_words, min_tokens; continue_from.
 */
#include "api/shared/request_fields.h"

#include <stddef.h>

enum { TOKENS_MAX = 65536, BAD_WORDS_MAX = 1024, BAD_WORD_BYTES_MAX = 256 };

static int read_tokens(const json_t *json, const char *name, uint32_t vocabulary, struct arena *arena,
                       const int32_t **tokens, size_t *count, struct api_error *error)
{
    const json_t *list = json_input_value(json, name);
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > TOKENS_MAX)
        return api_refuse(error, name, "%s must be an array of up to %d token ids", name, TOKENS_MAX);
    int32_t *read = arena_array(arena, json_array_size(list) + 1, sizeof *read);
    if (!read)
        return api_refuse_memory(error);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t token;
        if (json_input_integer(json_array_get(list, i), name, 0, (int64_t)vocabulary - 1, &token, error) < 0)
            return -1;
        read[i] = (int32_t)token;
    }
    *tokens = read;
    *count = json_array_size(list);
    return 0;
}

static int read_bad_words(const json_t *json, struct generation_request *request, struct api_error *error)
{
    const json_t *list = json_input_value(json, "bad_words");
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > BAD_WORDS_MAX)
        return api_refuse(error, "bad_words", "bad_words must be an array of up to %d strings", BAD_WORDS_MAX);
    struct smollm_text *words = arena_array(&request->arena, json_array_size(list) + 1, sizeof *words);
    if (!words)
        return api_refuse_memory(error);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *word = json_array_get(list, i);
        if (!json_input_is_string(word) || json_string_length(word) == 0 ||
            json_string_length(word) > BAD_WORD_BYTES_MAX)
            return api_refuse(error, "bad_words", "bad_words[%zu] must be a string of 1 to %d bytes", i,
                              BAD_WORD_BYTES_MAX);
        words[i] = json_input_string(word);
    }
    request->bad_words = words;
    request->bad_word_count = json_array_size(list);
    return 0;
}

/* A number of tokens, or their ids. */
static int read_continue_from(const json_t *json, uint32_t vocabulary, struct generation_request *request,
                              struct api_error *error)
{
    const char *const name = "continue_from";
    const json_t *value = json_input_value(json, name);
    if (!value)
        return 0;
    if (request->seed == -1 && request->temperature > 0)
        return api_refuse(error, name,
                          "continue_from needs the seed of the answer that it continues: set seed, or a temperature of "
                          "0");
    if (json_is_array(value))
        return read_tokens(json, name, vocabulary, &request->arena, &request->answer_tokens,
                           &request->answer_token_count, error);
    if (!json_is_number(value))
        return api_refuse(error, name, "continue_from is %s; it must be a number of tokens or an array of token ids",
                          json_input_kind(value));
    return json_input_integer(value, name, 0, REQUEST_TOKENS_MAX, &request->silent_tokens, error);
}

int request_read_token_fields(const json_t *json, uint32_t vocabulary, struct generation_request *request,
                              struct api_error *error)
{
    static const struct json_field min_tokens = {"min_tokens", FIELD_INTEGER, 0, 1 << 24,
                                                 offsetof(struct generation_request, min_tokens)};
    if (json_input_fields(json, &min_tokens, 1, request, error) < 0 ||
        read_tokens(json, "allowed_token_ids", vocabulary, &request->arena, &request->allowed_tokens,
                    &request->allowed_token_count, error) < 0 ||
        read_tokens(json, "stop_token_ids", vocabulary, &request->arena, &request->stop_tokens,
                    &request->stop_token_count, error) < 0 ||
        read_continue_from(json, vocabulary, request, error) < 0)
        return -1;
    return read_bad_words(json, request, error);
}
