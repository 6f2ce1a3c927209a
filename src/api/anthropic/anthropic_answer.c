/* /v1/messages: message objects, and their events. */
#include "api/anthropic/anthropic.h"
#include "api/core/event_stream.h"

/* Clients send it back with the thinking; nothing here needs it. */
static const char signature[] = "smollm";

/* Members that have no meaning here are null: the published schema requires them all. */
static void write_usage(const struct choice *choice, struct json_writer *writer)
{
    struct smollm_usage usage = choice->usage;
    if (choice->request)
        smollm_request_get_usage(choice->request, &usage);
    json_key(writer, "usage");
    json_begin_object(writer);
    json_key_unsigned(writer, "input_tokens", choice->prompt_tokens - usage.cached_tokens);
    json_key_unsigned(writer, "cache_creation_input_tokens", 0);
    json_key_unsigned(writer, "cache_read_input_tokens", usage.cached_tokens);
    json_key_unsigned(writer, "output_tokens", usage.completion_tokens);
    json_key(writer, "output_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "thinking_tokens", usage.reasoning_tokens);
    json_end_object(writer);
    json_key_nothing(writer, "cache_creation");
    json_key_nothing(writer, "server_tool_use");
    json_key_nothing(writer, "inference_geo");
    json_key_word(writer, "service_tier", "standard");
    json_end_object(writer);
}

static const char *stop_reason(const struct choice *choice)
{
    if (choice->reason == SMOLLM_FINISH_TOOL_CALLS)
        return "tool_use";
    if (choice->reason == SMOLLM_FINISH_LENGTH)
        return "max_tokens";
    return choice->stop.size > 0 ? "stop_sequence" : "end_turn";
}

static void write_stop(const struct choice *choice, struct json_writer *writer)
{
    json_key_word(writer, "stop_reason", stop_reason(choice));
    if (choice->stop.size > 0)
        json_key_text(writer, "stop_sequence", buffer_text(&choice->stop));
    else
        json_key_nothing(writer, "stop_sequence");
    json_key_nothing(writer, "stop_details");
    json_key_nothing(writer, "container");
}

/* The model itself calls, not a program of its own. */
static void write_caller(struct json_writer *writer)
{
    json_key(writer, "caller");
    json_begin_object(writer);
    json_key_word(writer, "type", "direct");
    json_end_object(writer);
}

/* ---- Stream ---- */

static struct json_writer begin_event(struct buffer *out, const char *type)
{
    struct json_writer writer = event_stream_begin(out, type);
    json_begin_object(&writer);
    json_key_word(&writer, "type", type);
    return writer;
}

static void end_event(struct json_writer *writer)
{
    json_end_object(writer);
    event_stream_end(writer);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    struct json_writer writer = begin_event(out, "message_start");
    json_key(&writer, "message");
    json_begin_object(&writer);
    json_key_word(&writer, "id", generation->id);
    json_key_word(&writer, "type", "message");
    json_key_word(&writer, "role", "assistant");
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "content");
    json_begin_array(&writer);
    json_end_array(&writer);
    json_key_nothing(&writer, "stop_reason");
    json_key_nothing(&writer, "stop_sequence");
    json_key_nothing(&writer, "stop_details");
    json_key_nothing(&writer, "container");
    write_usage(choice, &writer);
    json_end_object(&writer);
    end_event(&writer);
}

static struct json_writer begin_delta(const struct choice *choice, const char *type, struct buffer *out)
{
    struct json_writer writer = begin_event(out, "content_block_delta");
    json_key_unsigned(&writer, "index", choice->item_count - 1);
    json_key(&writer, "delta");
    json_begin_object(&writer);
    json_key_word(&writer, "type", type);
    return writer;
}

static void end_delta(struct json_writer *writer)
{
    json_end_object(writer);
    end_event(writer);
}

static void close_block(const struct choice *choice, size_t index, struct buffer *out)
{
    if (choice->items[index].kind == ITEM_THINKING) {
        struct json_writer writer = begin_event(out, "content_block_delta");
        json_key_unsigned(&writer, "index", index);
        json_key(&writer, "delta");
        json_begin_object(&writer);
        json_key_word(&writer, "type", "signature_delta");
        json_key_word(&writer, "signature", signature);
        end_delta(&writer);
    }
    struct json_writer writer = begin_event(out, "content_block_stop");
    json_key_unsigned(&writer, "index", index);
    end_event(&writer);
}

static void open_block(const struct choice *choice, struct buffer *out)
{
    const struct answer_item *item = &choice->items[choice->item_count - 1];
    static const char *const types[] = {[ITEM_THINKING] = "thinking", [ITEM_TEXT] = "text", [ITEM_CALL] = "tool_use"};
    struct json_writer writer = begin_event(out, "content_block_start");
    json_key_unsigned(&writer, "index", choice->item_count - 1);
    json_key(&writer, "content_block");
    json_begin_object(&writer);
    json_key_word(&writer, "type", types[item->kind]);
    if (item->kind == ITEM_THINKING) {
        json_key_word(&writer, "thinking", "");
        json_key_word(&writer, "signature", "");
    } else if (item->kind == ITEM_TEXT) {
        json_key_word(&writer, "text", "");
        json_key_nothing(&writer, "citations");
    } else {
        json_key_text(&writer, "id", buffer_text(&item->id));
        json_key_text(&writer, "name", buffer_text(&item->name));
        json_key(&writer, "input");
        json_begin_object(&writer);
        json_end_object(&writer);
        write_caller(&writer);
    }
    json_end_object(&writer);
    end_event(&writer);
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    static const char *const types[] = {[SMOLLM_EVENT_THINKING] = "thinking_delta",
                                        [SMOLLM_EVENT_TEXT] = "text_delta",
                                        [SMOLLM_EVENT_TOOL_ARGUMENTS] = "input_json_delta"};
    static const char *const keys[] = {[SMOLLM_EVENT_THINKING] = "thinking",
                                       [SMOLLM_EVENT_TEXT] = "text",
                                       [SMOLLM_EVENT_TOOL_ARGUMENTS] = "partial_json"};
    (void)generation;
    if (begins_item && choice->item_count > 1)
        close_block(choice, choice->item_count - 2, out);
    if (begins_item)
        open_block(choice, out);
    if (event->text.size == 0)
        return;
    struct json_writer writer = begin_delta(choice, types[event->type], out);
    json_key_text(&writer, keys[event->type], event->text);
    end_delta(&writer);
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    (void)generation;
    if (choice->item_count > 0)
        close_block(choice, choice->item_count - 1, out);
    struct json_writer writer = begin_event(out, "message_delta");
    json_key(&writer, "delta");
    json_begin_object(&writer);
    write_stop(choice, &writer);
    json_end_object(&writer);
    write_usage(choice, &writer);
    end_event(&writer);
}

static void end(struct generation *generation, struct buffer *out)
{
    (void)generation;
    struct json_writer writer = begin_event(out, "message_stop");
    end_event(&writer);
}

/* ---- Answers that are not streams ---- */

/* The arguments of a call that was cut short are no JSON object. */
static void write_input(const struct buffer *arguments, struct json_writer *writer)
{
    json_t *parsed = json_loadb(arguments->data ? arguments->data : "", arguments->size, JSON_ALLOW_NUL, NULL);
    json_key_ready(writer, "input", json_is_object(parsed) ? buffer_text(arguments) : text_of("{}"));
    json_decref(parsed);
}

static void write_item(const struct answer_item *item, struct json_writer *writer)
{
    json_begin_object(writer);
    if (item->kind == ITEM_THINKING) {
        json_key_word(writer, "type", "thinking");
        json_key_text(writer, "thinking", buffer_text(&item->text));
        json_key_word(writer, "signature", signature);
    } else if (item->kind == ITEM_TEXT) {
        json_key_word(writer, "type", "text");
        json_key_text(writer, "text", buffer_text(&item->text));
        json_key_nothing(writer, "citations");
    } else {
        json_key_word(writer, "type", "tool_use");
        json_key_text(writer, "id", buffer_text(&item->id));
        json_key_text(writer, "name", buffer_text(&item->name));
        write_input(&item->text, writer);
        write_caller(writer);
    }
    json_end_object(writer);
}

static void whole(struct generation *generation, struct buffer *out)
{
    const struct choice *choice = &generation->choices[0];
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "id", generation->id);
    json_key_word(&writer, "type", "message");
    json_key_word(&writer, "role", "assistant");
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "content");
    json_begin_array(&writer);
    for (size_t i = 0; i < choice->item_count; i++)
        write_item(&choice->items[i], &writer);
    json_end_array(&writer);
    write_stop(choice, &writer);
    write_usage(choice, &writer);
    json_end_object(&writer);
}

const struct generation_format anthropic_format = {.protocol = &anthropic_protocol,
                                                   .id_prefix = "msg_",
                                                   .read = anthropic_read,
                                                   .begin = begin,
                                                   .event = stream_event,
                                                   .finish = finish,
                                                   .end = end,
                                                   .whole = whole};
