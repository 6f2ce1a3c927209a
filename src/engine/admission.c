/* Who has a slot: admission in turn, pauses, ends. */
#include "engine/engine_state.h"

#include "base/clock.h"
#include "base/error.h"

/* ---- Ends ---- */

static void tell_finished(struct engine *engine, struct engine_sequence *sequence, enum engine_end end,
                          const struct smollm_error *error)
{
    struct engine_account *account = &sequence->account;
    if (!sequence->reads_ahead) {
        /* Before `finished`, so that the totals include this sequence by then. */
        account_close(account, &engine->totals, clock_nanoseconds());
        engine_meter_finished(&engine->meter, account->submitted_ns);
        if (account->admitted_ns == 0)
            engine_meter_left_queue(&engine->meter, account->submitted_ns);
        if (engine->options.speculates)
            history_add(&engine->history, sequence->request.key, sequence->tokens + sequence->request.prompt_count,
                        sequence_generated(sequence));
        sequence->request.client.finished(sequence->request.client.user, end, account, error);
    }
    sequence_release(sequence);
}

/* A sequence that was canceled, or whose deadline has passed. */
static void tell_over(struct engine *engine, struct engine_sequence *sequence)
{
    struct smollm_error error;
    if (atomic_load(&sequence->canceled)) {
        tell_finished(engine, sequence, ENGINE_END_CANCELED, NULL);
        return;
    }
    error_set(&error, SMOLLM_ETIMEDOUT, "the deadline of %u ms has passed", sequence->request.deadline_ms);
    tell_finished(engine, sequence, ENGINE_END_ERROR, &error);
}

/* A slot has become free. */
static void note_end(struct engine *engine)
{
    const uint64_t now = clock_nanoseconds();
    pthread_mutex_lock(&engine->mutex);
    const bool others_wait = engine->queue.new_ones > 0;
    if (engine->last_end_ns > 0 && others_wait) {
        const uint64_t interval = now - engine->last_end_ns, old = atomic_load(&engine->end_interval_ns);
        atomic_store(&engine->end_interval_ns, old > 0 ? old - old / 4 + interval / 4 : interval);
    }
    engine->last_end_ns = others_wait ? now : 0;
    pthread_mutex_unlock(&engine->mutex);
}

/* Takes the sequence out of its slot. */
static struct engine_sequence *vacate(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *sequence = slot_clear(slot, &engine->pages);
    /* Before `running`: where nothing runs, no page is shown as used. */
    atomic_store(&engine->pages_used, page_cache_held(&engine->pages));
    engine_meter_pages(&engine->meter, &engine->pages);
    if (!sequence->reads_ahead)
        atomic_fetch_sub(&engine->running, 1);
    return sequence;
}

void slot_finish(struct engine *engine, struct slot *slot, enum engine_end end, const struct smollm_error *error)
{
    struct engine_sequence *sequence = vacate(engine, slot);
    if (!sequence->reads_ahead)
        note_end(engine);
    tell_finished(engine, sequence, end, error);
}

static void end_what_is_over(struct engine *engine)
{
    const uint64_t now = clock_nanoseconds();
    for (;;) {
        pthread_mutex_lock(&engine->mutex);
        struct engine_sequence *over = queue_take_over(&engine->queue, now);
        engine->queue_changed |= over != NULL;
        pthread_mutex_unlock(&engine->mutex);
        if (!over)
            break;
        tell_over(engine, over);
    }
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->sequence && sequence_is_over(slot->sequence, now)) {
            struct engine_sequence *sequence = vacate(engine, slot);
            note_end(engine);
            tell_over(engine, sequence);
        }
    }
}

void admission_end_all(struct engine *engine, const struct smollm_error *error)
{
    for (uint32_t i = 0; i <= engine->options.parallel; i++)
        if (engine->slots[i].sequence)
            slot_finish(engine, &engine->slots[i], ENGINE_END_ERROR, error);
    struct queue *queues[] = {&engine->queue, &engine->ahead};
    for (size_t i = 0; i < 2; i++)
        for (;;) {
            pthread_mutex_lock(&engine->mutex);
            struct engine_sequence *sequence = queues[i]->first;
            if (sequence)
                queue_remove(queues[i], sequence);
            pthread_mutex_unlock(&engine->mutex);
            if (!sequence)
                break;
            tell_finished(engine, sequence, ENGINE_END_ERROR, error);
        }
}

/* ---- Admission ---- */

void slot_pause(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *sequence = vacate(engine, slot);
    pthread_mutex_lock(&engine->mutex);
    queue_insert(sequence->reads_ahead ? &engine->ahead : &engine->queue, sequence);
    engine->queue_changed = true;
    pthread_mutex_unlock(&engine->mutex);
    if (!sequence->reads_ahead)
        atomic_fetch_add(&engine->pauses, 1);
}

/* The shares of the sequences in slots. */
static struct shares *shares_in_slots(struct engine *engine)
{
    engine->shares.count = 0;
    for (uint32_t i = 0; i < engine->options.parallel; i++)
        if (engine->slots[i].sequence)
            ++*shares_of(&engine->shares, engine->slots[i].sequence->request.key);
    return &engine->shares;
}

static bool is_younger(const struct slot *slot, const struct slot *than)
{
    return !than || slot->sequence->request.priority > than->sequence->request.priority ||
           (slot->sequence->request.priority == than->sequence->request.priority &&
            slot->sequence->id > than->sequence->id);
}

/* A slot whose reader can take no token now, or NULL. */
static struct slot *find_slow(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->sequence && !sequence_is_ready(slot->sequence))
            return slot;
    }
    return NULL;
}

/* The slot for a sequence of this rank: a free one, one whose reader is slow, or the youngest slot of a key that would
 * keep at least as many slots as the sequence's own key gets. NULL: the sequence waits. */
static struct slot *find_place(struct engine *engine, uint32_t rank)
{
    struct slot *unfair = NULL, *slow = find_slow(engine);
    uint32_t max = rank + 1;
    struct shares *shares = shares_in_slots(engine);
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        if (!slot->sequence)
            return slot;
        const uint32_t its = *shares_of(shares, slot->sequence->request.key);
        if (its > max || (its == max && unfair && is_younger(slot, unfair))) {
            unfair = slot;
            max = its;
        }
    }
    return slow ? slow : unfair;
}

/* Whether there are pages for the sequence after `leaver` (may be NULL) releases its own. Pages of its prompt that
 * other slots hold are shared and need no memory. One page is left for each stream, which would have to pause
 * otherwise. */
static bool has_pages(const struct engine *engine, const struct engine_sequence *sequence, const struct slot *leaver)
{
    const struct page_cache *cache = &engine->pages;
    const uint32_t need = sequence->token_count / KV_PAGE_POSITIONS + 1,
                   shared = page_cache_find_held(cache, sequence->request.key, sequence->tokens,
                                                 sequence_next_output(sequence));
    const uint32_t active = atomic_load(&engine->running);
    return active == 0 || page_cache_available(cache) + (leaver ? leaver->page_count : 0) + shared >= need + active;
}

static void begin(struct engine *engine, struct slot *slot, struct engine_sequence *sequence)
{
    if (sequence->account.admitted_ns == 0 && !sequence->reads_ahead)
        engine_meter_left_queue(&engine->meter, sequence->account.submitted_ns);
    account_admit(&sequence->account, clock_nanoseconds());
    slot_begin(slot, sequence);
    if (!sequence->reads_ahead)
        atomic_fetch_add(&engine->running, 1);
}

/* Gives a slot, or pages for one, to the next sequence; false when there is nothing to give. */
static bool admit_next(struct engine *engine)
{
    uint32_t rank = 0;
    pthread_mutex_lock(&engine->mutex);
    struct engine_sequence *next = queue_next(&engine->queue, shares_in_slots(engine), &rank);
    const uint32_t paused = engine->queue.size - engine->queue.new_ones;
    pthread_mutex_unlock(&engine->mutex);
    if (!next || (next->account.admitted_ns == 0 && paused >= PAUSED_MAX))
        return false;
    if (ahead_slot(engine)->sequence)
        slot_pause(engine, ahead_slot(engine));
    struct slot *slot = find_place(engine, rank);
    if (!slot)
        return false;
    if (!has_pages(engine, next, slot->sequence ? slot : NULL)) {
        slot = find_slow(engine);
        if (slot)
            slot_pause(engine, slot);
        return slot != NULL;
    }
    pthread_mutex_lock(&engine->mutex);
    queue_remove(&engine->queue, next);
    engine->queue_changed = true;
    pthread_mutex_unlock(&engine->mutex);
    if (slot->sequence)
        slot_pause(engine, slot);
    begin(engine, slot, next);
    return true;
}

/* When the engine is idle: reads what is likely to be asked next. */
static void admit_ahead(struct engine *engine)
{
    struct slot *slot = ahead_slot(engine);
    if (atomic_load(&engine->running) > 0 || slot->sequence)
        return;
    pthread_mutex_lock(&engine->mutex);
    struct engine_sequence *next = engine->ahead.first;
    if (next)
        queue_remove(&engine->ahead, next);
    pthread_mutex_unlock(&engine->mutex);
    if (next)
        begin(engine, slot, next);
}

void admission_run(struct engine *engine)
{
    end_what_is_over(engine);
    while (admit_next(engine)) {
    }
    admit_ahead(engine);
    pthread_mutex_lock(&engine->mutex);
    if (engine->queue_changed) {
        engine->queue_changed = false;
        const double interval = (double)atomic_load(&engine->end_interval_ns) * 1e-9;
        atomic_store(&engine->waiting,
                     queue_tell_places(&engine->queue, shares_in_slots(engine), interval, engine->places));
    }
    pthread_mutex_unlock(&engine->mutex);
}

uint64_t admission_deadline(struct engine *engine)
{
    uint64_t earliest = queue_deadline(&engine->queue);
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        const struct engine_sequence *s = engine->slots[i].sequence;
        if (s && s->deadline_ns > 0 && (earliest == 0 || s->deadline_ns < earliest))
            earliest = s->deadline_ns;
    }
    return earliest;
}
