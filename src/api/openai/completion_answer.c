/* /v1/completions: text_completion objects, whole and as chunks, which have the same form. */
#include "api/core/event_stream.h"
#include "api/openai/openai.h"
#include "api/shared/answer_parts.h"
#include "base/utf8.h"

/* The four arrays of "logprobs", and that of "prompt_logprobs". */
enum list { TOKENS, TOKEN_LOGPROBS, TOP_LOGPROBS, TEXT_OFFSETS, LOGPROB_LISTS, PROMPT_LOGPROBS = LOGPROB_LISTS };

static size_t characters(struct smollm_text text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* A token that is a part of a character is shown as OpenAI shows it, "bytes:\xe2\x82": with U+FFFD, two of them would
 * have the same name in one object. */
static void write_token(struct json_writer *writer, struct smollm_text bytes)
{
    if (utf8_is_valid(bytes.data, bytes.size)) {
        json_text(writer, bytes);
        return;
    }
    struct buffer text = {0};
    buffer_append_string(&text, "bytes:");
    for (size_t i = 0; i < bytes.size; i++)
        buffer_printf(&text, "\\x%02x", (unsigned char)bytes.data[i]);
    json_text(writer, buffer_text(&text));
    writer->out->failed |= text.failed;
    buffer_free(&text);
}

static bool is_among(const struct smollm_token *token, size_t before)
{
    for (size_t i = 0; i < before; i++)
        if (text_equal(token->top[i].bytes, token->top[before].bytes))
            return true;
    return false;
}

/* An object from texts to numbers: two tokens of the same text count once, the likelier one. */
static void write_top(struct json_writer *writer, const struct smollm_token *token)
{
    json_begin_object(writer);
    for (size_t i = 0; i < token->top_count; i++) {
        if (is_among(token, i))
            continue;
        write_token(writer, token->top[i].bytes);
        buffer_append_char(writer->out, ':');
        writer->needs_comma = false;
        json_decimal(writer, answer_logprob(token->top[i].logprob));
    }
    json_end_object(writer);
}

static void keep_token(struct generation *generation, struct choice *choice, const struct smollm_token *token)
{
    struct json_writer writer = generation_list(&choice->lists[TOKENS]);
    write_token(&writer, token->chosen.bytes);
    writer = generation_list(&choice->lists[TOKEN_LOGPROBS]);
    json_decimal(&writer, answer_logprob(token->chosen.logprob));
    writer = generation_list(&choice->lists[TOP_LOGPROBS]);
    write_top(&writer, token);
    writer = generation_list(&choice->lists[TEXT_OFFSETS]);
    json_unsigned(&writer, choice->text_offset);
    choice->text_offset += characters(token->chosen.bytes);
}

/* The first token of a prompt follows nothing: it has no log-probability. */
static void keep_first_token(struct generation *generation, struct choice *choice)
{
    const struct generation_request *request = &generation->request;
    const struct generation_prompt *prompt = &request->prompts[choice->index / (uint32_t)request->answers];
    struct smollm_text text = {0};
    if (prompt->token_count == 0 || smollm_detokenize(generation->api->model, prompt->tokens, 1, &text, NULL) < 0)
        return;
    struct json_writer writer = generation_list(&choice->lists[TOKENS]);
    write_token(&writer, text);
    for (int i = TOKEN_LOGPROBS; i <= TOP_LOGPROBS; i++) {
        writer = generation_list(&choice->lists[i]);
        json_nothing(&writer);
    }
    writer = generation_list(&choice->lists[TEXT_OFFSETS]);
    json_unsigned(&writer, choice->text_offset);
    choice->text_offset += characters(text);
    smollm_free((void *)(uintptr_t)text.data);
}

/* With echo the tokens of the prompt stand before those of the answer; vLLM's prompt_logprobs have a list of their own.
 */
static void prompt_token(struct generation *generation, struct choice *choice, const struct smollm_token *token,
                         struct buffer *out)
{
    (void)out;
    if (generation->request.echo && generation->request.logprobs >= 0) {
        if (choice->lists[TOKENS].size == 0)
            keep_first_token(generation, choice);
        keep_token(generation, choice, token);
    }
    answer_keep_prompt_logprob(&choice->lists[PROMPT_LOGPROBS], token);
}

static void write_logprobs(const struct generation *generation, const struct choice *choice, struct json_writer *writer)
{
    static const char *const names[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
    json_key(writer, "logprobs");
    if (generation->request.logprobs < 0) {
        json_nothing(writer);
        return;
    }
    json_begin_object(writer);
    for (int i = 0; i < LOGPROB_LISTS; i++) {
        json_key(writer, names[i]);
        json_begin_array(writer);
        if (choice->lists[i].size > 0)
            json_ready(writer, buffer_text(&choice->lists[i]));
        json_end_array(writer);
    }
    json_end_object(writer);
}

static struct json_writer begin_chunk(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, NULL);
    json_begin_object(&writer);
    openai_write_envelope(generation, "text_completion", &writer);
    json_key(&writer, "choices");
    json_begin_array(&writer);
    return writer;
}

static void end_chunk(struct json_writer *writer)
{
    json_end_object(writer);
    event_stream_end(writer);
}

/* A chunk's choice and what follows the array of choices. */
static void write_piece(struct generation *generation, struct choice *choice, struct smollm_text text,
                        const char *reason, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_number(writer, "index", choice->index);
    json_key_text(writer, "text", text);
    write_logprobs(generation, choice, writer);
    json_key_word(writer, "finish_reason", reason);
    json_end_object(writer);
    json_end_array(writer);
    openai_write_chunk_usage(generation, choice, writer);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    if (!generation->request.echo)
        return;
    struct json_writer writer = begin_chunk(generation, out);
    write_piece(generation, choice, choice->prompt, NULL, &writer);
    end_chunk(&writer);
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    (void)begins_item;
    struct json_writer writer = begin_chunk(generation, out);
    /* The first piece carries what was kept of the prompt. */
    for (int i = 0; i < LOGPROB_LISTS && choice->tokens > 0; i++)
        buffer_clear(&choice->lists[i]);
    for (size_t i = 0; i < event->token_count; i++)
        keep_token(generation, choice, &event->tokens[i]);
    write_piece(generation, choice, event->text, NULL, &writer);
    answer_write_progress(event, &writer);
    if (generation->request.timings_per_token)
        answer_write_timings_at(choice, event, &writer);
    end_chunk(&writer);
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    struct json_writer writer = begin_chunk(generation, out);
    for (int i = 0; i < LOGPROB_LISTS && choice->tokens > 0; i++)
        buffer_clear(&choice->lists[i]);
    write_piece(generation, choice, (struct smollm_text){"", 0}, openai_finish_reason(choice), &writer);
    answer_write_timings(choice, &writer);
    end_chunk(&writer);
}

static void end(struct generation *generation, struct buffer *out)
{
    if (generation->request.include_usage) {
        struct json_writer writer = begin_chunk(generation, out);
        json_end_array(&writer);
        openai_write_usage(generation, &writer);
        answer_write_timings(&generation->choices[0], &writer);
        end_chunk(&writer);
    }
    event_stream_text(out, "[DONE]");
}

static void whole(struct generation *generation, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    openai_write_envelope(generation, "text_completion", &writer);
    json_key(&writer, "choices");
    json_begin_array(&writer);
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        struct choice *choice = &generation->choices[i];
        struct buffer echoed = {0}, answer = generation_join(choice, ITEM_TEXT);
        buffer_append_text(&echoed, choice->prompt);
        buffer_append_text(&echoed, buffer_text(&answer));
        echoed.failed |= answer.failed;
        buffer_free(&answer);
        if (echoed.failed)
            out->failed = true;
        json_begin_object(&writer);
        json_key_number(&writer, "index", choice->index);
        json_key_text(&writer, "text", buffer_text(&echoed));
        write_logprobs(generation, choice, &writer);
        json_key_word(&writer, "finish_reason", openai_finish_reason(choice));
        answer_write_prompt_logprobs(generation, &choice->lists[PROMPT_LOGPROBS], &writer);
        json_end_object(&writer);
        buffer_free(&echoed);
    }
    json_end_array(&writer);
    openai_write_usage(generation, &writer);
    answer_write_timings(&generation->choices[0], &writer);
    json_end_object(&writer);
}

const struct generation_format openai_completion_format = {.protocol = &openai_protocol,
                                                           .id_prefix = "cmpl-",
                                                           .read = openai_read_completion,
                                                           .begin = begin,
                                                           .event = stream_event,
                                                           .finish = finish,
                                                           .end = end,
                                                           .keep_token = keep_token,
                                                           .prompt_token = prompt_token,
                                                           .whole = whole};
