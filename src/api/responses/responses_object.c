/* The response object and its items. */
#include "api/openai/openai.h"
#include "api/responses/responses.h"

#include <string.h>

const char *responses_status(const struct generation *generation)
{
    return generation->choices[0].reason == SMOLLM_FINISH_LENGTH ? "incomplete" : "completed";
}

struct responses_id responses_item_id(const struct generation *generation, size_t index)
{
    static const char *const prefixes[] = {[ITEM_THINKING] = "rs", [ITEM_TEXT] = "msg", [ITEM_CALL] = "fc"};
    const char *random = strchr(generation->id, '_');
    struct responses_id id;
    snprintf(id.text, sizeof id.text, "%s_%s%02zx", prefixes[generation->choices[0].items[index].kind],
             random ? random + 1 : generation->id, index);
    return id;
}

/* ---- Items ---- */

static void write_part(const char *type, struct smollm_text text, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_word(writer, "type", type);
    json_key_text(writer, "text", text);
    json_end_object(writer);
}

static void write_list_of_part(const char *key, const char *type, struct smollm_text text, struct json_writer *writer)
{
    json_key(writer, key);
    json_begin_array(writer);
    if (text.size > 0)
        write_part(type, text, writer);
    json_end_array(writer);
}

static void write_reasoning(const struct generation *generation, struct smollm_text text, struct json_writer *writer)
{
    const struct responses_request *own = generation->request.own;
    write_list_of_part("summary", "summary_text", own->has_summary ? text : (struct smollm_text){0}, writer);
    write_list_of_part("content", "reasoning_text", text, writer);
    json_key_nothing(writer, "encrypted_content");
}

static void write_message(const struct generation *generation, size_t index, struct smollm_text text, bool is_added,
                          struct json_writer *writer)
{
    const struct choice *choice = &generation->choices[0];
    json_key_word(writer, "role", "assistant");
    json_key(writer, "content");
    json_begin_array(writer);
    if (!is_added) {
        json_begin_object(writer);
        json_key_word(writer, "type", "output_text");
        json_key_text(writer, "text", text);
        json_key(writer, "annotations");
        json_begin_array(writer);
        json_end_array(writer);
        json_key(writer, "logprobs");
        json_begin_array(writer);
        if (generation->request.logprobs >= 0 && choice->lists[0].size > 0 && index + 1 == choice->item_count)
            json_ready(writer, buffer_text(&choice->lists[0]));
        json_end_array(writer);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_call(const struct generation *generation, const struct answer_item *item,
                       struct smollm_text arguments, struct json_writer *writer)
{
    const struct responses_request *own = generation->request.own;
    json_key_text(writer, "call_id", buffer_text(&item->id));
    json_key_text(writer, "name", buffer_text(&item->name));
    json_key_text(writer, "arguments", arguments);
    for (size_t i = 0; i < own->namespace_count; i++) {
        if (!text_equal(own->namespaces[i].function, buffer_text(&item->name)))
            continue;
        json_key_text(writer, "namespace", own->namespaces[i].name);
        break;
    }
}

void responses_write_item(const struct generation *generation, size_t index, const char *status,
                          struct json_writer *writer)
{
    static const char *const types[] = {
        [ITEM_THINKING] = "reasoning", [ITEM_TEXT] = "message", [ITEM_CALL] = "function_call"};
    const struct answer_item *item = &generation->choices[0].items[index];
    const bool is_added = strcmp(status, "in_progress") == 0;
    const struct smollm_text text = is_added ? (struct smollm_text){"", 0} : buffer_text(&item->text);
    json_begin_object(writer);
    json_key_word(writer, "id", responses_item_id(generation, index).text);
    json_key_word(writer, "type", types[item->kind]);
    json_key_word(writer, "status", status);
    if (item->kind == ITEM_THINKING)
        write_reasoning(generation, text, writer);
    else if (item->kind == ITEM_TEXT)
        write_message(generation, index, text, is_added, writer);
    else
        write_call(generation, item, text, writer);
    json_end_object(writer);
}

/* ---- Response ---- */

static void write_usage(const struct generation *generation, struct json_writer *writer)
{
    const struct generation_totals totals = generation_total(generation);
    json_key(writer, "usage");
    json_begin_object(writer);
    json_key_unsigned(writer, "input_tokens", totals.prompt);
    json_key(writer, "input_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "cached_tokens", totals.cached);
    json_end_object(writer);
    json_key_unsigned(writer, "output_tokens", totals.completion);
    json_key(writer, "output_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "reasoning_tokens", totals.reasoning);
    json_end_object(writer);
    json_key_unsigned(writer, "total_tokens", totals.prompt + totals.completion);
    json_end_object(writer);
}

/* JSON as it was sent, or a default. */
static void write_repeated(const char *key, struct smollm_text sent, const char *otherwise, struct json_writer *writer)
{
    json_key_ready(writer, key, sent.size > 0 ? sent : text_of(otherwise));
}

static void write_text_or_null(const char *key, struct smollm_text text, struct json_writer *writer)
{
    if (text.data)
        json_key_text(writer, key, text);
    else
        json_key_nothing(writer, key);
}

static void write_number_or_null(const char *key, int64_t value, struct json_writer *writer)
{
    if (value >= 0)
        json_key_number(writer, key, value);
    else
        json_key_nothing(writer, key);
}

static void write_settings(const struct generation *generation, struct json_writer *writer)
{
    const struct generation_request *request = &generation->request;
    const struct responses_request *own = request->own;
    write_text_or_null("instructions", own->instructions, writer);
    write_number_or_null("max_output_tokens", own->max_output_tokens, writer);
    write_number_or_null("max_tool_calls", own->max_tool_calls, writer);
    write_text_or_null("previous_response_id", own->previous, writer);
    json_key_truth(writer, "parallel_tool_calls", request->parallel_tool_calls);
    write_repeated("tool_choice", own->tool_choice, "\"auto\"", writer);
    write_repeated("tools", own->tools, "[]", writer);
    json_key(writer, "text");
    json_begin_object(writer);
    write_repeated("format", own->format, "{\"type\":\"text\"}", writer);
    json_end_object(writer);
    json_key(writer, "reasoning");
    json_begin_object(writer);
    write_repeated("effort", own->effort, "null", writer);
    write_repeated("summary", own->summary, "null", writer);
    json_end_object(writer);
    json_key_decimal(writer, "temperature", request->temperature);
    json_key_decimal(writer, "top_p", request->top_p);
    json_key_decimal(writer, "presence_penalty", request->presence_penalty);
    json_key_decimal(writer, "frequency_penalty", request->frequency_penalty);
    json_key_number(writer, "top_logprobs", own->top_logprobs > 0 ? own->top_logprobs : 0);
    json_key_word(writer, "truncation", "disabled");
    json_key_truth(writer, "store", own->keeps);
    json_key_truth(writer, "background", false);
    json_key_word(writer, "service_tier", "default");
    write_repeated("metadata", own->metadata, "{}", writer);
    write_repeated("prompt_cache_key", own->cache_key, "null", writer);
    write_repeated("safety_identifier", own->user, "null", writer);
}

static void write_problem(const struct generation *generation, const char *status, struct json_writer *writer)
{
    json_key(writer, "error");
    if (strcmp(status, "failed") == 0) {
        json_begin_object(writer);
        json_key_word(writer, "code", generation->error.code ? generation->error.code : "server_error");
        json_key_word(writer, "message", generation->error.message);
        json_end_object(writer);
    } else {
        json_nothing(writer);
    }
    json_key(writer, "incomplete_details");
    if (strcmp(status, "incomplete") == 0) {
        json_begin_object(writer);
        json_key_word(writer, "reason", "max_output_tokens");
        json_end_object(writer);
    } else {
        json_nothing(writer);
    }
}

void responses_write_object(const struct generation *generation, size_t items, const char *status,
                            struct json_writer *writer)
{
    const bool is_over = strcmp(status, "in_progress") != 0;
    json_begin_object(writer);
    json_key_word(writer, "id", generation->id);
    json_key_word(writer, "object", "response");
    json_key_number(writer, "created_at", generation->created);
    if (strcmp(status, "completed") == 0)
        json_key_number(writer, "completed_at", time(NULL));
    else
        json_key_nothing(writer, "completed_at");
    json_key_word(writer, "status", status);
    write_problem(generation, status, writer);
    json_key_word(writer, "model", generation->request.model);
    json_key(writer, "output");
    json_begin_array(writer);
    for (size_t i = 0; i < items; i++)
        responses_write_item(generation, i,
                             i + 1 < items ? "completed"
                             : is_over     ? responses_status(generation)
                                           : status,
                             writer);
    json_end_array(writer);
    write_settings(generation, writer);
    if (is_over)
        write_usage(generation, writer);
    else
        json_key_nothing(writer, "usage");
    json_end_object(writer);
}
