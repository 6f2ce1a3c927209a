/* Parts of answers as llama-server writes them: in its own routes, and where its clients ask others for them. */
#ifndef API_NATIVE_PARTS_H
#define API_NATIVE_PARTS_H

#include "api/core/generation.h"

/* {"id", "token", "bytes", "logprob", "top_logprobs": [the same of each alternative]}; sampled: with probabilities,
 * "prob" and "top_probs", in place of their logarithms. */
void answer_write_native_token(struct json_writer *writer, const struct smollm_token *token, bool sampled);
/* What the whole answer and the last event of a stream have in common, from "model" to "timings"; with the prompt, if
 * it was kept. */
void answer_write_native_end(const struct generation *generation, const struct choice *choice,
                             struct json_writer *writer);
/* "__verbose": all that llama-server says of an answer, if the request asks for it. */
void answer_write_verbose(const struct generation *generation, const struct choice *choice, struct json_writer *writer);

#endif
