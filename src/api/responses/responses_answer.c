/* /v1/responses: the events of a stream, and the whole answer. */
#include "api/core/event_stream.h"
#include "api/responses/responses.h"
#include "api/shared/answer_parts.h"

/* ---- Log-probabilities ---- */

static void keep_token(struct generation *generation, struct choice *choice, const struct smollm_token *token)
{
    (void)generation;
    struct json_writer writer = generation_list(&choice->lists[0]);
    answer_write_logprob(&writer, token);
}

/* ---- Events ---- */

static struct json_writer begin_event(struct generation *generation, const char *type, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, type);
    json_begin_object(&writer);
    json_key_word(&writer, "type", type);
    json_key_unsigned(&writer, "sequence_number", generation->events++);
    return writer;
}

static void end_event(struct json_writer *writer)
{
    json_end_object(writer);
    event_stream_end(writer);
}

static void write_response_event(struct generation *generation, const char *type, const char *status,
                                 struct buffer *out)
{
    const struct choice *choice = &generation->choices[0];
    struct json_writer writer = begin_event(generation, type, out);
    json_key(&writer, "response");
    responses_write_object(generation, choice->done ? choice->item_count : 0, status, &writer);
    if (choice->done)
        answer_write_timings(choice, &writer);
    end_event(&writer);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    (void)choice;
    write_response_event(generation, "response.created", "in_progress", out);
    write_response_event(generation, "response.in_progress", "in_progress", out);
}

static void write_item_event(struct generation *generation, size_t index, const char *type, const char *status,
                             struct buffer *out)
{
    struct json_writer writer = begin_event(generation, type, out);
    json_key_unsigned(&writer, "output_index", index);
    json_key(&writer, "item");
    responses_write_item(generation, index, status, &writer);
    end_event(&writer);
}

/* An event about the content of an item, up to its own members. */
static struct json_writer begin_content(struct generation *generation, size_t index, const char *type,
                                        const char *part_index, struct buffer *out)
{
    struct json_writer writer = begin_event(generation, type, out);
    json_key_word(&writer, "item_id", responses_item_id(generation, index).text);
    json_key_unsigned(&writer, "output_index", index);
    if (part_index)
        json_key_unsigned(&writer, part_index, 0);
    return writer;
}

static void write_part_event(struct generation *generation, size_t index, const char *type, const char *part_index,
                             const char *part_type, struct smollm_text text, struct buffer *out)
{
    struct json_writer writer = begin_content(generation, index, type, part_index, out);
    json_key(&writer, "part");
    json_begin_object(&writer);
    json_key_word(&writer, "type", part_type);
    json_key_text(&writer, "text", text);
    if (generation->choices[0].items[index].kind == ITEM_TEXT) {
        json_key_ready(&writer, "annotations", text_of("[]"));
        json_key_ready(&writer, "logprobs", text_of("[]"));
    }
    json_end_object(&writer);
    end_event(&writer);
}

static void open_item(struct generation *generation, size_t index, struct buffer *out)
{
    static const char *const parts[] = {[ITEM_THINKING] = "reasoning_text", [ITEM_TEXT] = "output_text"};
    const enum item_kind kind = generation->choices[0].items[index].kind;
    write_item_event(generation, index, "response.output_item.added", "in_progress", out);
    if (kind != ITEM_CALL)
        write_part_event(generation, index, "response.content_part.added", "content_index", parts[kind],
                         (struct smollm_text){"", 0}, out);
}

static void write_done(struct generation *generation, size_t index, const char *type, const char *part_index,
                       const char *key, struct buffer *out)
{
    struct json_writer writer = begin_content(generation, index, type, part_index, out);
    const struct answer_item *item = &generation->choices[0].items[index];
    if (item->kind == ITEM_CALL)
        json_key_text(&writer, "name", buffer_text(&item->name));
    json_key_text(&writer, key, buffer_text(&item->text));
    if (item->kind == ITEM_TEXT)
        json_key_ready(&writer, "logprobs", text_of("[]"));
    end_event(&writer);
}

/* The reasoning once more as its summary, for clients that show only that. */
static void write_summary(struct generation *generation, size_t index, struct smollm_text text, struct buffer *out)
{
    write_part_event(generation, index, "response.reasoning_summary_part.added", "summary_index", "summary_text",
                     (struct smollm_text){"", 0}, out);
    struct json_writer writer =
        begin_content(generation, index, "response.reasoning_summary_text.delta", "summary_index", out);
    json_key_text(&writer, "delta", text);
    end_event(&writer);
    write_done(generation, index, "response.reasoning_summary_text.done", "summary_index", "text", out);
    write_part_event(generation, index, "response.reasoning_summary_part.done", "summary_index", "summary_text", text,
                     out);
}

static void close_item(struct generation *generation, size_t index, const char *status, struct buffer *out)
{
    const struct answer_item *item = &generation->choices[0].items[index];
    const struct responses_request *own = generation->request.own;
    const struct smollm_text text = buffer_text(&item->text);
    if (item->kind == ITEM_CALL) {
        write_done(generation, index, "response.function_call_arguments.done", NULL, "arguments", out);
    } else if (item->kind == ITEM_TEXT) {
        write_done(generation, index, "response.output_text.done", "content_index", "text", out);
        write_part_event(generation, index, "response.content_part.done", "content_index", "output_text", text, out);
    } else {
        write_done(generation, index, "response.reasoning_text.done", "content_index", "text", out);
        write_part_event(generation, index, "response.content_part.done", "content_index", "reasoning_text", text, out);
        if (own->has_summary)
            write_summary(generation, index, text, out);
    }
    write_item_event(generation, index, "response.output_item.done", status, out);
}

/* llama-server's: how much of the prompt has been read. */
static void write_progress(struct generation *generation, const struct smollm_event *event, struct buffer *out)
{
    struct json_writer writer = begin_event(generation, "response.in_progress", out);
    json_key(&writer, "response");
    responses_write_object(generation, 0, "in_progress", &writer);
    answer_write_progress(event, &writer);
    end_event(&writer);
}

static void write_delta(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                        struct buffer *out)
{
    static const char *const types[] = {[SMOLLM_EVENT_THINKING] = "response.reasoning_text.delta",
                                        [SMOLLM_EVENT_TEXT] = "response.output_text.delta",
                                        [SMOLLM_EVENT_TOOL_ARGUMENTS] = "response.function_call_arguments.delta"};
    struct json_writer writer = begin_content(generation, choice->item_count - 1, types[event->type],
                                              event->type == SMOLLM_EVENT_TOOL_ARGUMENTS ? NULL : "content_index", out);
    json_key_text(&writer, "delta", event->text);
    if (event->type == SMOLLM_EVENT_TEXT) {
        json_key(&writer, "logprobs");
        json_begin_array(&writer);
        for (size_t i = 0; i < event->token_count; i++) {
            answer_write_logprob(&writer, &event->tokens[i]);
            keep_token(generation, choice, &event->tokens[i]);
        }
        json_end_array(&writer);
    }
    if (generation->request.timings_per_token)
        answer_write_timings_at(choice, event, &writer);
    end_event(&writer);
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    if (event->type == SMOLLM_EVENT_QUEUED || event->type == SMOLLM_EVENT_PROGRESS) {
        write_progress(generation, event, out);
        return;
    }
    if (begins_item && choice->item_count > 1)
        close_item(generation, choice->item_count - 2, "completed", out);
    if (begins_item)
        open_item(generation, choice->item_count - 1, out);
    if (event->text.size > 0)
        write_delta(generation, choice, event, out);
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    if (choice->item_count > 0)
        close_item(generation, choice->item_count - 1, responses_status(generation), out);
}

static void end(struct generation *generation, struct buffer *out)
{
    const struct responses_request *own = generation->request.own;
    const char *status = responses_status(generation);
    /* llama-server knows no incomplete responses, and its clients wait for completed ones. */
    const bool is_complete = status[0] == 'c' || own->is_bare;
    write_response_event(generation, is_complete ? "response.completed" : "response.incomplete", status, out);
    responses_keep(generation);
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    responses_write_object(generation, generation->choices[0].item_count, responses_status(generation), &writer);
    responses_keep(generation);
}

const struct generation_format responses_format = {.protocol = &responses_protocol,
                                                   .id_prefix = "resp_",
                                                   .keeps_items = true,
                                                   .read = responses_read,
                                                   .begin = begin,
                                                   .event = stream_event,
                                                   .finish = finish,
                                                   .end = end,
                                                   .keep_token = keep_token,
                                                   .whole = whole};
