/* All routes: a new dialect adds its list here. */
#ifndef API_ROUTE_TABLE_H
#define API_ROUTE_TABLE_H

#include "api/core/route.h"

/* The lists of all dialects; NULL ends them. */
const struct route_list *const *route_table(void);
/* openapi.c: /openapi.json, a description of them all. */
route_function openapi_describe;
/* The protocol of errors at a path that is no route. */
const struct protocol *route_table_protocol(struct smollm_text path);

#endif
