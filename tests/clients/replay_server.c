/* The program with answers from a script: smollm with its command line, linked so that sampler_next returns the tokens
 * of scripted texts (`--wrap` of the linker, see meson.build). The rest is the real thing: the model computes every
 * pass, and its chat format, masks, prefix cache and parser do what they always do. It tests the protocol of agents
 * that a small model cannot drive.
 *
 * REPLAY_SCRIPT names a JSON file: a list of {"name", "when": [text...], "say": text}. The answer is that of the first
 * rule whose `when` are all in the text of the prompt. REPLAY_MODEL is the path of the model that is served, for its
 * tokenizer. Each choice is reported on standard error: "replay: rule NAME, prompt of N tokens, M of them in an earlier
 * one". With REPLAY_PROMPTS set, the prompt is written there too. */
#include "sampling/sampler.h"
#include "smollm.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RULES = 32, MAX_SAMPLERS = 64, MAX_SEQUENCES = 256 };

struct rule {
    const char *name;
    const json_t *when;
    int32_t *tokens; /* with the end of the turn */
    size_t count;
};

/* What one sampler, that is one slot of the engine, is saying. */
struct replay {
    const struct sampler *sampler;
    const struct rule *rule; /* NULL: not chosen yet */
    size_t said;
};

/* A prompt that was answered, and the answer that was chosen for it. */
struct sequence {
    int32_t *tokens;
    size_t count;
};

/* All of it belongs to the thread of the engine. */
static struct {
    struct smollm_model *model; /* NULL: the script has not been read yet */
    struct rule rules[MAX_RULES];
    size_t rule_count;
    struct replay replays[MAX_SAMPLERS];
    struct sequence sequences[MAX_SEQUENCES];
    size_t sequence_count;
} script;

int __real_sampler_next(struct sampler *sampler, struct sampler_scratch *scratch, const struct logits *logits,
                        const uint32_t *allowed, const int32_t *history, uint32_t history_count, int32_t *token);
int __wrap_sampler_next(struct sampler *sampler, struct sampler_scratch *scratch, const struct logits *logits,
                        const uint32_t *allowed, const int32_t *history, uint32_t history_count, int32_t *token);
void __real_sampler_resume(struct sampler *sampler, const int32_t *generated, uint32_t count);
void __wrap_sampler_resume(struct sampler *sampler, const int32_t *generated, uint32_t count);

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "replay: %s: %s\n", what, detail);
    abort();
}

static void read_script(void)
{
    const char *path = getenv("REPLAY_SCRIPT"), *model_path = getenv("REPLAY_MODEL");
    if (!path || !model_path)
        fail("not set", "REPLAY_SCRIPT or REPLAY_MODEL");
    struct smollm_error error;
    struct smollm_model_options options = SMOLLM_MODEL_OPTIONS_INIT;
    options.vocabulary_only = true;
    if (smollm_model_open(model_path, &options, &script.model, &error) != 0)
        fail(model_path, error.message);
    struct smollm_model_info info;
    smollm_model_get_info(script.model, &info);
    json_error_t json_error;
    const json_t *rules = json_load_file(path, 0, &json_error);
    if (json_array_size(rules) == 0 || json_array_size(rules) > MAX_RULES)
        fail(path, rules ? "no list of 1 to 32 rules" : json_error.text);
    for (; script.rule_count < json_array_size(rules); script.rule_count++) {
        const json_t *given = json_array_get(rules, script.rule_count);
        struct rule *rule = &script.rules[script.rule_count];
        const json_t *say = json_object_get(given, "say");
        *rule = (struct rule){.name = json_string_value(json_object_get(given, "name")),
                              .when = json_object_get(given, "when")};
        if (!rule->name || !json_is_string(say))
            fail(path, "a rule without name or say");
        const struct smollm_text text = {json_string_value(say), json_string_length(say)};
        struct smollm_tokenize_options plain = SMOLLM_TOKENIZE_OPTIONS_INIT;
        int32_t *tokens;
        if (smollm_tokenize(script.model, text, &plain, &tokens, &rule->count, &error) != 0)
            fail(path, error.message);
        rule->tokens = calloc(rule->count + 1, sizeof *rule->tokens);
        if (!rule->tokens)
            fail(path, "out of memory");
        memcpy(rule->tokens, tokens, rule->count * sizeof *tokens);
        rule->tokens[rule->count++] = info.eos_token;
        smollm_free(tokens);
    }
}

static bool has_all(const char *prompt, const json_t *texts)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (!strstr(prompt, json_string_value(json_array_get(texts, i))))
            return false;
    return true;
}

/* The longest beginning of the prompt that an earlier sequence has too: what the prefix cache should hold. */
static size_t known_tokens(const int32_t *prompt, size_t count)
{
    size_t longest = 0;
    for (size_t i = 0; i < script.sequence_count; i++) {
        const struct sequence *earlier = &script.sequences[i];
        size_t known = 0;
        while (known < count && known < earlier->count && prompt[known] == earlier->tokens[known])
            known++;
        longest = known > longest ? known : longest;
    }
    return longest;
}

static void keep_sequence(const int32_t *prompt, size_t count, const struct rule *rule)
{
    if (script.sequence_count == MAX_SEQUENCES)
        fail("too many", "sequences");
    struct sequence *kept = &script.sequences[script.sequence_count++];
    kept->count = count + rule->count;
    kept->tokens = calloc(kept->count, sizeof *kept->tokens);
    if (!kept->tokens)
        fail("prompt", "out of memory");
    memcpy(kept->tokens, prompt, count * sizeof *prompt);
    memcpy(kept->tokens + count, rule->tokens, rule->count * sizeof *rule->tokens);
}

static const struct rule *choose(const int32_t *prompt, uint32_t count)
{
    struct smollm_text text;
    struct smollm_error error;
    if (smollm_detokenize(script.model, prompt, count, &text, &error) != 0)
        fail("prompt", error.message);
    char *string = strndup(text.data, text.size);
    smollm_free((void *)(uintptr_t)text.data);
    if (!string)
        fail("prompt", "out of memory");
    const struct rule *chosen = NULL;
    for (size_t i = 0; i < script.rule_count && !chosen; i++)
        if (has_all(string, script.rules[i].when))
            chosen = &script.rules[i];
    if (!chosen)
        fail("no rule for this prompt", string);
    if (getenv("REPLAY_PROMPTS"))
        fprintf(stderr, "%s\n", string);
    free(string);
    fprintf(stderr, "replay: rule %s, prompt of %u tokens, %zu of them in an earlier one\n", chosen->name, count,
            known_tokens(prompt, count));
    keep_sequence(prompt, count, chosen);
    return chosen;
}

static struct replay *replay_of(const struct sampler *sampler)
{
    size_t i = 0;
    while (script.replays[i].sampler && script.replays[i].sampler != sampler)
        if (++i == MAX_SAMPLERS)
            fail("too many", "samplers");
    script.replays[i].sampler = sampler;
    return &script.replays[i];
}

/* The engine calls it for every sequence that gets a slot: at its beginning, and after a pause. */
void __wrap_sampler_resume(struct sampler *sampler, const int32_t *generated, uint32_t count)
{
    __real_sampler_resume(sampler, generated, count);
    *replay_of(sampler) = (struct replay){.sampler = sampler, .said = count};
}

int __wrap_sampler_next(struct sampler *sampler, struct sampler_scratch *scratch, const struct logits *logits,
                        const uint32_t *allowed, const int32_t *history, uint32_t history_count, int32_t *token)
{
    if (!script.model)
        read_script();
    struct replay *replay = replay_of(sampler);
    if (!replay->rule)
        replay->rule = choose(history, history_count - (uint32_t)replay->said);
    int status = __real_sampler_next(sampler, scratch, logits, allowed, history, history_count, token);
    if (status < 0 || replay->said >= replay->rule->count)
        return status;
    int32_t next = replay->rule->tokens[replay->said];
    if (allowed && !(allowed[next / 32] >> (next % 32) & 1)) {
        fprintf(stderr, "replay: rule %s: token %zu of its text is not allowed by the answer's form\n",
                replay->rule->name, replay->said);
        return SMOLLM_ENUMERIC;
    }
    sampler->generated[*token]--;
    sampler->generated[next]++;
    *token = next;
    replay->said++;
    return 0;
}
