/* Parameters of queries, read by the table that their route has for them. */
#ifndef API_QUERY_INPUT_H
#define API_QUERY_INPUT_H

#include "api/api.h"
#include "api/core/api_error.h"

enum { QUERY_FIELDS_MAX = 4 };

/* A parameter: text, or a whole number of up to 19 digits. */
struct query_field {
    const char *name;
    bool is_number;
    bool is_required; /* and not empty */
    const char *summary;
};

/* An empty text or 0 where the parameter is missing or empty. */
struct query_value {
    struct buffer text;
    uint64_t number;
};

/* Reads the parameters of the call's route into values [QUERY_FIELDS_MAX], in the order of its table. What is missing
 * or no number is refused with its name; parameters that the route does not have are ignored. The caller frees the
 * values with query_free, on failure too. */
int query_read(const struct api_call *call, struct query_value *values, struct api_error *error);
void query_free(struct query_value *values);

#endif
