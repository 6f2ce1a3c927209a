/* Decisions: typed questions about a text, answered with probabilities (smollm_decision.h). Two protocols: TypeSafe's
 * /v1/systemone (https://docs.typesafe.ai/api), which llama-server has too, and OpenAI's /v1/decisions. Errors are
 * OpenAI's. Beyond both: "temperature", which scales the scores; the server's --decision-temperature is the default. */
#ifndef API_DECISIONS_H
#define API_DECISIONS_H

#include "api/core/generation.h"
#include "api/core/route.h"
#include "api/shared/conversation_builder.h"
#include "smollm_decision.h"

extern const struct route_list decision_routes;
extern const struct field_list systemone_fields, openai_decision_fields;
extern const struct generation_format systemone_format;
extern const struct generation_format openai_decision_format;

/* What the answer needs of its request: all in the request's arena but `decision`. */
struct decision_request {
    struct smollm_decision *decision;
    struct smollm_question *questions;
    struct smollm_text *names; /* [question_count]; data NULL: none */
    const bool **is_truth;     /* [question_count]: whether each option is true or false, not text; NULL: none is */
    size_t question_count;
    double temperature;
};

/* Room for questions, and request->own; NULL: refused. */
struct decision_request *decision_begin(struct generation_request *request, struct api_error *error);
/* A text, or a JSON value as text, copied; place names it in errors. */
int decision_read_text(struct conversation_builder *builder, const json_t *value, const char *place,
                       struct smollm_text *text);
/* The questions are read: makes the prompts, about what the builder holds. */
int decision_finish(struct api *api, const json_t *json, struct conversation_builder *builder,
                    struct generation_request *request);
/* The options' probabilities; the caller frees them. NULL: out of memory. */
double *decision_probabilities(const struct generation *generation, size_t question);
size_t decision_likeliest(const double *probabilities, size_t count);

/* Two options for a predicate, with descriptions or without. */
int decision_set_predicate(struct arena *arena, struct smollm_question *question, struct smollm_text if_true,
                           struct smollm_text if_false, struct api_error *error);

#endif
