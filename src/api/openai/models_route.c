/* /v1/models: the model that is served, with all its names. */
#include "api/core/json_writer.h"
#include "api/core/path_text.h"
#include "api/core/time_text.h"
#include "api/openai/openai.h"

static void write_model(const struct api *api, const char *name, struct json_writer *writer)
{
    struct smollm_engine_info engine;
    const struct time_text started = time_text_of(api->started);
    smollm_engine_get_info(api->engine, &engine);
    json_begin_object(writer);
    json_key_word(writer, "id", name);
    json_key_word(writer, "object", "model");
    json_key_number(writer, "created", api->started);
    json_key_word(writer, "owned_by", "smollm");
    json_key(writer, "aliases");
    json_begin_array(writer);
    for (size_t i = 0; i < api->name_count; i++)
        json_word(writer, api->names[i]);
    json_end_array(writer);
    json_key_ready(writer, "tags", text_of("[]"));
    /* Anthropic's names for the same. */
    json_key_word(writer, "type", "model");
    json_key_word(writer, "display_name", name);
    json_key_word(writer, "created_at", started.text);
    json_key_unsigned(writer, "max_model_len", engine.context);
    json_key(writer, "meta");
    json_begin_object(writer);
    json_key_word(writer, "architecture", api->info.architecture);
    json_key_unsigned(writer, "n_vocab", api->info.vocabulary_size);
    json_key_unsigned(writer, "n_ctx", engine.context);
    json_key_unsigned(writer, "n_ctx_train", api->info.context_length);
    json_key_unsigned(writer, "n_embd", api->info.embedding_length);
    json_key_unsigned(writer, "n_params", api->info.parameters);
    json_key_unsigned(writer, "size", api->info.file_bytes);
    json_end_object(writer);
    json_end_object(writer);
}

int openai_list_models(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error)
{
    (void)call, (void)json, (void)error;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "object", "list");
    json_key(&writer, "data");
    json_begin_array(&writer);
    write_model(api, api->names[0], &writer);
    json_end_array(&writer);
    json_key_word(&writer, "first_id", api->names[0]);
    json_key_word(&writer, "last_id", api->names[0]);
    json_key_truth(&writer, "has_more", false);
    json_end_object(&writer);
    return 0;
}

int openai_show_model(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                      struct api_error *error)
{
    (void)json;
    struct buffer name = {0};
    path_decode(call->parameter, &name);
    const char *known = api_find_model(api, buffer_text(&name));
    buffer_free(&name);
    if (!known) {
        api_refuse(error, "model", "there is no such model here; the one that is served is '%s'", api->names[0]);
        error->status = 404;
        error->code = "model_not_found";
        return -1;
    }
    struct json_writer writer = {out, false};
    write_model(api, known, &writer);
    return 0;
}
