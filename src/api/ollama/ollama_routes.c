/* Ollama's routes about models: one is served, under each of its names. */
#include "api/core/json_writer.h"
#include "api/core/time_text.h"
#include "api/ollama/ollama.h"
#include "api/openai/openai.h"
#include "api/shared/embedding_fields.h"

#include <inttypes.h>
#include <string.h>

int ollama_version(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                   struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)error;
    buffer_append_string(out, "{\"version\":\"" OLLAMA_VERSION "\"}");
    return 0;
}

/* "3.1B", "134.5M" */
static void write_size(const struct api *api, struct json_writer *writer)
{
    char text[32];
    const double parameters = (double)api->info.parameters;
    snprintf(text, sizeof text, parameters >= 1e9 ? "%.1fB" : "%.2fM", parameters / (parameters >= 1e9 ? 1e9 : 1e6));
    json_key_word(writer, "parameter_size", text);
}

static void write_details(const struct api *api, struct json_writer *writer)
{
    json_key(writer, "details");
    json_begin_object(writer);
    json_key_word(writer, "parent_model", "");
    json_key_word(writer, "format", "gguf");
    json_key_word(writer, "family", api->info.architecture);
    json_key(writer, "families");
    json_begin_array(writer);
    json_word(writer, api->info.architecture);
    json_end_array(writer);
    write_size(api, writer);
    json_key_word(writer, "quantization_level", "unknown");
    json_end_object(writer);
}

/* A name of the model, its size and what identifies its content. */
static void write_model(const struct api *api, const char *name, struct json_writer *writer)
{
    char digest[65];
    snprintf(digest, sizeof digest, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, api->info.content_hash,
             api->info.content_hash, api->info.content_hash, api->info.content_hash);
    json_key_word(writer, "name", name);
    json_key_word(writer, "model", name);
    json_key_unsigned(writer, "size", api->info.file_bytes);
    json_key_word(writer, "digest", digest);
    write_details(api, writer);
}

static int list(struct api *api, bool is_running, struct buffer *out)
{
    struct smollm_engine_info engine;
    smollm_engine_get_info(api->engine, &engine);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key(&writer, "models");
    json_begin_array(&writer);
    for (size_t i = 0; i < (is_running ? 1 : api->name_count); i++) {
        json_begin_object(&writer);
        write_model(api, api->names[i], &writer);
        if (is_running) {
            json_key_word(&writer, "expires_at", "2318-12-31T00:00:00Z"); /* it stays loaded */
            json_key_unsigned(&writer, "size_vram", 0);
            json_key_unsigned(&writer, "context_length", engine.context);
        } else {
            json_key_word(&writer, "modified_at", time_text_now().text);
        }
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    return 0;
}

int ollama_tags(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                struct api_error *error)
{
    (void)call, (void)json, (void)error;
    return list(api, false, out);
}

int ollama_ps(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
              struct api_error *error)
{
    (void)call, (void)json, (void)error;
    return list(api, true, out);
}

/* "model", or "name" as older clients have it. NULL: refused. */
static const char *find(struct api *api, const json_t *json, struct api_error *error)
{
    struct smollm_text name;
    if (json_input_text(json, "model", &name, error) < 0 ||
        (name.size == 0 && json_input_text(json, "name", &name, error) < 0))
        return NULL;
    if (name.size == 0) {
        api_refuse(error, "model", "model is required");
        return NULL;
    }
    const char *known = api_find_model(api, name);
    if (!known) {
        api_refuse(error, "model", "model '%.*s' not found; the one that is served here is '%s'",
                   (int)(name.size < 100 ? name.size : 100), name.data, api->names[0]);
        error->status = 404;
    }
    return known;
}

static void write_model_info(const struct api *api, struct json_writer *writer)
{
    const char *architecture = api->info.architecture;
    char key[96];
    json_key(writer, "model_info");
    json_begin_object(writer);
    json_key_word(writer, "general.architecture", architecture);
    json_key_unsigned(writer, "general.parameter_count", api->info.parameters);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"context_length", api->info.context_length},
                   {"embedding_length", api->info.embedding_length},
                   {"block_count", api->info.layers},
                   {"vocab_size", api->info.vocabulary_size}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "%s.%s", architecture, numbers[i].name);
        json_key_unsigned(writer, key, numbers[i].value);
    }
    json_end_object(writer);
}

static void write_capabilities(const struct api *api, struct json_writer *writer)
{
    json_key(writer, "capabilities");
    json_begin_array(writer);
    json_word(writer, "completion");
    json_word(writer, "embedding");
    if (api->info.chat_format_has_tools)
        json_word(writer, "tools");
    if (api->info.chat_format_has_thinking)
        json_word(writer, "thinking");
    json_end_array(writer);
}

int ollama_show(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                struct api_error *error)
{
    (void)call;
    if (!find(api, json, error))
        return -1;
    struct smollm_engine_info engine;
    smollm_engine_get_info(api->engine, &engine);
    struct json_writer writer = {out, false};
    char parameters[64];
    snprintf(parameters, sizeof parameters, "num_ctx                        %u", engine.context);
    json_begin_object(&writer);
    json_key_word(&writer, "license", "");
    json_key_word(&writer, "modelfile", "# The model is a GGUF file that the server was started with.");
    json_key_word(&writer, "parameters", parameters);
    json_key_word(&writer, "template", api->info.template_text ? api->info.template_text : "");
    json_key_word(&writer, "modified_at", time_text_now().text);
    write_details(api, &writer);
    write_model_info(api, &writer);
    write_capabilities(api, &writer);
    json_end_object(&writer);
    return 0;
}

/* The model that is served is here already; another one cannot be loaded. */
int ollama_pull(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                struct api_error *error)
{
    (void)call;
    if (!find(api, json, error))
        return -1;
    buffer_append_string(out, "{\"status\":\"success\"}");
    return 0;
}

int ollama_refuse_change(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                         struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)out;
    return api_refuse(error, NULL,
                      "models cannot be created, copied, pushed or deleted here: smollm serves the file that "
                      "it was started with");
}

static int greet(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                 struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)error;
    buffer_append_string(out, "Ollama is running");
    return 0;
}

static const struct route routes[] = {
    {"/", API_GET, ROUTE_PUBLIC | ROUTE_WHILE_LOADING, &openai_protocol, .answer = greet,
     .content_type = "text/plain; charset=utf-8", .summary = "A greeting, or for browsers the chat page"},
    {"/api/chat", API_POST, 0, &ollama_protocol, .format = &ollama_chat_format, .summary = "A conversation (Ollama)",
     .fields = ROUTE_FIELDS(&ollama_fields)},
    {"/api/generate", API_POST, 0, &ollama_protocol, .format = &ollama_generate_format, .summary = "A prompt (Ollama)",
     .fields = ROUTE_FIELDS(&ollama_fields)},
    {"/api/embed", API_POST, 0, &ollama_protocol, .format = &ollama_embed_format,
     .summary = "Texts as vectors (Ollama)", .fields = ROUTE_FIELDS(&embedding_fields)},
    {"/api/embeddings", API_POST, 0, &ollama_protocol, .format = &ollama_embeddings_format,
     .summary = "A text as a vector (Ollama, older)", .fields = ROUTE_FIELDS(&embedding_fields)},
    {"/api/version", API_GET, ROUTE_WHILE_LOADING, &ollama_protocol, .answer = ollama_version,
     .summary = "The version of Ollama whose API this is"},
    {"/api/tags", API_GET, 0, &ollama_protocol, .answer = ollama_tags,
     .summary = "The model that is served, under each name"},
    {"/api/ps", API_GET, 0, &ollama_protocol, .answer = ollama_ps, .summary = "The model that is loaded"},
    {"/api/show", API_POST, 0, &ollama_protocol, .answer = ollama_show, .summary = "What the model is"},
    {"/api/pull", API_POST, 0, &ollama_protocol, .answer = ollama_pull,
     .summary = "Succeeds for the model that is here"},
    {"/api/create", API_POST, ROUTE_MAY_BE_EMPTY, &ollama_protocol, .answer = ollama_refuse_change,
     .summary = "Refused: models are files here"},
    {"/api/copy", API_POST, ROUTE_MAY_BE_EMPTY, &ollama_protocol, .answer = ollama_refuse_change,
     .summary = "Refused: models are files here"},
    {"/api/push", API_POST, ROUTE_MAY_BE_EMPTY, &ollama_protocol, .answer = ollama_refuse_change,
     .summary = "Refused: models are files here"},
    {"/api/delete", API_DELETE, 0, &ollama_protocol, .answer = ollama_refuse_change,
     .summary = "Refused: models are files here"},
};

const struct route_list ollama_routes = ROUTE_LIST(routes);
