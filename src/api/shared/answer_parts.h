/* Parts of answers that OpenAI's and llama-server's routes have in common. */
#ifndef API_ANSWER_PARTS_H
#define API_ANSWER_PARTS_H

#include "api/core/generation.h"

/* As a JSON number: OpenAI writes -9999 for minus infinity. */
double answer_logprob(float logprob);
/* {"token", "logprob", "bytes", "top_logprobs": [the same of each alternative]} */
void answer_write_logprob(struct json_writer *writer, const struct smollm_token *token);
/* "timings": {...} as llama-server names them, up to now; the second for an event of a stream, QUEUED and PROGRESS
 * among them, which say what has been read of the prompt. */
void answer_write_timings(const struct choice *choice, struct json_writer *writer);
void answer_write_timings_at(const struct choice *choice, const struct smollm_event *event, struct json_writer *writer);
/* vLLM's "prompt_logprobs": null for the first token, and for each further one an object from token ids to
 * {"logprob", "rank", "decoded_token"}; rank is null for a token that is not among the alternatives. */
void answer_keep_prompt_logprob(struct buffer *list, const struct smollm_token *token);
void answer_write_prompt_logprobs(const struct generation *generation, const struct buffer *list,
                                  struct json_writer *writer);
/* The progress before the first token, QUEUED or PROGRESS: "queue": {...} or "prompt_progress": {...}; nothing for
 * other events. */
void answer_write_progress(const struct smollm_event *event, struct json_writer *writer);

#endif
