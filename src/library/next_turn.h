/* The beginning of a conversation's next turn, read while the engine has nothing else to do.
 *
 * Clients send the history back without the thinking, and the chat format closes the answer and opens the next message:
 * so the next prompt does not begin with what was generated. After an answer this part, all up to the next message, is
 * rendered and tokenised on a thread of its own and handed to engine_read_ahead. Then the next turn's time to its first
 * token depends on the new message alone. */
#ifndef LIBRARY_NEXT_TURN_H
#define LIBRARY_NEXT_TURN_H

#include "library/handles.h"

/* The thread, and the answers that it has still to look at. */
struct next_turns;
/* max_count: turns that may wait for the thread, at least 1; beyond it the oldest is dropped. */
int next_turns_start(const struct smollm_model *model, struct engine *engine, uint32_t max_count,
                     struct next_turns **turns, struct smollm_error *error);
/* Stops the thread; before the engine is destroyed. Accepts NULL, as does next_turns_destroy, for afterwards. */
void next_turns_stop(struct next_turns *turns);
void next_turns_destroy(struct next_turns *turns);

/* A conversation being answered: a copy of what was asked, and the tokens of the answer as they come. */
struct turn;
/* room: tokens that the answer may have. NULL without memory, or for a conversation whose next turn cannot be told
 * (continue_last). */
struct turn *turn_create(struct next_turns *turns, const struct smollm_conversation *conversation,
                         const struct prompt_tokens *prompt, uint64_t key, size_t room);
void turn_destroy(struct turn *turn); /* accepts NULL */
/* A token of the answer, its end token not among them. Allocates nothing. */
void turn_add(struct turn *turn, int32_t token);
/* The answer is complete: the thread takes the turn over. Allocates nothing. */
void turn_finish(struct turn *turn);

#endif
