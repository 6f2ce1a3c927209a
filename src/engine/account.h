/* What one sequence has come to: its tokens and its times, each number in one place.
 *
 * The engine's thread alone writes an account, through the functions below. Everything else derives from it: the
 * callbacks of a sequence are handed its account, a request keeps a copy for its reader, and the totals of the engine
 * grow here and nowhere else. */
#ifndef ENGINE_ACCOUNT_H
#define ENGINE_ACCOUNT_H

#include <stdatomic.h>
#include <stdint.h>

struct engine_account {
    uint32_t prompt_tokens;
    /* Tokens of the prompt, from the first on, that are counted: each once, as cached or as computed, however often a
     * pause makes the sequence take them from the page cache or compute them again. */
    uint32_t counted;
    uint32_t cached; /* of the counted ones, those that the page cache held when they were first needed */
    uint32_t generated;
    uint32_t drafted;
    uint32_t accepted;
    /* By the monotonic clock; 0: not yet. */
    uint64_t submitted_ns;
    uint64_t admitted_ns;    /* got a slot for the first time */
    uint64_t prompt_done_ns; /* the prompt is read: the first token is drawn, where one is wanted */
    uint64_t ended_ns;
};

/* Of all sequences that clients have submitted; read by any thread. */
struct engine_totals {
    _Atomic uint64_t finished, prompt_tokens, cached_tokens, generated_tokens, drafted_tokens, accepted_tokens;
};

void account_open(struct engine_account *account, uint32_t prompt_tokens, uint64_t now_ns);
/* The sequence got a slot; only the first time counts. */
void account_admit(struct engine_account *account, uint64_t now_ns);
/* The page cache holds what the sequence needs up to this position. */
void account_adopt(struct engine_account *account, uint32_t positions);
/* All positions up to this one are computed. */
void account_compute(struct engine_account *account, uint32_t positions);
/* The prompt is read; only the first time counts. */
void account_finish_prompt(struct engine_account *account, struct engine_totals *totals, uint64_t now_ns);
void account_draw(struct engine_account *account, struct engine_totals *totals);
void account_draft(struct engine_account *account, struct engine_totals *totals, uint32_t tokens);
void account_accept(struct engine_account *account, struct engine_totals *totals);
void account_close(struct engine_account *account, struct engine_totals *totals, uint64_t now_ns);

/* Milliseconds in the queue, from the slot to the end of the prompt, and from there to the last token. What is still
 * under way lasts until now_ns, what has not begun is 0. */
double account_queue_ms(const struct engine_account *account, uint64_t now_ns);
double account_prompt_ms(const struct engine_account *account, uint64_t now_ns);
double account_predict_ms(const struct engine_account *account, uint64_t now_ns);

#endif
