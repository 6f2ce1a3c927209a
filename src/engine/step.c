/* One pass: which tokens go into it, and what is drawn from it. */
#include "engine/engine_state.h"

#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <string.h>

/* Whether all structures are checked after every step: in builds with sanitizers. */
#ifdef SMOLLM_WALKS
#define WALKS true
#else
#define WALKS false
#endif

/* ---- Plan ---- */

/* The slots with sequences, oldest first, each with its turn among those of its key. */
static void order_slots(struct engine *engine)
{
    engine->active = 0;
    for (uint32_t i = 0; i < engine->options.parallel; i++) {
        struct slot *slot = &engine->slots[i];
        slot->planned = slot->drafted = 0;
        if (!slot->sequence)
            continue;
        uint32_t at = engine->active++;
        for (; at > 0 && engine->order[at - 1]->sequence->id > slot->sequence->id; at--)
            engine->order[at] = engine->order[at - 1];
        engine->order[at] = slot;
    }
    engine->shares.count = 0;
    for (uint32_t i = 0; i < engine->active; i++)
        engine->order[i]->turn = (*shares_of(&engine->shares, engine->order[i]->sequence->request.key))++;
}

/* The slot that gives up its pages for another: one whose reader is slow, otherwise the youngest of the younger ones.
 */
static struct slot *find_victim(struct engine *engine, const struct slot *taker)
{
    struct slot *victim = NULL;
    for (uint32_t i = 0; i < engine->active; i++) {
        struct slot *slot = engine->order[i];
        if (slot == taker || !slot->sequence || slot->page_count == 0)
            continue;
        if (slot->parked)
            return slot;
        if (slot->sequence->id > taker->sequence->id)
            victim = slot;
    }
    return victim;
}

/* Reserves pages for the first `positions` positions, from other slots if necessary; false: the slot waits in this
 * pass. */
static bool reserve(struct engine *engine, struct slot *slot, uint32_t positions)
{
    while (!slot_reserve(slot, &engine->pages, positions)) {
        struct slot *victim = find_victim(engine, slot);
        if (!victim)
            return false;
        slot_pause(engine, victim);
    }
    return true;
}

/* Guesses at the tokens after the last one of a stream, if pages for them are free. */
static void plan_guesses(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *s = slot->sequence;
    const uint32_t left = s->request.max_tokens - sequence_generated(s);
    uint32_t room = engine->options.context - s->token_count - 1;
    room = left - 1 < room ? left - 1 : room;
    int32_t guesses[DRAFT_MAX];
    const uint32_t max = room < DRAFT_MAX ? room : DRAFT_MAX;
    uint32_t count = 0;
    if (s->request.form.mask && s->form_drafter.pause > 0)
        s->form_drafter.pause--;
    else if (s->request.form.mask)
        count = s->request.form.guess(s->request.form.user, guesses, max);
    slot->guessed_form = count > 0;
    if (count == 0)
        count = drafter_guess(&s->drafter, &engine->history, s->request.key, s->tokens, s->token_count, max, guesses);
    if ((engine->options.stress & ENGINE_STRESS_GUESSES) && room > 0) {
        count = max;
        for (uint32_t i = 0; i < count; i++)
            guesses[i] = 0;
    }
    if (count == 0 || !slot_reserve(slot, &engine->pages, s->token_count + count))
        return;
    memcpy(s->tokens + s->token_count, guesses, count * sizeof *guesses);
    slot->drafted = count;
    slot->planned += count;
}

static void plan_streams(struct engine *engine)
{
    uint32_t streams = 0;
    for (uint32_t i = 0; i < engine->active; i++)
        streams += slot_is_stream(engine->order[i]);
    const bool may_guess = engine->options.speculates && streams <= DRAFTING_STREAMS;
    for (uint32_t i = 0; i < engine->active; i++) {
        struct slot *slot = engine->order[i];
        if (!slot_is_stream(slot) || !slot_is_ready(slot) || !reserve(engine, slot, slot->sequence->token_count))
            continue;
        slot->planned = 1;
        if (may_guess)
            plan_guesses(engine, slot);
    }
}

/* The next slot that reads and does not need what this pass computes: the first of each key before the second of any,
 * then the oldest. */
static struct slot *next_reader(struct engine *engine)
{
    struct slot *next = NULL;
    for (uint32_t i = 0; i < engine->active; i++) {
        struct slot *slot = engine->order[i];
        if (!slot_is_reading(slot) || slot->planned > 0 || (next && slot->turn >= next->turn) || !slot_is_ready(slot))
            continue;
        bool waits = false;
        for (uint32_t k = 0; k < engine->active && !waits; k++)
            waits = slot_should_wait(slot, engine->order[k]);
        next = waits ? next : slot;
    }
    return next;
}

/* The rows of logits that streams leave when each other slot has one. */
static uint32_t spare_rows(const struct engine *engine)
{
    uint32_t rows = engine_logits_rows(&engine->options);
    for (uint32_t i = 0; i < engine->active; i++)
        rows -= slot_is_stream(engine->order[i]) ? engine->order[i]->planned : 1;
    return rows;
}

/* How many of the slot's tokens, up to `count`, have logits that fit into the spare rows and the slot's own; takes what
 * they need. */
static uint32_t take_rows(const struct slot *slot, uint32_t count, uint32_t *spare)
{
    const struct engine_sequence *s = slot->sequence;
    if (s->request.purpose != ENGINE_ANSWER || s->given == s->outputs)
        return count;
    const uint32_t before = s->given - slot->computed, max = before + 1 + *spare;
    count = count < max ? count : max;
    if (count > before + 1)
        *spare -= count - before - 1;
    return count;
}

/* The first progress of a prompt: what of it is cached, before anything is computed. */
static void tell_start(struct engine_sequence *s)
{
    const struct engine_client *client = &s->request.client;
    if (s->has_told_start)
        return;
    s->has_told_start = true;
    if (client->progress)
        client->progress(client->user, &s->account);
}

/* Plans as many of the slot's tokens as fit; 0: no pages. */
static uint32_t plan_reader(struct engine *engine, struct slot *slot, uint32_t room, uint32_t *spare)
{
    slot_adopt(slot, &engine->pages, &engine->cache);
    tell_start(slot->sequence);
    const uint32_t left = slot->sequence->token_count - slot->computed,
                   count = take_rows(slot, left < room ? left : room, spare);
    if (!reserve(engine, slot, slot->computed + count))
        return 0;
    slot->planned = count;
    return count;
}

/* Admission ensures that nothing else has a slot then. */
static void plan_ahead(struct engine *engine)
{
    struct slot *slot = ahead_slot(engine);
    uint32_t none = 0;
    slot->planned = 0;
    if (slot->sequence && plan_reader(engine, slot, AHEAD_TOKENS, &none) == 0)
        slot_finish(engine, slot, ENGINE_END_STOPPED, NULL);
}

/* How many rows of each kind the batch has. */
struct rows {
    uint32_t logits, hidden;
};

static uint32_t write_batch(struct engine *engine, struct slot *slot, uint32_t size, struct rows *rows)
{
    const struct engine_sequence *s = slot->sequence;
    slot->first_row = engine_purpose_is_embedding(s->request.purpose) ? rows->hidden : rows->logits;
    for (uint32_t i = 0; i < slot->planned; i++) {
        const uint32_t position = slot->computed + i;
        const enum row_output output = sequence_output_at(s, position);
        engine->batch[size++] = (struct batch_token){
            .id = s->tokens[position], .position = position, .pages = slot->pages, .output = output};
        rows->logits += output == ROW_LOGITS;
        rows->hidden += output == ROW_HIDDEN;
    }
    return size;
}

struct pass {
    uint32_t size;
    uint32_t streams, stream_tokens;
};

/* Tokens of all streams, then as many prompt tokens as the batch and the pacer allow. */
static struct pass plan(struct engine *engine)
{
    struct pass pass = {0};
    order_slots(engine);
    plan_streams(engine);
    for (uint32_t i = 0; i < engine->active; i++)
        pass.streams += engine->order[i]->planned > 0;
    uint32_t room = pacer_room(&engine->pacer, pass.streams, engine->options.batch);
    uint32_t spare = spare_rows(engine);
    for (struct slot *slot; room > 0 && (slot = next_reader(engine));) {
        const uint32_t count = plan_reader(engine, slot, room, &spare);
        if (count == 0)
            break;
        room -= count;
    }
    plan_ahead(engine);
    /* Reading may have taken the pages of younger streams: only the remaining ones are computed. */
    struct rows rows = {0};
    pass.streams = 0;
    for (uint32_t i = 0; i < engine->active; i++)
        if (slot_is_stream(engine->order[i]) && engine->order[i]->planned > 0) {
            pass.size = write_batch(engine, engine->order[i], pass.size, &rows);
            pass.streams++;
        }
    pass.stream_tokens = pass.size;
    for (uint32_t i = 0; i < engine->active; i++)
        if (slot_is_reading(engine->order[i]) && engine->order[i]->planned > 0)
            pass.size = write_batch(engine, engine->order[i], pass.size, &rows);
    if (ahead_slot(engine)->planned > 0)
        pass.size = write_batch(engine, ahead_slot(engine), pass.size, &rows);
    assert(rows.logits <= engine_logits_rows(&engine->options) && rows.hidden <= engine->options.batch);
    return pass;
}

/* ---- Tokens ---- */

/* Draws the next token of a slot and passes it to the client; false when the sequence has ended. */
static bool draw_token(struct engine *engine, struct slot *slot, const struct logits *logits)
{
    struct engine_sequence *s = slot->sequence;
    const struct engine_request *request = &s->request;
    struct engine_token token = {0};
    struct smollm_error error;
    const uint32_t *allowed = NULL;
    int status = request->form.mask ? request->form.mask(request->form.user, &allowed, &error) : 0;
    if (status != 0) {
        slot_finish(engine, slot, status < 0 ? ENGINE_END_ERROR : ENGINE_END_STOPPED, status < 0 ? &error : NULL);
        return false;
    }
    status = sampler_next(&slot->sampler, &engine->scratch, logits, allowed, s->tokens, s->token_count, &token.id);
    if (status < 0) {
        error_set(&error, status,
                  allowed ? "no token that the form allows has a finite logit at position %u"
                          : "the model produced a value that is not finite at position %u",
                  s->token_count);
        slot_finish(engine, slot, ENGINE_END_ERROR, &error);
        return false;
    }
    if (sequence_generated(s) < request->replay_count)
        token.id = request->replay[sequence_generated(s)];
    if (s->account.prompt_done_ns == 0) {
        account_finish_prompt(&s->account, &engine->totals, clock_nanoseconds());
        engine_meter_first_token(&engine->meter, s->account.submitted_ns, s->account.cached);
    }
    if (request->alternatives >= 0 && request->sampled_logprobs)
        engine_fill_sampled(engine, request->alternatives, &token);
    else if (request->alternatives >= 0)
        engine_fill_logprobs(engine, logits, request->alternatives, &token);
    s->tokens[s->token_count++] = token.id;
    account_draw(&s->account, &engine->totals);
    engine_meter_token(&engine->meter);
    token.is_end = request->end_token && request->end_token[token.id];
    if (request->form.mask && !token.is_end)
        request->form.advance(request->form.user, token.id);
    const bool go_on = request->client.token(request->client.user, &token, &s->account);
    slot_publish(slot);
    if (token.is_end)
        slot_finish(engine, slot, ENGINE_END_TOKEN, NULL);
    else if (!go_on)
        slot_finish(engine, slot, ENGINE_END_STOPPED, NULL);
    else if (sequence_generated(s) == request->max_tokens || s->token_count == engine->options.context)
        slot_finish(engine, slot, ENGINE_END_LENGTH, NULL);
    return slot->sequence != NULL;
}

/* Draws from the rows of a slot: from the first, and from one more for each guess that was right. */
static void draw_tokens(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *s = slot->sequence;
    const uint32_t drafted = slot->drafted;
    uint32_t right = 0;
    slot->drafted = 0;
    account_draft(&s->account, &engine->totals, drafted);
    for (;;) {
        /* Drawing overwrites the guess. */
        const int32_t guess = right < drafted ? s->tokens[s->token_count] : -1;
        const struct logits logits = engine_logits(engine, (size_t)slot->first_row + right);
        if (!draw_token(engine, slot, &logits))
            return;
        if (right == drafted || s->tokens[s->token_count - 1] != guess || !slot_is_ready(slot))
            break;
        right++;
        account_accept(&s->account, &engine->totals);
        slot->computed++;
        slot_insert_pages(slot, &engine->pages);
    }
    drafter_note(slot->guessed_form ? &s->form_drafter : &s->drafter, drafted, right);
}

/* ---- The pass ---- */

/* Notes that the planned tokens of a slot are computed. */
static void note_computed(struct engine *engine, struct slot *slot)
{
    struct engine_sequence *s = slot->sequence;
    if (!give_outputs(engine, slot))
        return;
    const struct engine_client *client = &s->request.client;
    slot->computed += slot->planned - slot->drafted;
    account_compute(&s->account, slot->computed);
    slot_insert_pages(slot, &engine->pages);
    slot_publish(slot);
    if (client->progress && s->account.prompt_done_ns == 0)
        client->progress(client->user, &s->account);
}

/* A slot whose sequence has read a part of its prompt, or NULL. */
static struct slot *find_half_read(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->active; i++) {
        struct slot *slot = engine->order[i];
        if (slot->sequence && slot->sequence->account.prompt_done_ns == 0 && slot->computed > 0)
            return slot;
    }
    return NULL;
}

/* For tests: disturbs the engine after each step (enum engine_stress). drawn: a slot that got a token in it, or NULL.
 */
static void stress(struct engine *engine, struct slot *drawn)
{
    if ((engine->options.stress & ENGINE_STRESS_PAUSES) && drawn && drawn->sequence)
        slot_pause(engine, drawn);
    struct slot *half_read = engine->options.stress & ENGINE_STRESS_READERS ? find_half_read(engine) : NULL;
    if (half_read && half_read->sequence->account.counted / engine->options.batch % 2 == 0)
        slot_pause(engine, half_read);
    if (engine->options.stress & ENGINE_STRESS_EVICTS)
        page_cache_evict_all(&engine->pages);
    assert(!(WALKS || engine->options.stress) || engine_is_valid(engine));
}

/* Two sequences share a group of pages: each pair may need a new group soon, but of many pairs not all do. */
static void prepare_memory(struct engine *engine)
{
    const size_t bytes = (size_t)2 << 20; /* a huge page */
    const uint32_t pairs = (engine->active + 1) / 2, groups = pairs < 8 ? pairs : 8;
    const uint64_t wanted = engine->pages.reached + (uint64_t)KV_GROUP * groups;
    kv_cache_prepare(&engine->cache, wanted < engine->pages.total ? (uint32_t)wanted : engine->pages.total, bytes);
}

bool step_run(struct engine *engine)
{
    const struct pass pass = plan(engine);
    if (pass.size == 0)
        return false;
    atomic_store(&engine->pages_used, page_cache_held(&engine->pages));
    engine_meter_pages(&engine->meter, &engine->pages);
    const uint64_t begin = clock_nanoseconds();
    forward_run(&engine->forward, engine->batch, pass.size,
                (struct forward_results){engine->logits, engine->peaks, engine->hidden});
    pacer_note(&engine->pacer, pass.streams, pass.size - pass.stream_tokens,
               (double)(clock_nanoseconds() - begin) * 1e-9);
    for (uint32_t i = 0; i < engine->active; i++)
        if (engine->order[i]->planned > 0)
            note_computed(engine, engine->order[i]);
    struct slot *drawn = NULL;
    for (uint32_t i = 0; i < engine->active; i++) {
        struct slot *slot = engine->order[i];
        struct engine_sequence *s = slot->sequence;
        if (slot->planned == 0 || slot->computed != s->token_count)
            continue;
        if (s->request.purpose != ENGINE_ANSWER) {
            give_values(engine, slot);
            continue;
        }
        if (sequence_generated(s) >= s->request.max_tokens || s->token_count == engine->options.context) {
            account_finish_prompt(&s->account, &engine->totals, clock_nanoseconds());
            slot_finish(engine, slot, ENGINE_END_LENGTH, NULL);
            continue;
        }
        const uint32_t drafted = slot->drafted;
        uint64_t last_token_ns = s->last_token_ns;
        draw_tokens(engine, drawn = slot);
        engine_meter_drawn(&engine->meter, &last_token_ns, drafted);
        if (slot->sequence == s && !slot->parked)
            s->last_token_ns = last_token_ns;
    }
    engine_meter_step(&engine->meter, pass.size, begin);
    struct slot *ahead = ahead_slot(engine);
    if (ahead->planned > 0) {
        atomic_fetch_add(&engine->ahead_tokens, ahead->planned);
        note_computed(engine, ahead);
        if (ahead->computed == ahead->sequence->token_count)
            slot_finish(engine, ahead, ENGINE_END_STOPPED, NULL);
    }
    prepare_memory(engine);
    stress(engine, drawn);
    return true;
}

/* ---- Debugging ---- */

bool engine_is_valid(struct engine *engine)
{
    uint32_t holds = 0, held = 0, running = 0;
    for (uint32_t i = 0; i <= engine->options.parallel; i++) {
        const struct slot *slot = &engine->slots[i];
        running += slot->sequence && i < engine->options.parallel;
        if ((!slot->sequence && slot->page_count > 0) || slot->cached_pages > slot->page_count ||
            slot->computed > slot->page_count * KV_PAGE_POSITIONS ||
            (slot->sequence && (slot->computed > sequence_next_output(slot->sequence) ||
                                slot->sequence->given > slot->sequence->outputs ||
                                slot->sequence->account.counted > slot->sequence->account.prompt_tokens ||
                                slot->sequence->account.cached > slot->sequence->account.counted ||
                                sequence_generated(slot->sequence) != slot->sequence->account.generated)))
            return false;
        holds += slot->page_count;
    }
    for (uint32_t i = 0; i < engine->pages.total; i++)
        held += engine->pages.pages[i].holders;
    pthread_mutex_lock(&engine->mutex);
    const bool queues = queue_is_valid(&engine->queue) && queue_is_valid(&engine->ahead);
    pthread_mutex_unlock(&engine->mutex);
    return queues && holds == held && running == atomic_load(&engine->running) && page_cache_is_valid(&engine->pages);
}
