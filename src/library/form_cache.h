/* Grammars of an engine's requests, compiled once for each content, and the tree of the model's tokens. Internal to
 * library/.
 *
 * Any thread may ask. A grammar is read on the engine's thread alone, so all requests of the engine can share it. */
#ifndef LIBRARY_FORM_CACHE_H
#define LIBRARY_FORM_CACHE_H

#include "grammar/grammar.h"
#include "smollm.h"

struct form_cache;

int form_cache_create(const struct smollm_model *model, struct form_cache **cache, struct smollm_error *error);
/* Grammars that are still held live on. Accepts NULL. */
void form_cache_destroy(struct form_cache *cache);

/* A form as a grammar's source, which borrows from it. */
int form_cache_source(const struct smollm_form *form, struct grammar_source *source, struct smollm_error *error);
/* The grammar of a source; the caller releases it. */
int form_cache_get(struct form_cache *cache, const struct grammar_source *source, struct grammar **grammar,
                   struct smollm_error *error);
/* Made with the first form, which takes a moment; borrowed until the cache is destroyed. */
int form_cache_trie(struct form_cache *cache, const struct token_trie **trie, struct smollm_error *error);

#endif
