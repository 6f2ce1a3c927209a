/* Routes are rows of tables: each dialect has one, and route_table.c lists them. docs/howto/route.md. */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/core/context.h"
#include "api/core/generation_request.h"
#include "api/core/json_input.h"
#include "api/core/protocol.h"
#include "api/core/query_input.h"

struct generation_format;

/* Answers at once: appends the body and returns 0, or the status if it is not 200; or returns -1 with an error. json:
 * the request's body, NULL where the route takes none. */
typedef int route_function(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error);

/* Finds a stream that goes on beside this request: sets *reader, or returns -1 with an error. */
typedef int route_reader(struct api *api, const struct api_call *call, struct kept_reader **reader,
                         struct api_error *error);

enum route_flags {
    ROUTE_PUBLIC = 1,        /* needs no key */
    ROUTE_WHILE_LOADING = 2, /* answers before there is a model */
    ROUTE_TELLS_START = 4,   /* its head tells when the server started */
    ROUTE_MAY_BE_EMPTY = 8,  /* an empty body counts as {} */
};

/* A row has one of `answer`, `read` and `format`. Routes that answer to POST take a JSON object and run on a worker
 * thread; the others run on the event loop, so they read atomics and constants, and take only mutexes that are held for
 * as long as it takes to copy some bytes. */
struct route {
    const char *path; /* "/v1/models/{model}": a name in braces, only at the end, stands for the rest of the path */
    enum api_method method;
    unsigned flags;
    const struct protocol *protocol; /* of its errors */
    route_function *answer;
    route_reader *read;
    const struct generation_format *format;
    const char *summary;                    /* of its description */
    const struct field_list *const *fields; /* of its body; NULL ends them */
    const struct query_field *query;        /* of its query, up to QUERY_FIELDS_MAX; a name NULL ends them */
    const char *content_type;               /* of what `answer` writes; NULL: application/json */
};

/* For struct route.fields and struct route.query. */
#define ROUTE_FIELDS(...) ((const struct field_list *const[]){__VA_ARGS__, NULL})
#define ROUTE_QUERY(...) ((const struct query_field[]){__VA_ARGS__, {0}})

struct route_list {
    const struct route *routes;
    size_t count;
};

#define ROUTE_LIST(rows)                                                                                               \
    {                                                                                                                  \
        rows, sizeof(rows) / sizeof *(rows)                                                                            \
    }

#endif
