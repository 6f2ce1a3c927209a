#include "sampling/sampler.h"

#include "base/half.h"
#include "base/hash.h"
#include "base/memory.h"
#include "kernel/arithmetic.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    TOGETHER = 256,    /* weights that are compared together, with vectors */
    MAX_INSERTED = 32, /* candidates that are not worth a radix sort */
    FEW = 256,         /* tokens that are taken out of a vocabulary */
    DIGITS = 3,        /* of the bits of a weight: 1 is 0x3f800000 */
    DIGIT_BITS = 10,
    DIGIT_VALUES = 1 << DIGIT_BITS
};

int sampler_scratch_create(struct sampler_scratch *s, uint32_t vocabulary, const struct kernel_table *kernels,
                           struct smollm_error *error)
{
    *s = (struct sampler_scratch){.vocabulary = vocabulary, .kernels = kernels};
    s->logits = array_allocate(vocabulary, sizeof *s->logits);
    s->weights = array_allocate(vocabulary, sizeof *s->weights);
    s->ids = array_allocate(FEW, sizeof *s->ids);
    s->peaks = array_allocate(peak_count(vocabulary), sizeof *s->peaks);
    s->candidates = array_allocate(vocabulary, sizeof *s->candidates);
    s->sorted = array_allocate(vocabulary, sizeof *s->sorted);
    if (!s->logits || !s->weights || !s->ids || !s->peaks || !s->candidates || !s->sorted) {
        sampler_scratch_destroy(s);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for sampling");
    }
    return 0;
}

void sampler_scratch_destroy(struct sampler_scratch *s)
{
    free(s->logits);
    free(s->weights);
    free(s->ids);
    free(s->peaks);
    free(s->candidates);
    free(s->sorted);
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

/* With biases that forbid every token there would be nothing to draw. */
static int check_that_some_are_allowed(const struct smollm_sampling *o, uint32_t vocabulary, struct smollm_error *error)
{
    if (o->logit_bias_count < vocabulary)
        return 0;
    bool *forbidden = calloc(vocabulary, sizeof *forbidden);
    RETURN_ERROR_IF(!forbidden, error, SMOLLM_ENOMEM, "out of memory for a logit_bias of %zu tokens",
                    o->logit_bias_count);
    uint32_t allowed = vocabulary;
    for (size_t i = 0; i < o->logit_bias_count; i++) {
        bool *it = &forbidden[o->logit_bias[i].token];
        if (o->logit_bias[i].bias == -INFINITY && !*it) {
            *it = true;
            allowed--;
        }
    }
    free(forbidden);
    RETURN_ERROR_IF(allowed == 0, error, SMOLLM_EINVAL, "logit_bias forbids every token of the vocabulary");
    return 0;
}

int sampling_check(const struct smollm_sampling *o, uint32_t vocabulary, struct smollm_error *error)
{
#define CHECK_RANGE(member, min, max)                                                                                  \
    RETURN_ERROR_IF(!((double)o->member >= (min) && (double)o->member <= (max)), error, SMOLLM_EINVAL,                 \
                    #member " is %g; it must be from %g to %g", (double)o->member, (double)(min), (double)(max));
    SMOLLM_SAMPLING_RANGES(CHECK_RANGE)
#undef CHECK_RANGE
    for (size_t i = 0; i < o->logit_bias_count; i++) {
        RETURN_ERROR_IF(o->logit_bias[i].token < 0 || (uint32_t)o->logit_bias[i].token >= vocabulary, error,
                        SMOLLM_EINVAL, "logit_bias names token %d; it must be from 0 to %u", o->logit_bias[i].token,
                        vocabulary - 1);
        RETURN_ERROR_IF(!(o->logit_bias[i].bias <= 1000.0f), error, SMOLLM_EINVAL,
                        "logit_bias of token %d is %g; it must be at most 1000", o->logit_bias[i].token,
                        (double)o->logit_bias[i].bias);
    }
    return check_that_some_are_allowed(o, vocabulary, error);
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

struct logits logits_look_at(const struct kernel_table *kernels, const float *values, uint32_t count, float *peaks)
{
    const struct peaks_args args = {.x = values, .peaks = peaks, .size = count};
    kernels->peaks(&args);
    return (struct logits){.values = values, .peaks = peaks, .count = count};
}

int32_t logits_greatest(const struct logits *logits)
{
    float most = -__builtin_inff();
    int32_t where = -1;
    for (uint32_t i = 0; i < peak_count(logits->count); i++) {
        const float peak = logits->peaks[i];
        if (peak != peak)
            return -1;
        if (peak > most) {
            most = peak;
            where = (int32_t)(i * PEAK_VALUES);
        }
    }
    while (where >= 0 && logits->values[where] != most)
        where++;
    return where;
}

double logits_log_sum(const struct kernel_table *kernels, const struct logits *logits)
{
    int32_t best = logits_greatest(logits);
    float maximum = best < 0 ? 0.0f : logits->values[best];
    double sum;
    struct exponentials_args args = {.x = logits->values, .sum = &sum, .size = logits->count, .maximum = maximum};
    kernels->exponentials(&args);
    return (double)maximum + double_log(sum);
}

void logits_top(const struct logits *logits, int32_t *ids, uint32_t count)
{
    const float *values = logits->values;
    uint32_t filled = 0;
    for (uint32_t i = 0; i < logits->count && count > 0; i++) {
        if (filled == count) {
            const float min = values[ids[count - 1]];
            /* None of the next ones is better. */
            while (i < logits->count && i % PEAK_VALUES == 0 && !(logits->peaks[i / PEAK_VALUES] > min))
                i += PEAK_VALUES;
            if (i >= logits->count || !(values[i] > min))
                continue;
        }
        uint32_t place = filled < count ? filled++ : count - 1;
        for (; place > 0 && values[i] > values[ids[place - 1]]; place--)
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

/* Sorts few candidates, most likely first; equal ones stay in the order of their ids. */
static void insert_sorted(struct candidate *candidates, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct candidate moved = candidates[i];
        uint32_t at = i;
        for (; at > 0 && candidates[at - 1].weight < moved.weight; at--)
            candidates[at] = candidates[at - 1];
        candidates[at] = moved;
    }
}

/* The place of a weight, at most 1, in descending order; and ten bits of it. */
static uint32_t digit_of(float weight, int digit)
{
    return (0x3fffffff - float_bits(weight)) >> digit * DIGIT_BITS & (DIGIT_VALUES - 1);
}

/* Sorts candidates, most likely first, ties by the lower id: candidates come in the order of their ids, and a radix
 * sort keeps it. */
static void sort_candidates(struct sampler_scratch *s, uint32_t count)
{
    if (count <= MAX_INSERTED) {
        insert_sorted(s->candidates, count);
        return;
    }
    uint32_t places[DIGITS][DIGIT_VALUES] = {0};
    for (uint32_t i = 0; i < count; i++)
        for (int digit = 0; digit < DIGITS; digit++)
            places[digit][digit_of(s->candidates[i].weight, digit)]++;
    for (int digit = 0; digit < DIGITS; digit++) {
        uint32_t before = 0;
        for (uint32_t value = 0; value < DIGIT_VALUES; value++) {
            const uint32_t its = places[digit][value];
            places[digit][value] = before;
            before += its;
        }
        for (uint32_t i = 0; i < count; i++)
            s->sorted[places[digit][digit_of(s->candidates[i].weight, digit)]++] = s->candidates[i];
        struct candidate *other = s->sorted;
        s->sorted = s->candidates;
        s->candidates = other;
    }
}

/* Whether any of the weights, which are not negative, is at least `min`. */
static bool has_weight(const float *weights, uint32_t count, float min)
{
    const int32_t bits = (int32_t)float_bits(min);
    int32_t has = 0;
    for (uint32_t i = 0; i < count; i++)
        has |= (int32_t)float_bits(weights[i]) >= bits;
    return has != 0;
}

/* Fills candidates, sorted, with the tokens whose weight is at least `min`; returns how many. */
static uint32_t gather(struct sampler_scratch *s, float min)
{
    uint32_t count = 0;
    for (uint32_t begin = 0; begin < s->weight_count; begin += TOGETHER) {
        const uint32_t end = s->weight_count - begin < TOGETHER ? s->weight_count : begin + TOGETHER;
        if (!has_weight(s->weights + begin, end - begin, min))
            continue;
        for (uint32_t i = begin; i < end; i++)
            if (s->weights[i] >= min && s->weights[i] > 0.0f)
                s->candidates[count++] = (struct candidate){s->weights[i], s->has_ids ? s->ids[i] : (int32_t)i};
    }
    sort_candidates(s, count);
    return count;
}

static double sum_of(const struct candidate *candidates, uint32_t count)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++)
        sum += (double)candidates[i].weight;
    return sum;
}

/* Weights down to which candidates are sorted, one level after another until there are enough. */
static const float levels[] = {0x1p-7f, 0x1p-14f, 0x1p-28f, 0.0f};
enum { LEVELS = sizeof levels / sizeof *levels };

/* Draws one of the first candidates and notes what it was drawn from; false: it lies behind them. */
static bool draw_one(struct sampler_scratch *s, uint32_t kept, double mass, bool has_all_kept, double uniform,
                     int32_t *token)
{
    double target = uniform * mass, sum = 0.0;
    uint32_t at = 0;
    while (at < kept && (sum += (double)s->candidates[at].weight) <= target)
        at++;
    if (at == kept && !has_all_kept)
        return false;
    const struct candidate drawn = s->candidates[at < kept ? at : kept - 1];
    s->kept = kept;
    s->has_all_kept = has_all_kept;
    s->mass = mass;
    s->drawn = drawn.weight;
    *token = drawn.id;
    return true;
}

/* The weights relative to the most likely token are in scratch, `total` is their sum. Only as many candidates are
 * sorted as can matter: levels of weight are added until they hold what the filters or the draw can reach. */
static int32_t draw(struct sampler *sampler, struct sampler_scratch *s, double total)
{
    const struct smollm_sampling *o = &sampler->options;
    double uniform = random_uniform(o->seed, sampler->draws++);
    int32_t token = -1;
    for (size_t level = 0; level < LEVELS; level++) {
        bool all = levels[level] == 0.0f;
        /* Nothing below min-p can be drawn; but top-p after top-k takes its share of the k, unlikely ones too. */
        float floor = o->top_k > 0 && o->top_p < 1.0f ? 0.0f : o->min_p;
        float min = levels[level] > floor ? levels[level] : floor;
        uint32_t count = gather(s, min);
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
        } else if (o->min_p > 0.0f) {
            if (!complete)
                continue; /* the mass of what min-p leaves is not known yet */
            mass = sum_of(s->candidates, count);
        }
        if (kept > 1 && s->candidates[kept - 1].weight < o->min_p) {
            while (kept > 1 && s->candidates[kept - 1].weight < o->min_p)
                kept--;
            mass = sum_of(s->candidates, kept);
        }
        /* What top-p leaves is known at any level. */
        if (draw_one(s, kept, mass, complete || o->top_p < 1.0f, uniform, &token))
            break;
    }
    return token;
}

uint32_t sampler_probabilities(struct sampler_scratch *s, uint32_t count, int32_t *ids, double *probabilities,
                               double *drawn)
{
    for (size_t level = 0; !s->has_all_kept && s->kept < count; level++) {
        s->kept = gather(s, levels[level]);
        s->has_all_kept = levels[level] == 0.0f;
    }
    const uint32_t filled = s->kept < count ? s->kept : count;
    for (uint32_t i = 0; i < filled; i++) {
        ids[i] = s->candidates[i].id;
        probabilities[i] = (double)s->candidates[i].weight / s->mass;
    }
    *drawn = (double)s->drawn / s->mass;
    return filled;
}

/* Whether logits are not taken as they are. */
static bool changes_logits(const struct smollm_sampling *o)
{
    return o->logit_bias_count > 0 || o->repetition_penalty != 1.0f || o->presence_penalty != 0.0f ||
           o->frequency_penalty != 0.0f;
}

/* ---- Masks ---- */

static bool is_allowed(const uint32_t *allowed, int32_t token)
{
    return allowed[token / 32] >> token % 32 & 1;
}

static void forbid_others(float *logits, const uint32_t *allowed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 32) {
        const uint32_t bits = allowed[i / 32], end = count - i < 32 ? count - i : 32;
        for (uint32_t k = 0; bits != UINT32_MAX && k < end; k++)
            logits[i + k] = bits >> k & 1 ? logits[i + k] : -__builtin_inff();
    }
}

/* The greatest logit of the allowed ones; the most likely token of all is often among them. */
static int32_t greatest_allowed(const struct logits *logits, const uint32_t *allowed)
{
    static_assert(PEAK_VALUES == 32, "a peak for each word of a mask");
    int32_t best = logits_greatest(logits);
    if (best < 0 || is_allowed(allowed, best))
        return best;
    float most = -__builtin_inff();
    best = -1;
    for (uint32_t i = 0; i < peak_count(logits->count); i++) {
        if (!(logits->peaks[i] > most))
            continue;
        for (uint32_t left = allowed[i]; left; left &= left - 1) {
            const uint32_t id = i * 32 + (uint32_t)__builtin_ctz(left);
            if (id < logits->count && logits->values[id] > most) {
                most = logits->values[id];
                best = (int32_t)id;
            }
        }
    }
    return best;
}

/* Takes the allowed tokens out of the vocabulary, if they are few. */
static bool take_few(struct sampler_scratch *s, const struct logits *logits, const uint32_t *allowed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < logits->count; i += 32)
        for (uint32_t left = allowed[i / 32]; left; left &= left - 1) {
            const uint32_t id = i + (uint32_t)__builtin_ctz(left);
            if (count == FEW)
                return false;
            if (id >= logits->count)
                break;
            s->weights[count] = logits->values[id];
            s->ids[count++] = (int32_t)id;
        }
    s->weight_count = count;
    s->has_ids = true;
    return true;
}

/* The weights' logarithms: of the tokens that may be drawn. allowed: as far as the logits do not show it; or NULL. */
static void take_weights(struct sampler_scratch *s, const struct logits *logits, const uint32_t *allowed, float maximum,
                         float temperature)
{
    s->has_ids = false;
    if (!allowed || !take_few(s, logits, allowed)) {
        s->weight_count = s->vocabulary;
        s->has_ids = false;
    }
    const float *values = s->has_ids ? s->weights : logits->values;
    for (uint32_t i = 0; i < s->weight_count; i++)
        s->weights[i] = (values[i] - maximum) / temperature;
    if (allowed && !s->has_ids)
        forbid_others(s->weights, allowed, s->vocabulary);
}

int sampler_next(struct sampler *sampler, struct sampler_scratch *s, const struct logits *logits,
                 const uint32_t *allowed, const int32_t *history, uint32_t history_count, int32_t *token)
{
    const struct smollm_sampling *o = &sampler->options;
    struct logits changed;
    if (changes_logits(o)) {
        memcpy(s->logits, logits->values, s->vocabulary * sizeof *s->logits);
        if (allowed)
            forbid_others(s->logits, allowed, s->vocabulary);
        for (size_t i = 0; i < o->logit_bias_count; i++)
            s->logits[o->logit_bias[i].token] += o->logit_bias[i].bias;
        apply_penalties(sampler, s->logits, history, history_count);
        changed = logits_look_at(s->kernels, s->logits, s->vocabulary, s->peaks);
        logits = &changed;
    }
    int32_t best = allowed ? greatest_allowed(logits, allowed) : logits_greatest(logits);
    if (best < 0 || logits->values[best] - logits->values[best] != 0.0f)
        return SMOLLM_ENUMERIC;
    if (o->temperature > 0.0f) {
        take_weights(s, logits, allowed, logits->values[best], o->temperature);
        double total;
        struct exponentials_args args = {.x = s->weights, .out = s->weights, .sum = &total, .size = s->weight_count};
        s->kernels->exponentials(&args);
        best = draw(sampler, s, total);
    } else {
        s->candidates[0] = (struct candidate){1.0f, best};
        draw_one(s, 1, 1.0, true, 0.0, token);
    }
    sampler->generated[best]++;
    *token = best;
    return 0;
}
