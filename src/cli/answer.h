/* Following an answer from its first event to its last, as chat and run do. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "base/text.h"
#include "smollm.h"

#include <stdio.h>

struct answer_view {
    FILE *text;     /* where the answer is shown as it comes; NULL: nowhere */
    FILE *thinking; /* the same of what the model thinks, dimmed */
    /* Called many times a second; may be NULL. */
    void (*attend)(void *user);
    void *user;
};

struct answer {
    struct buffer text, reasoning;
    enum smollm_finish_reason reason;
    struct smollm_usage usage;
    uint64_t seed;
};
void answer_free(struct answer *answer);

/* Reads events to the end. While a long prompt is read, a terminal sees how far it is. A Ctrl-C or SIGTERM that is
 * noted (cli/interrupt.h) and a reader of the standard output that is gone cancel the request: the reason is then
 * SMOLLM_FINISH_CANCELED, and the engine may still be in the pass that it was in. */
int answer_follow(struct smollm_request *request, const struct answer_view *view, struct answer *answer,
                  struct smollm_error *error);

#endif
