/* /v1/systemone: {"state", "questions": {id: {"type": choice | score | noul, "instructions", "criteria"}}}. */
#include "api/decisions/decisions.h"
#include "api/openai/openai.h"

#include <stdlib.h>
#include <string.h>

static const struct named_field named_fields[] = {
    {"state", NULL, true}, {"questions", "object", true}, {"temperature", "number", false}, {"model", "string", false}};
const struct field_list systemone_fields = {.others = named_fields,
                                            .other_count = sizeof named_fields / sizeof *named_fields};

static int read_choice(struct conversation_builder *b, const json_t *criteria, const char *place,
                       struct smollm_question *question)
{
    json_t *description;
    const char *key;
    size_t key_size;
    if (!json_is_object(criteria) || json_object_size(criteria) == 0)
        return api_refuse(b->error, place, "%s must be an object from options to descriptions", place);
    struct smollm_option *options = arena_array(b->arena, json_object_size(criteria), sizeof *options);
    if (!options)
        return api_refuse_memory(b->error);
    question->kind = SMOLLM_QUESTION_CHOICE;
    question->options = options;
    json_object_keylen_foreach((json_t *)(uintptr_t)criteria, key, key_size, description)
    {
        struct smollm_option *option = &options[question->option_count++];
        const char *copy = arena_copy(b->arena, key, key_size);
        option->text = (struct smollm_text){copy, key_size};
        if (!copy)
            return api_refuse_memory(b->error);
        if (!json_is_null(description) && decision_read_text(b, description, place, &option->description) < 0)
            return -1;
    }
    return 0;
}

static int read_score(struct conversation_builder *b, const json_t *criteria, const char *place,
                      struct smollm_question *question)
{
    enum { LEVELS_MAX = 10 };
    const size_t count = json_array_size(criteria);
    if (count < 2 || count > LEVELS_MAX)
        return api_refuse(b->error, place, "%s must be an array of 2 to %d levels, the lowest first", place,
                          LEVELS_MAX);
    struct smollm_option *options = arena_array(b->arena, count, sizeof *options);
    if (!options)
        return api_refuse_memory(b->error);
    question->kind = SMOLLM_QUESTION_SCORE;
    question->options = options;
    for (; question->option_count < count; question->option_count++)
        if (decision_read_text(b, json_array_get(criteria, question->option_count), place,
                               &options[question->option_count].text) < 0)
            return -1;
    return 0;
}

static int read_noul(struct conversation_builder *b, const json_t *criteria, const char *place,
                     struct smollm_question *question)
{
    struct smollm_text texts[2] = {{0}};
    static const char *const names[] = {"true", "false"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *description = json_object_get(criteria, names[i]);
        if (description && !json_is_null(description) && decision_read_text(b, description, place, &texts[i]) < 0)
            return -1;
    }
    return decision_set_predicate(b->arena, question, texts[0], texts[1], b->error);
}

static int read_question(struct conversation_builder *b, const char *id, const json_t *json,
                         struct smollm_question *question)
{
    const struct smollm_text type = json_input_string(json_object_get(json, "type"));
    const json_t *criteria = json_input_value(json, "criteria");
    const struct json_place instructions = json_place("questions.%.40s.instructions", id),
                            place = json_place("questions.%.40s.criteria", id),
                            kind = json_place("questions.%.40s.type", id);
    if (decision_read_text(b, json_object_get(json, "instructions"), instructions.text, &question->instructions) < 0)
        return -1;
    if (text_is(type, "choice"))
        return read_choice(b, criteria, place.text, question);
    if (text_is(type, "score"))
        return read_score(b, criteria, place.text, question);
    if (text_is(type, "noul"))
        return read_noul(b, criteria, place.text, question);
    return api_refuse(b->error, kind.text, "%s must be choice, score or noul", kind.text);
}

static int read_request(struct api *api, const struct api_call *call, const json_t *json,
                        struct generation_request *request, struct api_error *error)
{
    (void)call;
    struct conversation_builder builder = {.arena = &request->arena, .error = error};
    json_t *questions = json_input_value(json, "questions"), *question;
    struct decision_request *own = decision_begin(request, error);
    const char *id;
    struct smollm_message *state = own ? conversation_add(&builder, "system") : NULL;
    if (!state || decision_read_text(&builder, json_input_value(json, "state"), "state", &state->content) < 0)
        return -1;
    if (json_array_size(json_input_value(json, "images")) > 0) {
        api_refuse(error, "images", "image input is not supported: this model reads text only");
        error->status = 501;
        return -1;
    }
    if (!json_is_object(questions) || json_object_size(questions) == 0 ||
        json_object_size(questions) > SMOLLM_QUESTIONS_MAX)
        return api_refuse(error, "questions", "questions must be an object of 1 to %d questions", SMOLLM_QUESTIONS_MAX);
    json_object_foreach(questions, id, question)
    {
        struct smollm_text *name = &own->names[own->question_count];
        const char *copy = arena_copy(&request->arena, id, strlen(id));
        *name = (struct smollm_text){copy, strlen(id)};
        if (!copy)
            return api_refuse_memory(error);
        if (read_question(&builder, id, question, &own->questions[own->question_count]) < 0)
            return -1;
        own->question_count++;
    }
    return decision_finish(api, json, &builder, request);
}

/* ---- Answers ---- */

/* A score's levels have their numbers as names. */
static void write_name(const struct smollm_question *question, size_t option, struct json_writer *writer)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", option);
    json_name(writer, question->kind == SMOLLM_QUESTION_SCORE ? text_of(number) : question->options[option].text);
}

static void write_probabilities(const struct smollm_question *question, const double *probabilities,
                                struct json_writer *writer)
{
    json_key(writer, "probabilities");
    json_begin_object(writer);
    for (size_t i = 0; i < question->option_count; i++) {
        write_name(question, i, writer);
        json_decimal(writer, probabilities[i]);
    }
    json_end_object(writer);
    json_key_decimal(writer, "confidence",
                     smollm_decision_confidence(question->kind, probabilities, question->option_count));
}

static void write_score(const struct smollm_question *question, const double *probabilities, struct json_writer *writer)
{
    double score = 0;
    for (size_t i = 0; i < question->option_count; i++)
        score += (double)i * probabilities[i];
    json_key_decimal(writer, "score", score);
    json_key(writer, "legend");
    json_begin_object(writer);
    for (size_t i = 0; i < question->option_count; i++) {
        write_name(question, i, writer);
        json_text(writer, question->options[i].text);
    }
    json_end_object(writer);
    write_probabilities(question, probabilities, writer);
}

static void write_answer(const struct smollm_question *question, const double *probabilities,
                         struct json_writer *writer)
{
    json_begin_object(writer);
    if (question->kind == SMOLLM_QUESTION_PREDICATE) {
        json_key_word(writer, "type", "noul");
        json_key_decimal(writer, "noul", probabilities[0]);
    } else if (question->kind == SMOLLM_QUESTION_CHOICE) {
        json_key_word(writer, "type", "choice");
        json_key_text(writer, "choice",
                      question->options[decision_likeliest(probabilities, question->option_count)].text);
        write_probabilities(question, probabilities, writer);
    } else {
        json_key_word(writer, "type", "score");
        write_score(question, probabilities, writer);
    }
    json_end_object(writer);
}

static void whole(struct generation *generation, struct buffer *out)
{
    const struct decision_request *own = generation->request.own;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "model", generation->request.model);
    json_key(&writer, "answers");
    json_begin_object(&writer);
    for (size_t i = 0; i < own->question_count; i++) {
        double *probabilities = decision_probabilities(generation, i);
        json_name(&writer, own->names[i]);
        if (probabilities)
            write_answer(&own->questions[i], probabilities, &writer);
        else
            out->failed = true;
        free(probabilities);
    }
    json_end_object(&writer);
    json_key(&writer, "usage");
    json_begin_object(&writer);
    json_key_unsigned(&writer, "input_tokens", generation_total(generation).prompt);
    json_key_unsigned(&writer, "output_tokens", 0);
    json_end_object(&writer);
    json_end_object(&writer);
}

const struct generation_format systemone_format = {
    .protocol = &openai_protocol, .id_prefix = "dec_", .read = read_request, .whole = whole};
