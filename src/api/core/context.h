/* What all answers of one server share. Internal to api/. */
#ifndef API_CONTEXT_H
#define API_CONTEXT_H

#include "api/api.h"
#include "api/core/kept_answers.h"
#include "api/core/kept_streams.h"
#include "api/core/open_generations.h"
#include "api/core/refusals.h"

#include <stdatomic.h>

enum { API_NAMES_MAX = 32 };

struct api {
    struct api_options options;
    _Atomic uint32_t loaded_permille; /* of the model */
    _Atomic bool is_draining;
    /* What follows is written before this is set, and constant from then on. */
    _Atomic bool is_attached;
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct smollm_model_info info;
    char *name_texts;                 /* all names, each ended by NUL */
    const char *names[API_NAMES_MAX]; /* of the model: the first in answers, the others are aliases */
    size_t name_count;
    char fingerprint[48];
    int64_t started;                 /* seconds since 1970 */
    char started_header[64];         /* a line of a response's head that tells it */
    _Atomic uint64_t longest_tokens; /* of a prompt and its answer, so far */
    struct refusals refusals;
    struct open_generations open;
    struct kept_answers kept;
    struct kept_streams streams;
};

/* The name of the model that a request asks for: one of the model's names, in any case and with or without ":latest"
 * at its end; NULL: the request names another model, or none. */
const char *api_find_model(const struct api *api, struct smollm_text name);

#endif
