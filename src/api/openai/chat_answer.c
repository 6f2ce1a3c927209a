/* /v1/chat/completions: chat.completion and chat.completion.chunk objects. */
#include "api/core/event_stream.h"
#include "api/openai/openai.h"
#include "api/shared/answer_parts.h"
#include "api/shared/native_parts.h"

/* ---- Log-probabilities ---- */

/* With "post_sampling_probs" as llama-server writes them. */
static void write_token(const struct generation *generation, const struct smollm_token *token,
                        struct json_writer *writer)
{
    if (generation->request.sampled_logprobs)
        answer_write_native_token(writer, token, true);
    else
        answer_write_logprob(writer, token);
}

static void keep_token(struct generation *generation, struct choice *choice, const struct smollm_token *token)
{
    struct json_writer writer = generation_list(&choice->lists[0]);
    write_token(generation, token, &writer);
}

static void prompt_token(struct generation *generation, struct choice *choice, const struct smollm_token *token,
                         struct buffer *out)
{
    (void)generation, (void)out;
    answer_keep_prompt_logprob(&choice->lists[1], token);
}

/* ---- Stream ---- */

/* Writes a chunk up to the value of delta. */
static struct json_writer begin_chunk(struct generation *generation, const struct choice *choice, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, NULL);
    json_begin_object(&writer);
    openai_write_envelope(generation, "chat.completion.chunk", &writer);
    json_key(&writer, "choices");
    json_begin_array(&writer);
    if (choice) {
        json_begin_object(&writer);
        json_key_number(&writer, "index", choice->index);
        json_key(&writer, "delta");
        json_begin_object(&writer);
    }
    return writer;
}

static void end_choices(struct generation *generation, const struct choice *choice, struct json_writer *writer,
                        const struct smollm_event *event, const char *reason)
{
    json_end_object(writer);
    json_key(writer, "logprobs");
    if (event && event->token_count > 0 && generation->request.logprobs >= 0) {
        json_begin_object(writer);
        json_key(writer, "content");
        json_begin_array(writer);
        for (size_t i = 0; i < event->token_count; i++)
            write_token(generation, &event->tokens[i], writer);
        json_end_array(writer);
        json_end_object(writer);
    } else {
        json_nothing(writer);
    }
    json_key_word(writer, "finish_reason", reason);
    json_end_object(writer);
    json_end_array(writer);
    openai_write_chunk_usage(generation, choice, writer);
}

static void end_chunk(struct generation *generation, const struct choice *choice, struct json_writer *writer,
                      const struct smollm_event *event)
{
    end_choices(generation, choice, writer, event, NULL);
    if (event && generation->request.timings_per_token)
        answer_write_timings_at(&generation->choices[0], event, writer);
    json_end_object(writer);
    event_stream_end(writer);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    struct json_writer writer = begin_chunk(generation, choice, out);
    json_key_word(&writer, "role", "assistant");
    json_key_word(&writer, "content", generation->format == &openai_bare_chat_format ? NULL : "");
    end_chunk(generation, choice, &writer, NULL);
}

static void write_tool_delta(struct json_writer *writer, const struct smollm_event *event)
{
    bool begins = event->type == SMOLLM_EVENT_TOOL_CALL;
    json_key(writer, "tool_calls");
    json_begin_array(writer);
    json_begin_object(writer);
    json_key_number(writer, "index", event->tool.index);
    if (begins) {
        json_key_text(writer, "id", event->tool.id);
        json_key_word(writer, "type", "function");
    }
    json_key(writer, "function");
    json_begin_object(writer);
    if (begins)
        json_key_text(writer, "name", event->tool.name);
    json_key_text(writer, "arguments", begins ? (struct smollm_text){"", 0} : event->text);
    json_end_object(writer);
    json_end_object(writer);
    json_end_array(writer);
}

static void write_progress(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                           struct buffer *out)
{
    struct json_writer writer = begin_chunk(generation, choice, out);
    end_choices(generation, choice, &writer, NULL, NULL);
    answer_write_progress(event, &writer);
    if (generation->request.timings_per_token)
        answer_write_timings_at(choice, event, &writer);
    json_end_object(&writer);
    event_stream_end(&writer);
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    (void)begins_item;
    if (event->type == SMOLLM_EVENT_QUEUED || event->type == SMOLLM_EVENT_PROGRESS) {
        write_progress(generation, choice, event, out);
        return;
    }
    struct json_writer writer = begin_chunk(generation, choice, out);
    if (event->type == SMOLLM_EVENT_TEXT)
        json_key_text(&writer, "content", event->text);
    else if (event->type == SMOLLM_EVENT_THINKING)
        json_key_text(&writer, "reasoning_content", event->text);
    else
        write_tool_delta(&writer, event);
    end_chunk(generation, choice, &writer, event);
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    struct json_writer writer = begin_chunk(generation, choice, out);
    end_choices(generation, choice, &writer, NULL, openai_finish_reason(choice));
    answer_write_verbose(generation, choice, &writer);
    answer_write_timings(choice, &writer);
    json_end_object(&writer);
    event_stream_end(&writer);
}

static void end(struct generation *generation, struct buffer *out)
{
    if (generation->request.include_usage) {
        struct json_writer writer = begin_chunk(generation, NULL, out);
        json_end_array(&writer);
        openai_write_usage(generation, &writer);
        answer_write_timings(&generation->choices[0], &writer);
        json_end_object(&writer);
        event_stream_end(&writer);
    }
    event_stream_text(out, "[DONE]");
}

/* ---- Answers that are not streams ---- */

static void write_calls(const struct choice *choice, struct json_writer *writer)
{
    json_key(writer, "tool_calls");
    json_begin_array(writer);
    for (size_t i = 0; i < choice->item_count; i++) {
        const struct answer_item *item = &choice->items[i];
        if (item->kind != ITEM_CALL)
            continue;
        json_begin_object(writer);
        json_key_text(writer, "id", buffer_text(&item->id));
        json_key_word(writer, "type", "function");
        json_key(writer, "function");
        json_begin_object(writer);
        json_key_text(writer, "name", buffer_text(&item->name));
        json_key_text(writer, "arguments", buffer_text(&item->text));
        json_end_object(writer);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_message(const struct choice *choice, struct json_writer *writer)
{
    struct buffer text = generation_join(choice, ITEM_TEXT), reasoning = generation_join(choice, ITEM_THINKING);
    json_key(writer, "message");
    json_begin_object(writer);
    json_key_word(writer, "role", "assistant");
    if (choice->call_count > 0 && text.size == 0)
        json_key_nothing(writer, "content");
    else
        json_key_text(writer, "content", buffer_text(&text));
    json_key_nothing(writer, "refusal");
    json_key_ready(writer, "annotations", text_of("[]"));
    if (reasoning.size > 0)
        json_key_text(writer, "reasoning_content", buffer_text(&reasoning));
    if (choice->call_count > 0)
        write_calls(choice, writer);
    json_end_object(writer);
    writer->out->failed |= text.failed || reasoning.failed;
    buffer_free(&text);
    buffer_free(&reasoning);
}

static void write_choice(const struct generation *generation, const struct choice *choice, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_number(writer, "index", choice->index);
    write_message(choice, writer);
    json_key(writer, "logprobs");
    if (generation->request.logprobs >= 0) {
        json_begin_object(writer);
        json_key(writer, "content");
        json_begin_array(writer);
        json_ready(writer, buffer_text(&choice->lists[0]));
        json_end_array(writer);
        json_end_object(writer);
    } else {
        json_nothing(writer);
    }
    json_key_word(writer, "finish_reason", openai_finish_reason(choice));
    json_end_object(writer);
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    openai_write_envelope(generation, "chat.completion", &writer);
    json_key(&writer, "choices");
    json_begin_array(&writer);
    for (uint32_t i = 0; i < generation->choice_count; i++)
        write_choice(generation, &generation->choices[i], &writer);
    json_end_array(&writer);
    openai_write_usage(generation, &writer);
    answer_write_timings(&generation->choices[0], &writer);
    answer_write_prompt_logprobs(generation, &generation->choices[0].lists[1], &writer);
    answer_write_verbose(generation, &generation->choices[0], &writer);
    json_end_object(&writer);
}

#define CHAT_FORMAT(own_protocol)                                                                                      \
    {                                                                                                                  \
        .protocol = &(own_protocol), .id_prefix = "chatcmpl-", .read = openai_read_chat, .begin = begin,               \
        .event = stream_event, .finish = finish, .end = end, .keep_token = keep_token, .prompt_token = prompt_token,   \
        .whole = whole                                                                                                 \
    }
const struct generation_format openai_chat_format = CHAT_FORMAT(openai_protocol);
const struct generation_format openai_bare_chat_format = CHAT_FORMAT(openai_bare_protocol);
