/* The generations that are under way, to be found by their id: for requests about another request. */
#ifndef API_OPEN_GENERATIONS_H
#define API_OPEN_GENERATIONS_H

#include "base/text.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct generation;

struct open_generations {
    pthread_mutex_t mutex;
    struct generation *first;
};
void open_generations_init(struct open_generations *open);
void open_generations_destroy(struct open_generations *open);
void open_generations_add(struct open_generations *open, struct generation *generation);
/* Does nothing for a generation that was not added. */
void open_generations_remove(struct open_generations *open, struct generation *generation);
/* Ends the thinking of all choices of the one with this id and key; false: there is none. From any thread. */
bool open_generations_end_thinking(struct open_generations *open, struct smollm_text id, uint64_t key);

#endif
