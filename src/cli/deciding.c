#include "cli/deciding.h"

#include "base/error.h"
#include "cli/interrupt.h"

#include <stdlib.h>
#include <string.h>

const struct smollm_option deciding_truths[2] = {{.text = {"yes", 3}}, {.text = {"no", 2}}};

static int wait_for_scores(struct smollm_request *request, size_t count, float **scores, struct smollm_error *error)
{
    enum { PATIENCE_MS = 100 };
    struct smollm_event event;
    for (;;) {
        const int status = smollm_next_event(request, PATIENCE_MS, &event);
        RETURN_ERROR_IF(interrupt_pending(), error, SMOLLM_ECANCELED, "interrupted");
        if (status == SMOLLM_ETIMEDOUT)
            continue;
        RETURN_ERROR_IF(status < 0, error, status, "the model gave no scores");
        if (event.type == SMOLLM_EVENT_ERROR) {
            *error = event.error;
            return error->code;
        }
        if (event.type == SMOLLM_EVENT_FINISH)
            return *scores ? 0 : error_set(error, SMOLLM_EINVAL, "the model gave no scores");
        if (event.type != SMOLLM_EVENT_SCORES)
            continue;
        *scores = calloc(count, sizeof **scores);
        RETURN_ERROR_IF(!*scores, error, SMOLLM_ENOMEM, "out of memory");
        memcpy(*scores, event.values, count * sizeof **scores);
    }
}

static int ask_once(struct smollm_engine *engine, const struct smollm_decision_prompt *prompt, float **scores,
                    struct smollm_error *error)
{
    struct smollm_request *request;
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.tokens = prompt->tokens;
    options.token_count = prompt->token_count;
    options.score_tokens = prompt->score_tokens;
    options.score_token_count = prompt->score_token_count;
    options.max_tokens = 0;
    int status = smollm_submit(engine, &options, &request, error);
    if (status < 0)
        return status;
    status = wait_for_scores(request, prompt->score_token_count, scores, error);
    smollm_request_close(request);
    return status;
}

int deciding_ask(const struct smollm_model *model, struct smollm_engine *engine, struct smollm_text text,
                 const struct smollm_question *question, struct deciding *deciding, struct smollm_error *error)
{
    const struct smollm_message message = {.role = {"system", 6}, .content = text};
    const struct smollm_conversation about = {.size = sizeof about, .messages = &message, .message_count = 1};
    *deciding = (struct deciding){.option_count = question->option_count};
    int status = smollm_decision_create(model, &about, question, 1, &deciding->decision, error);
    for (int order = 0; order < SMOLLM_DECISION_ORDERS && status == 0; order++) {
        const struct smollm_decision_prompt prompt = smollm_decision_get_prompt(deciding->decision, 0, order);
        status = ask_once(engine, &prompt, &deciding->scores[order], error);
    }
    return status;
}

void deciding_read(const struct deciding *deciding, double temperature, double *probabilities)
{
    smollm_decision_read(deciding->decision, 0, (const float *const *)deciding->scores, temperature, probabilities);
}

void deciding_free(struct deciding *deciding)
{
    for (int order = 0; order < SMOLLM_DECISION_ORDERS; order++)
        free(deciding->scores[order]);
    smollm_decision_free(deciding->decision);
    *deciding = (struct deciding){0};
}
