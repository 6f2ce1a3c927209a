#include "sampling/sampler.h"

#include "base/hash.h"
#include "base/memory.h"
#include "kernel/arithmetic.h"

#include <stdlib.h>

int sampler_scratch_create(struct sampler_scratch *s, uint32_t vocabulary, const struct kernel_table *kernels,
                           struct smollm_error *error)
{
    *s = (struct sampler_scratch){.vocabulary = vocabulary, .kernels = kernels};
    s->logits = array_allocate(vocabulary, sizeof *s->logits);
    s->weights = array_allocate(vocabulary, sizeof *s->weights);
    s->candidates = array_allocate(vocabulary, sizeof *s->candidates);
    if (!s->logits || !s->weights || !s->candidates) {
        sampler_scratch_destroy(s);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for sampling");
    }
    return 0;
}

void sampler_scratch_destroy(struct sampler_scratch *s)
{
    free(s->logits);
    free(s->weights);
    free(s->candidates);
    *s = (struct sampler_scratch){0};
}

int sampler_create(struct sampler *sampler, uint32_t vocabulary, struct smollm_error *error)
{
    *sampler = (struct sampler){.vocabulary = vocabulary};
    sampler->generated = array_allocate(vocabulary, sizeof *sampler->generated);
    sampler->mark = array_allocate(vocabulary, sizeof *sampler->mark);
    if (!sampler->generated || !sampler->mark) {
        sampler_destroy(sampler);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for sampling");
    }
    return 0;
}

void sampler_destroy(struct sampler *sampler)
{
    free(sampler->generated);
    free(sampler->mark);
    *sampler = (struct sampler){0};
}

struct smollm_sampling smollm_sampling_default(void)
{
    return (struct smollm_sampling){
        .temperature = 0.6f, .top_p = 0.95f, .repetition_penalty = 1.0f, .repetition_window = 64};
}

int sampling_check(const struct smollm_sampling *o, uint32_t vocabulary, struct smollm_error *error)
{
    const struct {
        const char *name;
        double value, least, most;
    } ranges[] = {
        {"temperature", (double)o->temperature, 0, 100},
        {"top_k", o->top_k, 0, 1 << 24},
        {"top_p", (double)o->top_p, 0, 1},
        {"min_p", (double)o->min_p, 0, 1},
        {"repetition_penalty", (double)o->repetition_penalty, 0.01, 100},
        {"repetition_window", o->repetition_window, -1, 1 << 24},
        {"presence_penalty", (double)o->presence_penalty, -2, 2},
        {"frequency_penalty", (double)o->frequency_penalty, -2, 2},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        RETURN_ERROR_IF(!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most), error,
                        SMOLLM_EINVAL, "%s is %g (%g to %g)", ranges[i].name, ranges[i].value, ranges[i].least,
                        ranges[i].most);
    for (size_t i = 0; i < o->logit_bias_count; i++) {
        RETURN_ERROR_IF(o->logit_bias[i].token < 0 || (uint32_t)o->logit_bias[i].token >= vocabulary, error,
                        SMOLLM_EINVAL, "logit_bias names token %d (0 to %u)", o->logit_bias[i].token, vocabulary - 1);
        RETURN_ERROR_IF(!(o->logit_bias[i].bias <= 1000.0f), error, SMOLLM_EINVAL, "logit_bias of token %d is %g",
                        o->logit_bias[i].token, (double)o->logit_bias[i].bias);
    }
    return 0;
}

void sampler_begin(struct sampler *sampler, const struct smollm_sampling *options)
{
    sampler->options = *options;
    sampler->draws = 0;
    sampler->pass = 0;
    memset(sampler->generated, 0, sampler->vocabulary * sizeof *sampler->generated);
    memset(sampler->mark, 0, sampler->vocabulary * sizeof *sampler->mark);
}

void sampler_resume(struct sampler *sampler, const int32_t *generated, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sampler->generated[generated[i]]++;
    sampler->draws = count;
}

double random_uniform(uint64_t seed, uint64_t n)
{
    uint64_t z = hash_mix(seed + 0x9e3779b97f4a7c15ULL) + (n + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

int32_t logits_greatest(const float *logits, uint32_t count)
{
    float most = -__builtin_inff();
    int32_t best = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (logits[i] > most) {
            most = logits[i];
            best = (int32_t)i;
        }
        if (logits[i] != logits[i])
            return -1;
    }
    return best;
}

double logits_log_sum(const struct kernel_table *kernels, const float *logits, uint32_t count)
{
    int32_t best = logits_greatest(logits, count);
    float maximum = best < 0 ? 0.0f : logits[best];
    double sum;
    struct exponentials_args args = {.x = logits, .sum = &sum, .size = count, .maximum = maximum};
    kernels->exponentials(&args);
    return (double)maximum + double_log(sum);
}

void logits_top(const float *logits, uint32_t vocabulary, int32_t *ids, uint32_t count)
{
    uint32_t filled = 0;
    for (uint32_t i = 0; i < vocabulary; i++) {
        if (filled == count && (count == 0 || !(logits[i] > logits[ids[count - 1]])))
            continue;
        uint32_t place = filled < count ? filled++ : count - 1;
        for (; place > 0 && logits[i] > logits[ids[place - 1]]; place--)
            ids[place] = ids[place - 1];
        ids[place] = (int32_t)i;
    }
    for (; filled < count; filled++)
        ids[filled] = -1;
}

static void apply_penalties(struct sampler *sampler, float *logits, const int32_t *history, uint32_t count)
{
    const struct smollm_sampling *o = &sampler->options;
    if (o->repetition_penalty != 1.0f) {
        uint32_t window =
            o->repetition_window < 0 || (uint32_t)o->repetition_window > count ? count : (uint32_t)o->repetition_window;
        sampler->pass++;
        for (uint32_t i = count - window; i < count; i++) {
            int32_t id = history[i];
            if (sampler->mark[id] == sampler->pass)
                continue;
            sampler->mark[id] = sampler->pass;
            logits[id] = logits[id] > 0.0f ? logits[id] / o->repetition_penalty : logits[id] * o->repetition_penalty;
        }
    }
    if (o->presence_penalty != 0.0f || o->frequency_penalty != 0.0f)
        for (uint32_t id = 0; id < sampler->vocabulary; id++)
            if (sampler->generated[id] > 0)
                logits[id] -= o->presence_penalty + (float)sampler->generated[id] * o->frequency_penalty;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Fills candidates, sorted, with the tokens of at least `least` weight; returns how many. */
static uint32_t gather(struct sampler_scratch *s, float least)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->vocabulary; i++)
        if (s->weights[i] >= least && s->weights[i] > 0.0f)
            s->candidates[count++] = (struct candidate){s->weights[i], (int32_t)i};
    qsort(s->candidates, count, sizeof *s->candidates, compare_candidates);
    return count;
}

static double sum_of(const struct candidate *candidates, uint32_t count)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++)
        sum += (double)candidates[i].weight;
    return sum;
}

/* The weights relative to the likeliest token are in scratch, `total` is their sum. Only as many candidates are sorted
 * as can matter: levels of weight are added until they hold what the filters or the draw can reach. */
static int32_t draw(struct sampler *sampler, struct sampler_scratch *s, double total)
{
    static const float levels[] = {0x1p-7f, 0x1p-14f, 0x1p-28f, 0.0f};
    const struct smollm_sampling *o = &sampler->options;
    double uniform = random_uniform(o->seed, sampler->draws++);
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        bool all = levels[level] == 0.0f;
        /* Nothing below min-p can be drawn; but top-p after top-k takes its share of the k, unlikely ones too. */
        float floor = o->top_k > 0 && o->top_p < 1.0f ? 0.0f : o->min_p;
        float least = levels[level] > floor ? levels[level] : floor;
        uint32_t count = gather(s, least);
        bool complete = all || levels[level] <= floor;
        bool cut_by_k = o->top_k > 0 && count >= (uint32_t)o->top_k;
        if (o->top_k > 0 && !cut_by_k && !complete)
            continue;
        if (cut_by_k) {
            count = (uint32_t)o->top_k;
            complete = true;
        }
        double mass = o->top_k > 0 ? sum_of(s->candidates, count) : total;
        uint32_t kept = count;
        if (o->top_p < 1.0f) {
            double reach = (double)o->top_p * mass, sum = 0.0;
            for (kept = 0; kept < count && (kept == 0 || sum < reach); kept++)
                sum += (double)s->candidates[kept].weight;
            if (sum < reach && !complete)
                continue;
            mass = sum;
        } else if (complete && !all) {
            mass = sum_of(s->candidates, count);
        }
        if (kept > 1 && s->candidates[kept - 1].weight < o->min_p) {
            while (kept > 1 && s->candidates[kept - 1].weight < o->min_p)
                kept--;
            mass = sum_of(s->candidates, kept);
        }
        double target = uniform * mass, sum = 0.0;
        for (uint32_t i = 0; i < kept; i++) {
            sum += (double)s->candidates[i].weight;
            if (sum > target)
                return s->candidates[i].id;
        }
        if (complete)
            return s->candidates[kept - 1].id;
    }
    return s->candidates[0].id;
}

/* Whether the answer is the greatest logit as it is, which one pass over the vocabulary finds. */
static bool takes_greatest(const struct smollm_sampling *o)
{
    return o->temperature <= 0.0f && o->logit_bias_count == 0 && o->repetition_penalty == 1.0f &&
           o->presence_penalty == 0.0f && o->frequency_penalty == 0.0f;
}

int sampler_next(struct sampler *sampler, struct sampler_scratch *s, const float *logits, const int32_t *history,
                 uint32_t history_count, int32_t *token)
{
    const struct smollm_sampling *o = &sampler->options;
    int32_t best = logits_greatest(logits, s->vocabulary);
    if (best < 0)
        return SMOLLM_ENUMERIC;
    if (takes_greatest(o) && logits[best] - logits[best] == 0.0f) {
        sampler->generated[best]++;
        *token = best;
        return 0;
    }
    memcpy(s->logits, logits, s->vocabulary * sizeof *logits);
    for (size_t i = 0; i < o->logit_bias_count; i++)
        s->logits[o->logit_bias[i].token] += o->logit_bias[i].bias;
    apply_penalties(sampler, s->logits, history, history_count);
    best = logits_greatest(s->logits, s->vocabulary);
    if (best < 0 || s->logits[best] - s->logits[best] != 0.0f)
        return SMOLLM_ENUMERIC;
    if (o->temperature > 0.0f) {
        float maximum = s->logits[best];
        for (uint32_t i = 0; i < s->vocabulary; i++)
            s->weights[i] = (s->logits[i] - maximum) / o->temperature;
        double total;
        struct exponentials_args args = {.x = s->weights, .out = s->weights, .sum = &total, .size = s->vocabulary};
        s->kernels->exponentials(&args);
        best = draw(sampler, s, total);
    }
    sampler->generated[best]++;
    *token = best;
    return 0;
}
