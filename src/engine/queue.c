#include "engine/queue.h"

#include <assert.h>
#include <string.h>

uint32_t *shares_of(struct shares *shares, uint64_t key)
{
    for (uint32_t i = 0; i < shares->count; i++)
        if (shares->keys[i].key == key)
            return &shares->keys[i].count;
    assert(shares->count < shares->capacity);
    shares->keys[shares->count] = (struct share){.key = key};
    return &shares->keys[shares->count++].count;
}

static bool is_before(const struct engine_sequence *a, const struct engine_sequence *b)
{
    return a->request.priority != b->request.priority ? a->request.priority < b->request.priority : a->id < b->id;
}

static bool is_new(const struct engine_sequence *sequence)
{
    return sequence->account.admitted_ns == 0;
}

void queue_insert(struct queue *queue, struct engine_sequence *sequence)
{
    struct engine_sequence **link = &queue->first;
    if (queue->last && is_before(queue->last, sequence))
        link = &queue->last->next;
    while (*link && is_before(*link, sequence))
        link = &(*link)->next;
    sequence->next = *link;
    *link = sequence;
    if (!sequence->next)
        queue->last = sequence;
    queue->size++;
    queue->new_ones += is_new(sequence);
}

void queue_remove(struct queue *queue, struct engine_sequence *sequence)
{
    struct engine_sequence **link = &queue->first, *before = NULL;
    for (; *link != sequence; link = &(*link)->next)
        before = *link;
    *link = sequence->next;
    if (queue->last == sequence)
        queue->last = before;
    sequence->next = NULL;
    queue->size--;
    queue->new_ones -= is_new(sequence);
}

struct engine_sequence *queue_take_over(struct queue *queue, uint64_t now_ns)
{
    for (struct engine_sequence *s = queue->first; s; s = s->next)
        if (sequence_is_over(s, now_ns)) {
            queue_remove(queue, s);
            return s;
        }
    return NULL;
}

/* The rank of the next sequence in the order of the queue. */
static uint32_t take_rank(struct shares *shares, const struct engine_sequence *sequence)
{
    return (*shares_of(shares, sequence->request.key))++;
}

struct engine_sequence *queue_next(const struct queue *queue, struct shares *shares, uint32_t *rank)
{
    struct engine_sequence *next = NULL;
    for (struct engine_sequence *s = queue->first; s; s = s->next) {
        if (!is_new(s) && !sequence_is_ready(s))
            continue;
        const uint32_t its = take_rank(shares, s);
        if (!next || its < *rank) {
            next = s;
            *rank = its;
        }
    }
    return next;
}

uint32_t queue_tell_places(const struct queue *queue, struct shares *shares, double interval, uint32_t *scratch)
{
    const uint32_t ranks = shares->capacity + 1;
    memset(scratch, 0, ranks * sizeof *scratch);
    for (struct engine_sequence *s = queue->first; s; s = s->next) {
        s->waits = is_new(s) || sequence_is_ready(s);
        if (s->waits)
            scratch[s->rank = take_rank(shares, s)]++;
    }
    uint32_t before = 0;
    for (uint32_t i = 0; i < ranks; i++) {
        const uint32_t count = scratch[i];
        scratch[i] = before;
        before += count;
    }
    for (struct engine_sequence *s = queue->first; s; s = s->next) {
        const struct engine_client *client = &s->request.client;
        const uint32_t ahead = s->waits ? scratch[s->rank]++ : 0;
        if (!client->queued || !is_new(s) || ahead == s->shown_ahead)
            continue;
        s->shown_ahead = ahead;
        client->queued(client->user, ahead, interval > 0 ? interval * (ahead + 1) : -1.0);
    }
    return before;
}

uint64_t queue_deadline(const struct queue *queue)
{
    uint64_t earliest = 0;
    for (const struct engine_sequence *s = queue->first; s; s = s->next)
        if (s->deadline_ns > 0 && (earliest == 0 || s->deadline_ns < earliest))
            earliest = s->deadline_ns;
    return earliest;
}

bool queue_is_valid(const struct queue *queue)
{
    uint32_t size = 0, new_ones = 0;
    const struct engine_sequence *last = NULL;
    for (const struct engine_sequence *s = queue->first; s && size <= queue->size; s = s->next) {
        if ((last && !is_before(last, s)) || atomic_load(&s->holders) < 1)
            return false;
        last = s;
        size++;
        new_ones += is_new(s);
    }
    return size == queue->size && last == queue->last && new_ones == queue->new_ones;
}
