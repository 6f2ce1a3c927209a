/* What can be said of a request before its prompt is looked at. Internal to library/. */
#ifndef LIBRARY_REQUEST_CHECK_H
#define LIBRARY_REQUEST_CHECK_H

#include "smollm.h"

/* SMOLLM_EINVAL for numbers out of range and for options that contradict each other; the message names them. */
int request_check(const struct smollm_request_options *options, struct smollm_error *error);

/* Whether the request gives numbers and no answer: an embedding, or scores. */
static inline bool request_has_no_answer(const struct smollm_request_options *options)
{
    return options->output == SMOLLM_OUTPUT_EMBEDDING || options->score_token_count > 0;
}

#endif
