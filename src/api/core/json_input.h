/* JSON from outside: checked before and while it is parsed, and read by tables of fields. */
#ifndef API_JSON_INPUT_H
#define API_JSON_INPUT_H

#include "api/core/api_error.h"

#include <jansson.h>

enum {
    JSON_DEPTH_MAX = 64,
    JSON_NESTS_MAX = 1 << 16,  /* arrays and objects */
    JSON_VALUES_MAX = 1 << 20, /* of all kinds: bounds the memory of what is parsed */
};

/* An object. Refused with 400: invalid JSON (RFC 8259), values other than objects, bodies beyond the limits, and
 * invalid UTF-8. What clients send beyond RFC 8259 and is accepted: api/json_prepare.h. The caller frees *object with
 * json_decref. */
int json_input_parse(struct smollm_text body, json_t **object, struct api_error *error);
/* Whether a value is a string; a number that is too large (NUMBER_MARK) is not. */
bool json_input_is_string(const json_t *value);
/* A JSON value as text, its numbers as the client wrote them. NULL: out of memory. The caller frees it with free(). */
char *json_input_dump(const json_t *value, size_t *size);
/* The same with spaces after commas and colons, as people and most programs write it. */
char *json_input_dump_spaced(const json_t *value, size_t *size);

/* A field that is read by code of its own, as descriptions list it. */
struct named_field {
    const char *name;
    const char *type; /* of JSON Schema: "string", "array"; NULL: several */
    bool is_required;
};

enum field_kind { FIELD_INTEGER, FIELD_NUMBER, FIELD_TRUTH };

/* A field of a request and where it goes: FIELD_INTEGER to an int64_t, FIELD_NUMBER to a double, FIELD_TRUTH to a
 * bool. A number without a fraction is an integer, whether written 5 or 5.0. */
struct json_field {
    const char *name;
    enum field_kind kind;
    double min, max; /* both allowed; not used by FIELD_TRUTH */
    size_t offset;   /* in the struct that is filled */
};

/* Reads each field of the table that the object has; null counts as absent. A wrong type or range is refused with the
 * field's name in param. Other fields are ignored. */
int json_input_fields(const json_t *object, const struct json_field *fields, size_t count, void *target,
                      struct api_error *error);

/* The value of a key; NULL when it is absent or null. */
json_t *json_input_value(const json_t *object, const char *key);
/* A string, {NULL, 0} when absent or null; refused when it is something else. Borrowed from the object. */
int json_input_text(const json_t *object, const char *key, struct smollm_text *text, struct api_error *error);
struct smollm_text json_input_string(const json_t *string);
/* An integer in a range, refused with `param` as its name. */
int json_input_integer(const json_t *value, const char *param, int64_t min, int64_t max, int64_t *result,
                       struct api_error *error);
/* "a string", "an array" */
const char *json_input_kind(const json_t *value);

#endif
