/* What all answers of one server share. Internal to api/. */
#ifndef API_CONTEXT_H
#define API_CONTEXT_H

#include "api/api.h"
#include "api/refusals.h"

struct api {
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct api_options options;
    struct smollm_model_info info;
    char *name;
    char fingerprint[40];
    int64_t started; /* seconds since 1970 */
    struct refusals refusals;
};

#endif
