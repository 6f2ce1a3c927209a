/* /v1/decisions: {"model", "input", "questions": [{"type": predicate | choice | score, "name", "instructions",
 * "choices": [{"value", "description"}] | "levels": [{"label", "description"}]}]}. */
#include "api/decisions/decisions.h"
#include "api/openai/openai.h"
#include "api/responses/responses.h"

#include <stdlib.h>

static const struct named_field named_fields[] = {
    {"input", NULL, true}, {"questions", "array", true}, {"temperature", "number", false}, {"model", "string", false}};
const struct field_list openai_decision_fields = {.others = named_fields,
                                                  .other_count = sizeof named_fields / sizeof *named_fields};

/* A string, or parts of text and JSON. */
static int read_instructions(struct conversation_builder *b, const json_t *value, const char *place,
                             struct smollm_text *text)
{
    if (!json_is_array(value))
        return decision_read_text(b, value, place, text);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *part = json_array_get(value, i), *piece = json_object_get(part, "text");
        struct smollm_text copy = {0};
        if (text_is(json_input_string(json_object_get(part, "type")), "input_image"))
            return api_refuse(b->error, place, "%s: image input is not supported; this model reads text only", place);
        if (!piece)
            piece = json_object_get(part, "data");
        if (decision_read_text(b, piece, place, &copy) < 0 || conversation_append(b, text, "\n", copy) < 0)
            return -1;
    }
    return 0;
}

/* Choices or levels: objects with a `key` and perhaps a description. */
static int read_options(struct conversation_builder *b, const json_t *list, const char *key, const char *place,
                        struct smollm_question *question, const bool **is_truth)
{
    const size_t count = json_array_size(list);
    if (count < 2 || count > SMOLLM_OPTIONS_MAX)
        return api_refuse(b->error, place, "%s must be an array of 2 to %d entries", place, SMOLLM_OPTIONS_MAX);
    struct smollm_option *options = arena_array(b->arena, count, sizeof *options);
    bool *truths = arena_array(b->arena, count, sizeof *truths);
    if (!options || !truths)
        return api_refuse_memory(b->error);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i), *value = json_object_get(entry, key);
        const json_t *description = json_input_value(entry, "description");
        truths[i] = json_is_boolean(value);
        if (!truths[i] && !json_input_is_string(value))
            return api_refuse(b->error, place, "%s[%zu].%s must be a string", place, i, key);
        if (truths[i])
            options[i].text = text_of(json_is_true(value) ? "true" : "false");
        else if (decision_read_text(b, value, place, &options[i].text) < 0)
            return -1;
        if (description && decision_read_text(b, description, place, &options[i].description) < 0)
            return -1;
        for (size_t j = 0; j < i; j++)
            if (truths[i] == truths[j] && text_equal(options[i].text, options[j].text))
                return api_refuse(b->error, place, "%s[%zu] is a duplicate", place, i);
    }
    question->options = options;
    question->option_count = count;
    *is_truth = truths;
    return 0;
}

static int read_question(struct conversation_builder *b, const json_t *json, size_t index, struct decision_request *own)
{
    struct smollm_question *question = &own->questions[index];
    const struct smollm_text type = json_input_string(json_object_get(json, "type"));
    const json_t *name = json_input_value(json, "name");
    const struct json_place place = json_place("questions[%zu].instructions", index),
                            choices = json_place("questions[%zu].choices", index),
                            levels = json_place("questions[%zu].levels", index),
                            kind = json_place("questions[%zu].type", index);
    if ((name && decision_read_text(b, name, "name", &own->names[index]) < 0) ||
        read_instructions(b, json_object_get(json, "instructions"), place.text, &question->instructions) < 0)
        return -1;
    if (text_is(type, "predicate"))
        return decision_set_predicate(b->arena, question, (struct smollm_text){0}, (struct smollm_text){0}, b->error);
    if (text_is(type, "choice")) {
        question->kind = SMOLLM_QUESTION_CHOICE;
        return read_options(b, json_object_get(json, "choices"), "value", choices.text, question,
                            &own->is_truth[index]);
    }
    if (text_is(type, "score")) {
        question->kind = SMOLLM_QUESTION_SCORE;
        return read_options(b, json_object_get(json, "levels"), "label", levels.text, question, &own->is_truth[index]);
    }
    return api_refuse(b->error, kind.text, "%s must be predicate, choice or score", kind.text);
}

static int read_input(struct conversation_builder *b, const json_t *json)
{
    const json_t *input = json_input_value(json, "input");
    if (json_is_array(input))
        return responses_read_items(b, input, "input");
    if (!json_input_is_string(input))
        return api_refuse(b->error, "input", "input must be a string or an array of messages");
    struct smollm_message *message = conversation_add(b, "system");
    if (message)
        message->content = json_input_string(input);
    return message ? 0 : -1;
}

static int read_request(struct api *api, const struct api_call *call, const json_t *json,
                        struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    const json_t *questions = json_input_value(json, "questions");
    const size_t count = json_array_size(questions);
    struct decision_request *own = decision_begin(request, error);
    if (!own || read_input(&builder, json) < 0)
        return -1;
    if (!json_is_array(questions) || count == 0 || count > SMOLLM_QUESTIONS_MAX)
        return api_refuse(error, "questions", "questions must be an array of 1 to %d questions", SMOLLM_QUESTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        if (read_question(&builder, json_array_get(questions, i), i, own) < 0)
            return -1;
    own->question_count = count;
    return decision_finish(api, json, &builder, request);
}

/* ---- Answers ---- */

static void write_value(const struct decision_request *own, size_t question, size_t option, struct json_writer *writer)
{
    const struct smollm_text text = own->questions[question].options[option].text;
    if (own->is_truth[question][option])
        json_truth(writer, text_is(text, "true"));
    else
        json_text(writer, text);
}

static void write_probabilities(const struct decision_request *own, size_t question, const double *probabilities,
                                struct json_writer *writer)
{
    const struct smollm_question *q = &own->questions[question];
    json_key(writer, "probabilities");
    json_begin_array(writer);
    for (size_t i = 0; i < q->option_count; i++) {
        json_begin_object(writer);
        if (q->kind == SMOLLM_QUESTION_SCORE) {
            json_key_unsigned(writer, "value", i);
            json_key_text(writer, "label", q->options[i].text);
        } else {
            json_key(writer, "value");
            write_value(own, question, i, writer);
        }
        json_key_decimal(writer, "probability", probabilities[i]);
        json_end_object(writer);
    }
    json_end_array(writer);
    json_key_decimal(writer, "confidence", smollm_decision_confidence(q->kind, probabilities, q->option_count));
}

static void write_answer(const struct decision_request *own, size_t question, const double *probabilities,
                         struct json_writer *writer)
{
    static const char *const types[] = {"predicate", "choice", "score"};
    const struct smollm_question *q = &own->questions[question];
    double score = 0;
    json_begin_object(writer);
    json_key_word(writer, "type", types[q->kind]);
    if (own->names[question].data)
        json_key_text(writer, "name", own->names[question]);
    else
        json_key_nothing(writer, "name");
    for (size_t i = 0; i < q->option_count; i++)
        score += (double)i * probabilities[i];
    if (q->kind == SMOLLM_QUESTION_PREDICATE) {
        json_key_decimal(writer, "probability", probabilities[0]);
    } else if (q->kind == SMOLLM_QUESTION_SCORE) {
        json_key_decimal(writer, "score", score);
    } else {
        json_key(writer, "choice");
        write_value(own, question, decision_likeliest(probabilities, q->option_count), writer);
    }
    if (q->kind != SMOLLM_QUESTION_PREDICATE)
        write_probabilities(own, question, probabilities, writer);
    json_end_object(writer);
}

static void write_usage(const struct generation *generation, struct json_writer *writer)
{
    const struct generation_totals totals = generation_total(generation);
    json_key(writer, "usage");
    json_begin_object(writer);
    json_key_unsigned(writer, "input_tokens", totals.prompt);
    json_key(writer, "input_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "cached_tokens", totals.cached);
    json_key_unsigned(writer, "cache_write_tokens", 0);
    json_end_object(writer);
    json_key_unsigned(writer, "output_tokens", 0);
    json_key(writer, "output_tokens_details");
    json_begin_object(writer);
    json_key_unsigned(writer, "reasoning_tokens", 0);
    json_end_object(writer);
    json_key_unsigned(writer, "total_tokens", totals.prompt);
    json_end_object(writer);
}

static void whole(struct generation *generation, struct buffer *out)
{
    const struct decision_request *own = generation->request.own;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "answers");
    json_begin_array(&writer);
    for (size_t i = 0; i < own->question_count; i++) {
        double *probabilities = decision_probabilities(generation, i);
        if (probabilities)
            write_answer(own, i, probabilities, &writer);
        else
            out->failed = true;
        free(probabilities);
    }
    json_end_array(&writer);
    write_usage(generation, &writer);
    json_end_object(&writer);
}

const struct generation_format openai_decision_format = {
    .protocol = &openai_protocol, .id_prefix = "dec_", .read = read_request, .whole = whole};

static const struct route routes[] = {
    {"/v1/systemone", API_POST, 0, &openai_protocol, .format = &systemone_format,
     .summary = "Questions about a text, answered with probabilities (TypeSafe)",
     .fields = ROUTE_FIELDS(&systemone_fields)},
    {"/v1/decisions", API_POST, 0, &openai_protocol, .format = &openai_decision_format,
     .summary = "Questions about a text or a conversation, answered with probabilities (OpenAI)",
     .fields = ROUTE_FIELDS(&openai_decision_fields)},
};

const struct route_list decision_routes = ROUTE_LIST(routes);
