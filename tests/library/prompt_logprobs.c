/* The log-probabilities of a prompt's tokens after the first, as the library gives them, a line each: id,
 * log-probability as a float.
 *
 * usage: prompt_logprobs MODEL BATCH < IDS    (numbers with spaces between them) */
#include "smollm.h"

#include <stdio.h>
#include <stdlib.h>

enum { IDS_MAX = 8192 };

static _Noreturn void die(const struct smollm_error *error)
{
    fprintf(stderr, "prompt_logprobs: %s\n", error->message);
    exit(2);
}

int main(int argc, char **argv)
{
    static int32_t ids[IDS_MAX];
    size_t count = 0;
    struct smollm_error error = {0};
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    struct smollm_request *request = NULL;
    struct smollm_event event = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: prompt_logprobs MODEL BATCH < IDS\n");
        return 2;
    }
    while (count < IDS_MAX && scanf("%d", &ids[count]) == 1)
        count++;
    struct smollm_engine_options engine_options = SMOLLM_ENGINE_OPTIONS_INIT;
    engine_options.parallel = 1;
    engine_options.context = (uint32_t)count + 1;
    engine_options.batch = (uint32_t)strtoul(argv[2], NULL, 10);
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.tokens = ids;
    options.token_count = count;
    options.max_tokens = 0;
    options.want_prompt_logprobs = true;
    if (smollm_model_open(argv[1], NULL, &model, &error) < 0 ||
        smollm_engine_start(model, &engine_options, &engine, &error) < 0 ||
        smollm_submit(engine, &options, &request, &error) < 0)
        die(&error);
    while (smollm_next_event(request, -1, &event) == 0)
        for (size_t i = 0; i < event.token_count; i++)
            printf("%d %.9g\n", event.tokens[i].chosen.token, event.tokens[i].chosen.logprob);
    if (event.type == SMOLLM_EVENT_ERROR)
        die(&event.error);
    smollm_request_close(request);
    smollm_engine_close(engine);
    smollm_model_close(model);
    return 0;
}
