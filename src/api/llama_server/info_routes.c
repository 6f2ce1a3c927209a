/* What the server says of itself. Reads atomics and constants only: never waits. */
#include "api/core/json_writer.h"
#include "api/llama_server/llama_server.h"

#include <stdlib.h>

/* The error beside the status is what clients of llama-server look for while a model is loaded. */
int llama_server_health(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                        struct api_error *error)
{
    (void)call, (void)json;
    const bool is_draining = atomic_load(&api->is_draining);
    if (!is_draining && atomic_load(&api->is_attached)) {
        buffer_append_string(out, "{\"status\":\"ok\"}");
        return 200;
    }
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "status", is_draining ? "draining" : "loading");
    if (!is_draining)
        json_key_decimal(&writer, "progress", (double)atomic_load(&api->loaded_permille) / 1000.0);
    json_key(&writer, "error");
    json_begin_object(&writer);
    json_key_number(&writer, "code", 503);
    json_key_word(&writer, "message", is_draining ? "Shutting down" : "Loading model");
    json_key_word(&writer, "type", "unavailable_error");
    json_end_object(&writer);
    json_end_object(&writer);
    (void)error;
    return 503;
}

static void write_sampling(const struct api *api, struct json_writer *writer)
{
    const struct smollm_sampling *s = &api->options.sampling;
    json_key(writer, "params");
    json_begin_object(writer);
    json_key_number(writer, "n_predict", api->options.max_tokens);
    json_key_number(writer, "seed", api->options.has_seed ? (int64_t)s->seed : -1);
    json_key_decimal(writer, "temperature", (double)s->temperature);
    json_key_number(writer, "top_k", s->top_k);
    json_key_decimal(writer, "top_p", (double)s->top_p);
    json_key_decimal(writer, "min_p", (double)s->min_p);
    json_key_decimal(writer, "repeat_penalty", (double)s->repetition_penalty);
    json_key_number(writer, "repeat_last_n", s->repetition_window);
    json_key_decimal(writer, "presence_penalty", (double)s->presence_penalty);
    json_key_decimal(writer, "frequency_penalty", (double)s->frequency_penalty);
    json_end_object(writer);
}

int llama_server_props(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error)
{
    (void)call, (void)json, (void)error;
    struct smollm_engine_info engine;
    smollm_engine_get_info(api->engine, &engine);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key(&writer, "default_generation_settings");
    json_begin_object(&writer);
    json_key_unsigned(&writer, "n_ctx", engine.context);
    write_sampling(api, &writer);
    json_end_object(&writer);
    json_key_unsigned(&writer, "total_slots", engine.parallel);
    json_key_word(&writer, "model_alias", api->names[0]);
    json_key_word(&writer, "model_path", api->info.path);
    json_key_word(&writer, "chat_template", api->info.template_text ? api->info.template_text : "");
    json_key_word(&writer, "chat_format", api->info.chat_format);
    json_key_truth(&writer, "chat_format_has_thinking", api->info.chat_format_has_thinking);
    json_key_truth(&writer, "chat_format_has_tools", api->info.chat_format_has_tools);
    json_key(&writer, "modalities");
    json_begin_object(&writer);
    json_key_truth(&writer, "vision", false);
    json_key_truth(&writer, "audio", false);
    json_end_object(&writer);
    json_key_word(&writer, "cpu", engine.cpu);
    json_key_unsigned(&writer, "threads", engine.threads);
    json_key_word(&writer, "build_info", api->fingerprint);
    json_end_object(&writer);
    return 0;
}

static void write_slots(const struct smollm_engine_info *engine, const struct smollm_slot *slots, struct buffer *out)
{
    static const char *const states[] = {"idle", "prefill", "decode"};
    struct json_writer writer = {out, false};
    json_begin_array(&writer);
    for (uint32_t i = 0; i < engine->parallel; i++) {
        json_begin_object(&writer);
        json_key_number(&writer, "id", i);
        json_key_unsigned(&writer, "n_ctx", engine->context);
        json_key_truth(&writer, "is_processing", slots[i].state != SMOLLM_SLOT_IDLE);
        json_key_word(&writer, "state", states[slots[i].state]);
        json_key_unsigned(&writer, "id_task", slots[i].request_id);
        json_key_unsigned(&writer, "n_prompt_tokens", slots[i].prompt_tokens);
        json_key_unsigned(&writer, "n_prompt_tokens_processed", slots[i].processed_tokens);
        json_key_unsigned(&writer, "n_decoded", slots[i].generated_tokens);
        json_end_object(&writer);
    }
    json_end_array(&writer);
}

int llama_server_slots(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error)
{
    (void)json;
    struct query_value query[QUERY_FIELDS_MAX];
    const int status = query_read(call, query, error);
    const bool must_have_idle = query[0].text.size > 0;
    query_free(query);
    if (status < 0)
        return status;
    if (api->options.hides_slots) {
        api_error_make(error, 501, NULL, "slots are not shown; start the server without --no-slots");
        return -1;
    }
    struct smollm_engine_info engine;
    smollm_engine_get_info(api->engine, &engine);
    struct smollm_slot *slots = calloc(engine.parallel, sizeof *slots);
    if (!slots)
        return api_refuse_memory(error);
    smollm_engine_get_slots(api->engine, slots, engine.parallel);
    bool has_idle = false;
    for (uint32_t i = 0; i < engine.parallel; i++)
        has_idle |= slots[i].state == SMOLLM_SLOT_IDLE;
    if (has_idle || !must_have_idle)
        write_slots(&engine, slots, out);
    else
        api_error_make(error, 503, "no_slot", "no slot is idle");
    free(slots);
    return has_idle || !must_have_idle ? 0 : -1;
}

/* There are none, and none can be loaded. */
int llama_server_list_adapters(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                               struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)error;
    buffer_append_string(out, "[]");
    return 0;
}
