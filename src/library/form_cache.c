#include "library/form_cache.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "library/handles.h"
#include "library/sized.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { GRAMMARS_MAX = 32 };

struct cached_grammar {
    struct grammar *grammar; /* NULL: free */
    char *text;              /* what it was compiled from */
    size_t size;
    uint64_t hash, used;
};

struct form_cache {
    const struct smollm_model *model;
    pthread_mutex_t mutex;
    struct cached_grammar grammars[GRAMMARS_MAX];
    uint64_t uses;
    struct token_trie trie;
    struct smollm_text *texts; /* of the trie */
    bool has_trie;
};

int form_cache_create(const struct smollm_model *model, struct form_cache **result, struct smollm_error *error)
{
    struct form_cache *cache = calloc(1, sizeof *cache);
    RETURN_ERROR_IF(!cache, error, SMOLLM_ENOMEM, "out of memory");
    cache->model = model;
    pthread_mutex_init(&cache->mutex, NULL);
    *result = cache;
    return 0;
}

static void forget(struct cached_grammar *cached)
{
    grammar_release(cached->grammar);
    free(cached->text);
    *cached = (struct cached_grammar){0};
}

void form_cache_destroy(struct form_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < GRAMMARS_MAX; i++)
        forget(&cache->grammars[i]);
    token_trie_free(&cache->trie);
    free(cache->texts);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* ---- Grammars ---- */

int form_cache_source(const struct smollm_form *given, struct grammar_source *source, struct smollm_error *error)
{
    struct smollm_form copy = SMOLLM_FORM_INIT, *form = &copy;
    static const enum grammar_kind kinds[] = {[SMOLLM_FORM_JSON] = GRAMMAR_SCHEMA,
                                              [SMOLLM_FORM_SCHEMA] = GRAMMAR_SCHEMA,
                                              [SMOLLM_FORM_GRAMMAR] = GRAMMAR_GBNF,
                                              [SMOLLM_FORM_REGEX] = GRAMMAR_REGEX,
                                              [SMOLLM_FORM_CHOICE] = GRAMMAR_CHOICE};
    int status = sized_read(form, sizeof copy, given, given->size, "smollm_form", error);
    if (status < 0)
        return status;
    RETURN_ERROR_IF((unsigned)form->kind >= sizeof kinds / sizeof *kinds, error, SMOLLM_EINVAL,
                    "%d is not a kind of form", (int)form->kind);
    *source = (struct grammar_source){.kind = kinds[form->kind],
                                      .as_listed = true,
                                      .text = form->text,
                                      .texts = form->choices,
                                      .text_count = form->choice_count};
    if (form->kind == SMOLLM_FORM_JSON)
        source->text = text_of("{\"type\":\"object\"}");
    return 0;
}

static int compile(const struct grammar_source *source, struct grammar **grammar, struct smollm_error *error)
{
    static const char *const names[] = {[GRAMMAR_SCHEMA] = "JSON schema",
                                        [GRAMMAR_GBNF] = "grammar",
                                        [GRAMMAR_REGEX] = "regular expression",
                                        [GRAMMAR_CHOICE] = "choice",
                                        [GRAMMAR_TOOLS] = "tools"};
    int status = grammar_compile(source, grammar, error);
    if (status < 0)
        error_prefix(error, "%s", names[source->kind]);
    return status;
}

/* The source as one text. */
static void write_key(const struct grammar_source *source, struct buffer *key)
{
    buffer_printf(key, "%d%d:", (int)source->kind, source->as_listed);
    buffer_append_text(key, source->text);
    for (size_t i = 0; i < source->text_count; i++) {
        buffer_printf(key, "%zu:", source->texts[i].size);
        buffer_append_text(key, source->texts[i]);
    }
    buffer_printf(key, "%d%d%d%d", source->is_bare, source->after_marker, source->several, source->is_lenient);
    for (size_t i = 0; i < source->tool_count; i++) {
        const struct grammar_tool *tool = &source->tools[i];
        buffer_printf(key, "%zu:%zu:", tool->name.size, tool->schema.size);
        buffer_append_text(key, tool->name);
        buffer_append_text(key, tool->schema);
    }
    if (source->otherwise)
        write_key(source->otherwise, key);
}

/* Under the mutex. */
static struct grammar *find(struct form_cache *cache, const struct buffer *key, uint64_t hash)
{
    for (int i = 0; i < GRAMMARS_MAX; i++) {
        struct cached_grammar *cached = &cache->grammars[i];
        if (cached->grammar && cached->hash == hash && cached->size == key->size &&
            memcmp(cached->text, key->data, key->size) == 0) {
            cached->used = ++cache->uses;
            return grammar_hold(cached->grammar);
        }
    }
    return NULL;
}

/* Under the mutex: takes the place of the grammar that was not used for longest. */
static void insert(struct form_cache *cache, struct buffer *key, uint64_t hash, struct grammar *grammar)
{
    struct cached_grammar *place = &cache->grammars[0];
    for (int i = 1; i < GRAMMARS_MAX; i++)
        if (cache->grammars[i].used < place->used)
            place = &cache->grammars[i];
    forget(place);
    *place = (struct cached_grammar){grammar_hold(grammar), key->data, key->size, hash, ++cache->uses};
    *key = (struct buffer){0};
}

int form_cache_get(struct form_cache *cache, const struct grammar_source *source, struct grammar **grammar,
                   struct smollm_error *error)
{
    struct buffer key = {0};
    int status = 0;
    write_key(source, &key);
    if (key.failed) {
        buffer_free(&key);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for a form");
    }
    const uint64_t hash = hash_bytes(key.data, key.size, 0);
    pthread_mutex_lock(&cache->mutex);
    *grammar = find(cache, &key, hash);
    pthread_mutex_unlock(&cache->mutex);
    if (!*grammar) {
        status = compile(source, grammar, error);
        if (status == 0) {
            pthread_mutex_lock(&cache->mutex);
            insert(cache, &key, hash, *grammar);
            pthread_mutex_unlock(&cache->mutex);
        }
    }
    buffer_free(&key);
    return status;
}

int smollm_check_form(const struct smollm_form *given, struct smollm_error *error)
{
    struct grammar_source source;
    struct grammar *grammar = NULL;
    int status = form_cache_source(given, &source, error);
    if (status == 0)
        status = compile(&source, &grammar, error);
    grammar_release(grammar);
    return status;
}

/* ---- The tree of tokens ---- */

static int make_trie(struct form_cache *cache, struct smollm_error *error)
{
    const struct tokenizer *tokenizer = cache->model->tokenizer;
    const uint32_t count = (uint32_t)tokenizer_token_count(tokenizer);
    cache->texts = array_allocate(count, sizeof *cache->texts);
    RETURN_ERROR_IF(!cache->texts, error, SMOLLM_ENOMEM, "out of memory for %u tokens", count);
    for (uint32_t id = 0; id < count; id++)
        if (!tokenizer_is_special(tokenizer, (int32_t)id))
            cache->texts[id] = tokenizer_token_text(tokenizer, (int32_t)id);
    int status = token_trie_create(&cache->trie, cache->texts, count, error);
    if (status < 0) {
        free(cache->texts);
        cache->texts = NULL;
    }
    cache->has_trie = status == 0;
    return status;
}

int form_cache_trie(struct form_cache *cache, const struct token_trie **trie, struct smollm_error *error)
{
    pthread_mutex_lock(&cache->mutex);
    int status = cache->has_trie ? 0 : make_trie(cache, error);
    pthread_mutex_unlock(&cache->mutex);
    *trie = &cache->trie;
    return status;
}
