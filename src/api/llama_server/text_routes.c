/* /tokenize, /detokenize, /apply-template. */
#include "api/core/json_writer.h"
#include "api/llama_server/llama_server.h"
#include "api/shared/conversation_fields.h"
#include "api/vllm/vllm.h"
#include "base/utf8.h"

#include <stddef.h>
#include <stdlib.h>

/* A piece is text, or its bytes as numbers where it is only a part of a character. */
static int write_piece(const struct api *api, int32_t token, struct json_writer *writer, struct api_error *error)
{
    struct smollm_error cause;
    struct smollm_text piece;
    if (smollm_detokenize(api->model, &token, 1, &piece, &cause) < 0)
        return api_refuse_from(error, &cause);
    json_begin_object(writer);
    json_key_number(writer, "id", token);
    json_key(writer, "piece");
    if (utf8_is_valid(piece.data, piece.size))
        json_text(writer, piece);
    else
        json_bytes(writer, piece);
    json_end_object(writer);
    smollm_free((void *)(uintptr_t)piece.data);
    return 0;
}

int llama_server_tokenize(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                          struct api_error *error)
{
    if (!json_input_value(json, "content") && (json_input_value(json, "prompt") || json_input_value(json, "messages")))
        return vllm_tokenize(api, call, json, out, error);
    struct wanted {
        bool add_special, parse_special, with_pieces;
    } wanted = {.parse_special = true};
    static const struct json_field fields[] = {
        {"add_special", FIELD_TRUTH, 0, 0, offsetof(struct wanted, add_special)},
        {"parse_special", FIELD_TRUTH, 0, 0, offsetof(struct wanted, parse_special)},
        {"with_pieces", FIELD_TRUTH, 0, 0, offsetof(struct wanted, with_pieces)},
    };
    struct smollm_text content;
    if (json_input_fields(json, fields, 3, &wanted, error) < 0 || json_input_text(json, "content", &content, error) < 0)
        return -1;
    if (!content.data)
        return api_refuse(error, "content", "content is missing");
    struct smollm_tokenize_options options = {.size = sizeof(struct smollm_tokenize_options),
                                              .add_special = wanted.add_special,
                                              .parse_special = wanted.parse_special};
    struct smollm_error cause;
    int32_t *tokens;
    size_t count;
    if (smollm_tokenize(api->model, content, &options, &tokens, &count, &cause) < 0)
        return api_refuse_from(error, &cause);
    struct json_writer writer = {out, false};
    int status = 0;
    json_begin_object(&writer);
    json_key(&writer, "tokens");
    json_begin_array(&writer);
    for (size_t i = 0; i < count && status == 0; i++) {
        if (wanted.with_pieces)
            status = write_piece(api, tokens[i], &writer, error);
        else
            json_number(&writer, tokens[i]);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    smollm_free(tokens);
    return status;
}

int llama_server_detokenize(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                            struct api_error *error)
{
    (void)call;
    json_t *list = json_input_value(json, "tokens"), *value;
    if (!list)
        return api_refuse(error, "tokens", "tokens is missing");
    if (!json_is_array(list))
        return api_refuse(error, "tokens", "tokens is %s; it must be an array", json_input_kind(list));
    size_t count = json_array_size(list), i;
    int32_t *tokens = array_allocate(count + 1, sizeof *tokens);
    if (!tokens)
        return api_refuse_memory(error);
    int status = 0;
    json_array_foreach(list, i, value)
    {
        int64_t id = 0;
        if (json_input_integer(value, "tokens", 0, (int64_t)api->info.vocabulary_size - 1, &id, error) < 0) {
            status = api_refuse(error, "tokens", "tokens[%zu] is not a whole number from 0 to %u", i,
                                api->info.vocabulary_size - 1);
            break;
        }
        tokens[i] = (int32_t)id;
    }
    struct smollm_error cause;
    struct smollm_text text = {0};
    if (status == 0 && smollm_detokenize(api->model, tokens, count, &text, &cause) < 0)
        status = api_refuse_from(error, &cause);
    free(tokens);
    if (status < 0)
        return status;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_text(&writer, "content", text);
    json_key_text(&writer, "prompt", text); /* vLLM's name */
    json_end_object(&writer);
    smollm_free((void *)(uintptr_t)text.data);
    return 0;
}

int llama_server_apply_template(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                                struct api_error *error)
{
    (void)call;
    struct arena arena = {0};
    struct smollm_conversation conversation;
    struct smollm_text prompt = {0};
    struct smollm_error cause;
    int status = request_read_conversation(api->model, json, &arena, &conversation, error);
    if (status == 0 && smollm_apply_template(api->model, &conversation, &prompt, &cause) < 0)
        status = api_refuse_from(error, &cause);
    arena_free(&arena);
    if (status < 0)
        return status;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_text(&writer, "prompt", prompt);
    json_end_object(&writer);
    smollm_free((void *)(uintptr_t)prompt.data);
    return 0;
}
