/* The beginning of a conversation's next turn, read while the engine is idle.
 *
 * Clients send the history back without the thinking, and the chat format closes the answer and opens the next message:
 * so the next prompt does not begin with the generated tokens. After an answer, the prompt up to the next message is
 * rendered and tokenized on a thread of its own and passed to engine_read_ahead. The time to the first token of the
 * next turn then depends only on the new message. */
#ifndef LIBRARY_NEXT_TURN_H
#define LIBRARY_NEXT_TURN_H

#include "library/handles.h"

/* The thread, and the answers that wait for it. */
struct next_turns;
/* max_count: turns that may wait for the thread, at least 1; beyond it the oldest is dropped. */
int next_turns_start(const struct smollm_model *model, struct engine *engine, uint32_t max_count,
                     struct next_turns **turns, struct smollm_error *error);
/* Stops the thread; call it before the engine is destroyed, and next_turns_destroy afterwards. Both accept NULL. */
void next_turns_stop(struct next_turns *turns);
void next_turns_destroy(struct next_turns *turns);

/* A conversation being answered: a copy of its messages, and the tokens of the answer so far. */
struct turn;
/* room: the most tokens of the answer. NULL without memory, or for a conversation whose next turn cannot be predicted
 * (continue_last). */
struct turn *turn_create(struct next_turns *turns, const struct smollm_conversation *conversation,
                         const struct prompt_tokens *prompt, uint64_t key, size_t room);
void turn_destroy(struct turn *turn); /* accepts NULL */
/* Adds a token of the answer, but not its end token. Allocates nothing. */
void turn_add(struct turn *turn, int32_t token);
/* The answer is complete: gives the turn to the thread. Allocates nothing. */
void turn_finish(struct turn *turn);

#endif
