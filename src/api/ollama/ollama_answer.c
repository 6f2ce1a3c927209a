/* /api/chat and /api/generate: lines of a stream, and whole answers, which have the form of a last line. */
#include "api/core/time_text.h"
#include "api/ollama/ollama.h"
#include "api/shared/answer_parts.h"

enum list { LOGPROBS, IDS };

static bool is_chat(const struct generation *generation)
{
    return generation->format == &ollama_chat_format;
}

static struct json_writer begin_line(const struct generation *generation, struct buffer *out)
{
    const struct ollama_request *own = generation->request.own;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_text(&writer, "model", own->model);
    json_key_word(&writer, "created_at", time_text_now().text);
    return writer;
}

static void end_line(struct json_writer *writer, bool is_stream)
{
    json_end_object(writer);
    if (is_stream)
        buffer_append_char(writer->out, '\n');
}

/* The arguments of a call are an object; of one that was cut short, an empty one. */
static void write_call(const struct answer_item *item, size_t index, struct json_writer *writer)
{
    json_t *parsed = json_loadb(item->text.data ? item->text.data : "", item->text.size, JSON_ALLOW_NUL, NULL);
    json_begin_object(writer);
    json_key_text(writer, "id", buffer_text(&item->id));
    json_key(writer, "function");
    json_begin_object(writer);
    json_key_unsigned(writer, "index", index);
    json_key_text(writer, "name", buffer_text(&item->name));
    json_key_ready(writer, "arguments", json_is_object(parsed) ? buffer_text(&item->text) : text_of("{}"));
    json_end_object(writer);
    json_end_object(writer);
    json_decref(parsed);
}

/* "message" of a chat, or the same beside it. NULL texts are left out; calls: those from `first` on. */
static void write_content(const struct generation *generation, const struct choice *choice, struct smollm_text text,
                          struct smollm_text thinking, size_t first, size_t end, struct json_writer *writer)
{
    const struct ollama_request *own = generation->request.own;
    if (is_chat(generation)) {
        json_key(writer, "message");
        json_begin_object(writer);
        json_key_word(writer, "role", "assistant");
    }
    json_key_text(writer, is_chat(generation) ? "content" : "response", text);
    if (thinking.size > 0 && own->shows_thinking)
        json_key_text(writer, "thinking", thinking);
    bool has_calls = false;
    for (size_t i = first, call = 0; i < end; i++) {
        if (choice->items[i].kind != ITEM_CALL)
            continue;
        if (!has_calls) {
            json_key(writer, "tool_calls");
            json_begin_array(writer);
        }
        has_calls = true;
        write_call(&choice->items[i], call++, writer);
    }
    if (has_calls)
        json_end_array(writer);
    if (is_chat(generation))
        json_end_object(writer);
}

static void keep_token(struct generation *generation, struct choice *choice, const struct smollm_token *token)
{
    struct json_writer writer = generation_list(&choice->lists[LOGPROBS]);
    if (generation->request.logprobs >= 0)
        answer_write_logprob(&writer, token);
    writer = generation_list(&choice->lists[IDS]);
    json_number(&writer, token->chosen.token);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    (void)generation;
    (void)choice;
    (void)out;
}

/* Ends with a call once it is complete: clients take calls as a whole. */
static void write_calls_before(struct generation *generation, struct choice *choice, size_t end, struct buffer *out)
{
    if (end == 0 || choice->items[end - 1].kind != ITEM_CALL)
        return;
    struct json_writer writer = begin_line(generation, out);
    write_content(generation, choice, (struct smollm_text){"", 0}, (struct smollm_text){0}, end - 1, end, &writer);
    json_key_truth(&writer, "done", false);
    end_line(&writer, true);
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    const struct ollama_request *own = generation->request.own;
    const bool is_text = event->type == SMOLLM_EVENT_TEXT, is_thinking = event->type == SMOLLM_EVENT_THINKING;
    for (size_t i = 0; i < event->token_count && own->prompt; i++) {
        struct json_writer ids = generation_list(&choice->lists[IDS]);
        json_number(&ids, event->tokens[i].chosen.token);
    }
    if (begins_item)
        write_calls_before(generation, choice, choice->item_count - 1, out);
    if ((!is_text && !is_thinking) || (is_thinking && !own->shows_thinking) ||
        (event->text.size == 0 && (event->token_count == 0 || generation->request.logprobs < 0)))
        return;
    const struct smollm_text none = {"", 0};
    struct json_writer writer = begin_line(generation, out);
    write_content(generation, choice, is_text ? event->text : none, is_thinking ? event->text : none, 0, 0, &writer);
    json_key_truth(&writer, "done", false);
    if (generation->request.logprobs >= 0 && event->token_count > 0) {
        json_key(&writer, "logprobs");
        json_begin_array(&writer);
        for (size_t i = 0; i < event->token_count; i++)
            answer_write_logprob(&writer, &event->tokens[i]);
        json_end_array(&writer);
    }
    end_line(&writer, true);
}

static uint64_t nanoseconds(double milliseconds)
{
    return milliseconds > 0 ? (uint64_t)(milliseconds * 1e6) : 0;
}

/* All tokens so far: a later request may go on from them. */
static void write_context(const struct ollama_request *own, const struct choice *choice, struct json_writer *writer)
{
    json_key(writer, "context");
    json_begin_array(writer);
    for (size_t i = 0; i < own->prompt_count; i++)
        json_number(writer, own->prompt[i]);
    if (choice->lists[IDS].size > 0)
        json_ready(writer, buffer_text(&choice->lists[IDS]));
    json_end_array(writer);
}

static void write_end(const struct generation *generation, const struct choice *choice, struct json_writer *writer)
{
    const struct ollama_request *own = generation->request.own;
    const struct smollm_usage *u = &choice->usage;
    json_key_truth(writer, "done", true);
    json_key_word(writer, "done_reason",
                  own->is_load                             ? (own->is_unload ? "unload" : "load")
                  : choice->reason == SMOLLM_FINISH_LENGTH ? "length"
                                                           : "stop");
    if (own->is_load)
        return;
    if (own->prompt)
        write_context(own, choice, writer);
    json_key_unsigned(writer, "total_duration", nanoseconds(u->queue_ms + u->prompt_ms + u->predict_ms));
    json_key_unsigned(writer, "load_duration", nanoseconds(u->queue_ms));
    json_key_unsigned(writer, "prompt_eval_count", u->prompt_tokens);
    json_key_unsigned(writer, "prompt_eval_duration", nanoseconds(u->prompt_ms));
    json_key_unsigned(writer, "eval_count", u->completion_tokens);
    json_key_unsigned(writer, "eval_duration", nanoseconds(u->predict_ms));
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    write_calls_before(generation, choice, choice->item_count, out);
    struct json_writer writer = begin_line(generation, out);
    write_content(generation, choice, (struct smollm_text){"", 0}, (struct smollm_text){0}, 0, 0, &writer);
    write_end(generation, choice, &writer);
    end_line(&writer, true);
}

static void end(struct generation *generation, struct buffer *out)
{
    (void)generation;
    (void)out;
}

static void whole(struct generation *generation, struct buffer *out)
{
    const struct choice *choice = &generation->choices[0];
    struct buffer text = generation_join(choice, ITEM_TEXT), thinking = generation_join(choice, ITEM_THINKING);
    struct json_writer writer = begin_line(generation, out);
    const struct smollm_text shown = text.data ? buffer_text(&text) : (struct smollm_text){"", 0};
    write_content(generation, choice, shown, buffer_text(&thinking), 0, choice->item_count, &writer);
    write_end(generation, choice, &writer);
    if (generation->request.logprobs >= 0) {
        json_key(&writer, "logprobs");
        json_begin_array(&writer);
        if (choice->lists[LOGPROBS].size > 0)
            json_ready(&writer, buffer_text(&choice->lists[LOGPROBS]));
        json_end_array(&writer);
    }
    end_line(&writer, false);
    out->failed |= text.failed || thinking.failed;
    buffer_free(&text);
    buffer_free(&thinking);
}

const struct generation_format ollama_chat_format = {.protocol = &ollama_protocol,
                                                     .id_prefix = "chat_",
                                                     .keeps_items = true,
                                                     .read = ollama_read_chat,
                                                     .begin = begin,
                                                     .event = stream_event,
                                                     .finish = finish,
                                                     .end = end,
                                                     .keep_token = keep_token,
                                                     .whole = whole};
const struct generation_format ollama_generate_format = {.protocol = &ollama_protocol,
                                                         .id_prefix = "gen_",
                                                         .keeps_items = true,
                                                         .read = ollama_read_generate,
                                                         .begin = begin,
                                                         .event = stream_event,
                                                         .finish = finish,
                                                         .end = end,
                                                         .keep_token = keep_token,
                                                         .whole = whole};
