#include "engine/account.h"

void account_open(struct engine_account *account, uint32_t prompt_tokens, uint64_t now_ns)
{
    *account = (struct engine_account){.prompt_tokens = prompt_tokens, .submitted_ns = now_ns};
}

void account_admit(struct engine_account *account, uint64_t now_ns)
{
    if (account->admitted_ns == 0)
        account->admitted_ns = now_ns;
}

/* Counts the prompt's tokens up to a position; returns how many had not been counted before. */
static uint32_t count_to(struct engine_account *account, uint32_t positions)
{
    const uint32_t before = account->counted,
                   after = positions < account->prompt_tokens ? positions : account->prompt_tokens;
    if (after <= before)
        return 0;
    account->counted = after;
    return after - before;
}

void account_adopt(struct engine_account *account, uint32_t positions)
{
    account->cached += count_to(account, positions);
}

void account_compute(struct engine_account *account, uint32_t positions)
{
    count_to(account, positions);
}

void account_finish_prompt(struct engine_account *account, struct engine_totals *totals, uint64_t now_ns)
{
    if (account->prompt_done_ns > 0)
        return;
    account->prompt_done_ns = now_ns;
    atomic_fetch_add(&totals->prompt_tokens, account->prompt_tokens);
    atomic_fetch_add(&totals->cached_tokens, account->cached);
}

void account_draw(struct engine_account *account, struct engine_totals *totals)
{
    account->generated++;
    atomic_fetch_add(&totals->generated_tokens, 1);
}

void account_draft(struct engine_account *account, struct engine_totals *totals, uint32_t tokens)
{
    account->drafted += tokens;
    atomic_fetch_add(&totals->drafted_tokens, tokens);
}

void account_accept(struct engine_account *account, struct engine_totals *totals)
{
    account->accepted++;
    atomic_fetch_add(&totals->accepted_tokens, 1);
}

void account_close(struct engine_account *account, struct engine_totals *totals, uint64_t now_ns)
{
    account->ended_ns = now_ns;
    atomic_fetch_add(&totals->finished, 1);
}

/* The first of three moments that has come; the last one always has. */
static uint64_t first_of(uint64_t a, uint64_t b, uint64_t now_ns)
{
    return a > 0 ? a : b > 0 ? b : now_ns;
}

static double milliseconds(uint64_t from, uint64_t to)
{
    return from > 0 && to > from ? (double)(to - from) * 1e-6 : 0.0;
}

double account_queue_ms(const struct engine_account *account, uint64_t now_ns)
{
    return milliseconds(account->submitted_ns, first_of(account->admitted_ns, account->ended_ns, now_ns));
}

double account_prompt_ms(const struct engine_account *account, uint64_t now_ns)
{
    return milliseconds(account->admitted_ns, first_of(account->prompt_done_ns, account->ended_ns, now_ns));
}

double account_predict_ms(const struct engine_account *account, uint64_t now_ns)
{
    return milliseconds(account->prompt_done_ns, first_of(account->ended_ns, 0, now_ns));
}
