/* Answers that later requests refer to by their id: texts in bounded memory, the least recently used ones go first. Any
 * thread may call; nothing waits for long. */
#ifndef API_KEPT_ANSWERS_H
#define API_KEPT_ANSWERS_H

#include "base/text.h"

#include <pthread.h>
#include <stdint.h>

enum {
    KEPT_ANSWERS_BYTES = 64 << 20, /* of all together */
    KEPT_ANSWER_BYTES = 8 << 20,   /* of one: a larger one is not kept */
};

struct kept_answer;
struct kept_answers {
    pthread_mutex_t mutex;
    struct kept_answer *newest, *oldest;
    size_t bytes;
};

void kept_answers_init(struct kept_answers *kept);
void kept_answers_destroy(struct kept_answers *kept);
/* Keeps a copy of a text for one API key, in place of an older one with the same id. false: it was not kept, because it
 * is too large or memory is out. */
bool kept_answers_add(struct kept_answers *kept, uint64_t key, struct smollm_text id, struct smollm_text text);
/* Appends the text with this id and counts as a use; false: this key has none. */
bool kept_answers_get(struct kept_answers *kept, uint64_t key, struct smollm_text id, struct buffer *out);
/* false: this key has none. */
bool kept_answers_remove(struct kept_answers *kept, uint64_t key, struct smollm_text id);

#endif
