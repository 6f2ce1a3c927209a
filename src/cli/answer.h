/* Following an answer from its first event to its last, as chat and run do. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "base/text.h"
#include "smollm.h"

#include <stdio.h>

struct answer_view {
    FILE *text;     /* where the answer is written; NULL: nowhere */
    FILE *thinking; /* where the reasoning is written, dimmed; NULL: nowhere */
    /* Called many times a second; true: the model is to answer now, with what it has thought so far. May be NULL. */
    bool (*attend)(void *user);
    void *user;
};

struct answer {
    struct buffer text, reasoning;
    enum smollm_finish_reason reason;
    struct smollm_usage usage;
    uint64_t seed;
};
void answer_free(struct answer *answer);

/* Reads events to the end. On a terminal a progress bar is shown while a long prompt is read. A noted Ctrl-C or SIGTERM
 * (cli/interrupt.h), or a closed standard output, cancels the request: the reason is then SMOLLM_FINISH_CANCELED, and
 * the engine may still be in its last pass. */
int answer_follow(struct smollm_request *request, const struct answer_view *view, struct answer *answer,
                  struct smollm_error *error);

#endif
