#include "api/core/refusals.h"

const int *refusals_shown(void)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 429, 431, 500, 503, 505, 0};
    return statuses;
}

void refusals_count(struct refusals *refusals, int status)
{
    if (status >= REFUSAL_MIN && status <= REFUSAL_MAX)
        atomic_fetch_add_explicit(&refusals->counts[status - REFUSAL_MIN], 1, memory_order_relaxed);
}

uint64_t refusals_get(const struct refusals *refusals, int status)
{
    return atomic_load_explicit(&refusals->counts[status - REFUSAL_MIN], memory_order_relaxed);
}
