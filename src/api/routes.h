/* The answers that are complete at once. Internal to api/. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/context.h"
#include "api/json_input.h"

/* Each appends the body to out, or returns -1 with an error. */
/* Returns the status. */
int route_health(const struct api *api, struct buffer *out);
void route_props(const struct api *api, struct buffer *out);
void route_slots(const struct api *api, struct buffer *out);
void route_metrics(const struct api *api, struct buffer *out);
void route_models(const struct api *api, struct buffer *out);
/* The model whose percent-encoded name ends the path. */
int route_model(const struct api *api, struct smollm_text path, struct buffer *out, struct api_error *error);

int route_tokenize(const struct api *api, const json_t *json, struct buffer *out, struct api_error *error);
int route_detokenize(const struct api *api, const json_t *json, struct buffer *out, struct api_error *error);
int route_apply_template(const struct api *api, const json_t *json, struct buffer *out, struct api_error *error);
/* 404 when no answer with the id in the body is under way for the call's key. */
int route_end_thinking(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                       struct api_error *error);

#endif
