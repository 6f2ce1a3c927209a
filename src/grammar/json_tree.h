/* JSON text as a tree in a pool: numbers as they are written, so that none is rounded, members in their order, and for
 * each value the place where it stands, for messages. */
#ifndef GRAMMAR_JSON_TREE_H
#define GRAMMAR_JSON_TREE_H

#include "base/text.h"
#include "grammar/pool.h"

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

struct json_node {
    uint8_t kind;              /* enum json_kind */
    uint32_t count;            /* of children */
    uint32_t mark;             /* for the reader's user */
    struct smollm_text text;   /* of a string: decoded; of a number: as written */
    struct smollm_text key;    /* of a member: decoded */
    struct smollm_text source; /* the value in the text that was read, borrowed */
    struct json_node *parent;  /* NULL: the root */
    struct json_node *next;    /* the next child of the parent */
    struct json_node *first;   /* child */
    struct json_node **index;  /* of an object with many members: sorted by key; made when needed */
};

/* SMOLLM_EINVAL with the byte where it is not JSON; of members with one name the last counts. */
int json_tree_parse(struct pool *pool, struct smollm_text text, struct json_node **root, struct smollm_error *error);

/* The member of an object, or NULL (for other values too). */
struct json_node *json_tree_get(struct pool *pool, struct json_node *object, const char *key);
struct json_node *json_tree_get_text(struct pool *pool, struct json_node *object, struct smollm_text key);
/* Whether JSON Schema takes the values as equal: 1 and 1.0 are, members are in any order. */
bool json_tree_equal(struct pool *pool, struct json_node *a, struct json_node *b);

/* "properties.a.items[2]"; of the root "". */
void json_tree_place(const struct json_node *node, char *out, size_t size);

/* A number as digits * 10^exponent without zeros at either end of the digits; zero has no digits. */
struct json_decimal {
    bool negative;
    struct smollm_text digits;
    int64_t exponent;
};
struct json_decimal json_decimal_of(struct pool *pool, struct smollm_text number);
bool json_decimal_equal(const struct json_decimal *a, const struct json_decimal *b);
bool json_decimal_is_integer(const struct json_decimal *a);
/* A whole number that fits, clamped to `max`; false when it is negative or no whole number. */
bool json_tree_count(struct pool *pool, const struct json_node *node, uint32_t max, uint32_t *count);

#endif
