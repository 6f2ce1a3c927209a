/* Measures a pass for a profile (model/profile.h). */
#include "model/forward_plan.h"

#include "base/clock.h"

static void count_product(struct profile_entry *entry, const struct product *p)
{
    for (int i = p->first; i < p->count; i++) {
        const struct packed_matrix *m = p->matrices[i];
        double macs = (double)m->rows * m->columns * p->input->tokens;
        entry->bytes += (double)packed_matrix_bytes(m);
        if (m->layout->block_columns)
            entry->int8_macs += macs * p->input->planes;
        else
            entry->float_macs += macs;
    }
}

/* The keys and values of a sequence count once, however many of its tokens read them. The tokens of a sequence are
 * consecutive. */
static void count_attention(struct profile_entry *entry, const struct layer_pass *pass)
{
    const struct forward *f = pass->forward;
    const struct model_config *c = &f->weights->config;
    for (uint32_t i = 0; i < f->token_count; i++) {
        const struct batch_token *t = &f->tokens[i];
        if (pass->drops_unwanted && t->output == ROW_NOTHING)
            continue;
        double positions = (double)t->position + 1;
        entry->float_macs += 2 * positions * query_size(c);
        if (i + 1 == f->token_count || f->tokens[i + 1].pages != t->pages)
            entry->bytes += positions * c->kv_heads * (double)f->cache->block / KV_PAGE_POSITIONS;
    }
}

void forward_run_profiled(struct forward *f)
{
    struct forward_plan *plan = f->plan;
    struct profile_entry *operations = f->profile->operations;
    const double threads = thread_pool_size(f->pool);
    for (uint32_t i = 0; i < plan->phase_count; i++)
        atomic_store_explicit(&plan->times[i], 0, memory_order_relaxed);
    thread_pool_time_phases(f->pool, plan->times);
    const double begin = clock_seconds();
    thread_pool_run_phases(f->pool, plan->phases, plan->phase_count);
    double rest = clock_seconds() - begin;
    thread_pool_time_phases(f->pool, NULL);
    for (uint32_t i = 0; i < plan->phase_count; i++) {
        const struct phase_info *info = &plan->phase_infos[i];
        struct profile_entry *entry = &operations[info->operation];
        const double seconds = (double)atomic_load_explicit(&plan->times[i], memory_order_relaxed) * 1e-9 / threads;
        rest -= seconds;
        entry->calls++;
        entry->seconds += seconds;
        if (info->product)
            count_product(entry, info->product);
        if (info->attends)
            count_attention(entry, info->attends);
    }
    operations[OPERATION_wait].calls++;
    operations[OPERATION_wait].seconds += rest > 0 ? rest : 0;
}
