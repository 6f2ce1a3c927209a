/* Holds one answer to its form: the engine asks which tokens may come next. Internal to library/.
 *
 * A form is what the request asks for, or calls of tools that it requires. In a conversation it begins after the
 * thinking, which is free: until </think> every token may come, and line breaks that the parser drops may come before
 * the form. Where the model may call tools, the answer is free too (or has its form) until a call begins, and the call
 * is held to the schema of its tool until its end. Rules on tokens (token_rules.h) hold everywhere. Thinking is closed
 * when its limit is reached or a reader wants the answer (smollm_end_thinking), with the text that the format expects.
 */
#ifndef LIBRARY_ANSWER_FORM_H
#define LIBRARY_ANSWER_FORM_H

#include "library/handles.h"

struct answer_form;
struct smollm_request;

/* max_tokens: those that the answer may have at most; a form that certainly needs more is refused. ends: the request's
 * end tokens, or NULL. *result: NULL when there is nothing to hold the answer to. Compiles what is
 * not in the engine's cache. The request is borrowed: the form looks at where its parser is. */
int answer_form_create(struct smollm_engine *engine, const struct smollm_request_options *options,
                       const struct prompt_tokens *prompt, const struct smollm_request *request, const bool *ends,
                       size_t max_tokens, struct answer_form **result, struct smollm_error *error);
void answer_form_destroy(struct answer_form *form); /* accepts NULL */
struct engine_form answer_form_hook(struct answer_form *form);

#endif
