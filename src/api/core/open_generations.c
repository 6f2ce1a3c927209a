#include "api/core/open_generations.h"

#include "api/core/generation.h"

void open_generations_init(struct open_generations *open)
{
    *open = (struct open_generations){0};
    pthread_mutex_init(&open->mutex, NULL);
}

void open_generations_destroy(struct open_generations *open)
{
    pthread_mutex_destroy(&open->mutex);
}

void open_generations_add(struct open_generations *open, struct generation *generation)
{
    pthread_mutex_lock(&open->mutex);
    generation->next_open = open->first;
    open->first = generation;
    pthread_mutex_unlock(&open->mutex);
}

void open_generations_remove(struct open_generations *open, struct generation *generation)
{
    pthread_mutex_lock(&open->mutex);
    for (struct generation **at = &open->first; *at; at = &(*at)->next_open)
        if (*at == generation) {
            *at = generation->next_open;
            break;
        }
    pthread_mutex_unlock(&open->mutex);
}

bool open_generations_end_thinking(struct open_generations *open, struct smollm_text id, uint64_t key)
{
    bool found = false;
    pthread_mutex_lock(&open->mutex);
    for (struct generation *generation = open->first; generation && !found; generation = generation->next_open) {
        found = text_is(id, generation->id) && generation->key == key;
        for (uint32_t i = 0; found && i < generation->choice_count; i++)
            if (generation->choices[i].request)
                smollm_end_thinking(generation->choices[i].request);
    }
    pthread_mutex_unlock(&open->mutex);
    return found;
}
