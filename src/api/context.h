/* What all answers of one server share. Internal to api/. */
#ifndef API_CONTEXT_H
#define API_CONTEXT_H

#include "api/api.h"
#include "api/open_generations.h"
#include "api/refusals.h"

#include <stdatomic.h>

struct api {
    struct api_options options;
    _Atomic uint32_t loaded_permille; /* of the model */
    _Atomic bool is_draining;
    /* What follows is written before this is set, and constant from then on. */
    _Atomic bool is_attached;
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct smollm_model_info info;
    char *name;
    char fingerprint[48];
    int64_t started; /* seconds since 1970 */
    struct refusals refusals;
    struct open_generations open;
};

#endif
