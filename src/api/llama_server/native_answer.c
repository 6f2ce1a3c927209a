/* /completion: what llama-server's own clients read. */
#include "api/core/event_stream.h"
#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"
#include "api/shared/answer_parts.h"
#include "api/shared/native_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum list { IDS, PROBABILITIES };

static void keep_token(struct generation *generation, struct choice *choice, const struct smollm_token *token)
{
    struct json_writer writer = generation_list(&choice->lists[IDS]);
    json_number(&writer, token->chosen.token);
    writer = generation_list(&choice->lists[PROBABILITIES]);
    answer_write_native_token(&writer, token, generation->request.sampled_logprobs);
}

static void write_list(struct json_writer *writer, const char *key, const struct buffer *list)
{
    json_key(writer, key);
    json_begin_array(writer);
    if (list->size > 0)
        json_ready(writer, buffer_text(list));
    json_end_array(writer);
}

static void begin(struct generation *generation, struct choice *choice, struct buffer *out)
{
    (void)generation;
    (void)choice;
    (void)out;
}

static void stream_event(struct generation *generation, struct choice *choice, const struct smollm_event *event,
                         bool begins_item, struct buffer *out)
{
    (void)begins_item;
    struct json_writer writer = event_stream_begin(out, NULL);
    for (int i = 0; i < GENERATION_LISTS; i++)
        buffer_clear(&choice->lists[i]);
    for (size_t i = 0; i < event->token_count; i++)
        keep_token(generation, choice, &event->tokens[i]);
    json_begin_object(&writer);
    json_key_number(&writer, "index", choice->index);
    json_key_text(&writer, "content", event->text);
    write_list(&writer, "tokens", &choice->lists[IDS]);
    json_key_truth(&writer, "stop", false);
    json_key_number(&writer, "id_slot", -1);
    json_key_unsigned(&writer, "tokens_predicted", choice->complete_tokens);
    json_key_unsigned(&writer, "tokens_evaluated", choice->prompt_tokens);
    if (generation->request.logprobs >= 0 && event->token_count > 0)
        write_list(&writer, "completion_probabilities", &choice->lists[PROBABILITIES]);
    answer_write_progress(event, &writer);
    if (generation->request.timings_per_token)
        answer_write_timings_at(choice, event, &writer);
    json_end_object(&writer);
    event_stream_end(&writer);
}

static void finish(struct generation *generation, struct choice *choice, struct buffer *out)
{
    struct json_writer writer = event_stream_begin(out, NULL);
    json_begin_object(&writer);
    json_key_number(&writer, "index", choice->index);
    json_key_word(&writer, "content", "");
    json_key(&writer, "tokens");
    json_begin_array(&writer);
    json_end_array(&writer);
    answer_write_native_end(generation, choice, &writer);
    json_end_object(&writer);
    event_stream_end(&writer);
}

/* The event with "stop": true was the last. */
static void end(struct generation *generation, struct buffer *out)
{
    (void)generation;
    (void)out;
}

static void write_whole(const struct generation *generation, const struct choice *choice, struct buffer *out)
{
    struct buffer text = generation_join(choice, ITEM_TEXT);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_number(&writer, "index", choice->index);
    json_key_text(&writer, "content", buffer_text(&text));
    out->failed |= text.failed;
    buffer_free(&text);
    json_key(&writer, "tokens");
    json_begin_array(&writer);
    if (generation->request.return_tokens && choice->lists[IDS].size > 0)
        json_ready(&writer, buffer_text(&choice->lists[IDS]));
    json_end_array(&writer);
    if (generation->request.logprobs >= 0)
        write_list(&writer, "completion_probabilities", &choice->lists[PROBABILITIES]);
    answer_write_native_end(generation, choice, &writer);
    json_end_object(&writer);
}

/* The members that "response_fields" names; a slash leads into an object. */
static void write_fields(const struct native_request *own, struct buffer *all, struct buffer *out)
{
    json_t *whole = json_loadb(all->data ? all->data : "", all->size, JSON_ALLOW_NUL, NULL);
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    for (size_t i = 0; i < own->field_count; i++) {
        const char *slash = strchr(own->fields[i], '/');
        const json_t *value = json_object_get(whole, own->fields[i]);
        char outer[64];
        if (slash && !value) {
            snprintf(outer, sizeof outer, "%.*s", (int)(slash - own->fields[i]), own->fields[i]);
            value = json_object_get(json_object_get(whole, outer), slash + 1);
        }
        size_t size;
        char *text = value ? json_input_dump(value, &size) : NULL;
        if (text)
            json_key_ready(&writer, own->fields[i], (struct smollm_text){text, size});
        free(text);
    }
    json_end_object(&writer);
    out->failed |= !whole;
    json_decref(whole);
}

static void write_one(const struct generation *generation, const struct choice *choice, struct buffer *out)
{
    const struct native_request *own = generation->request.own;
    if (own->field_count == 0) {
        write_whole(generation, choice, out);
        return;
    }
    struct buffer all = {0};
    write_whole(generation, choice, &all);
    out->failed |= all.failed;
    write_fields(own, &all, out);
    buffer_free(&all);
}

/* One answer, or an array of those to several prompts. */
static void whole(struct generation *generation, struct buffer *out)
{
    if (generation->choice_count == 1) {
        write_one(generation, &generation->choices[0], out);
        return;
    }
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        buffer_append_char(out, i == 0 ? '[' : ',');
        write_one(generation, &generation->choices[i], out);
    }
    buffer_append_char(out, ']');
}

#define NATIVE_FORMAT(own_read)                                                                                        \
    {                                                                                                                  \
        .protocol = &openai_bare_protocol, .id_prefix = "cmpl-", .read = (own_read), .begin = begin,                   \
        .event = stream_event, .finish = finish, .end = end, .keep_token = keep_token, .whole = whole                  \
    }
const struct generation_format llama_server_completion_format = NATIVE_FORMAT(llama_server_read_completion);
const struct generation_format llama_server_infill_format = NATIVE_FORMAT(llama_server_read_infill);
