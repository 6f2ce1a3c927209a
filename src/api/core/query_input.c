#include "api/core/query_input.h"

#include "api/core/path_text.h"
#include "api/core/route.h"

#include <stdlib.h>
#include <string.h>

static int read_number(const struct query_field *field, struct query_value *value, struct api_error *error)
{
    bool is_number = value->text.size < 20; /* digits of numbers that uint64_t holds for certain */
    for (size_t i = 0; i < value->text.size && is_number; i++)
        is_number = value->text.data[i] >= '0' && value->text.data[i] <= '9';
    if (!is_number)
        return api_refuse(error, field->name, "%s is '%.40s'; it must be a whole number: %s", field->name,
                          value->text.data, field->summary);
    value->number = value->text.size > 0 ? strtoull(value->text.data, NULL, 10) : 0;
    return 0;
}

int query_read(const struct api_call *call, struct query_value *values, struct api_error *error)
{
    memset(values, 0, QUERY_FIELDS_MAX * sizeof *values);
    const struct query_field *fields = call->route->query;
    for (size_t i = 0; i < QUERY_FIELDS_MAX && fields && fields[i].name; i++) {
        query_find(call->query, fields[i].name, &values[i].text);
        if (values[i].text.failed)
            return api_refuse_memory(error);
        if (fields[i].is_required && values[i].text.size == 0)
            return api_refuse(error, fields[i].name, "%s is missing in the query: %s", fields[i].name,
                              fields[i].summary);
        if (fields[i].is_number && read_number(&fields[i], &values[i], error) < 0)
            return -1;
    }
    return 0;
}

void query_free(struct query_value *values)
{
    for (size_t i = 0; i < QUERY_FIELDS_MAX; i++)
        buffer_free(&values[i].text);
}
