/* JSON Schema, drafts 4 to 2020-12, as constraints on values.
 *
 * A constraint is a set of conditions that all hold; a condition is a subschema, or that a subschema does not hold. It
 * is taken apart by the kind of the value. What scalars may be follows at once: strings and numbers are languages
 * (term.h), in which "allOf", "anyOf", "oneOf" and "not" are operations. Arrays and objects have *shapes*: each is a
 * list of conditions that all hold (required members, conditions on members and elements, bounds, ...), and a value is
 * allowed if one of the shapes allows it. So a disjunction becomes several shapes, and "not" is moved inwards until it
 * stands before conditions on members.
 * Attouche, Baazizi, Colazzo, Ghelli, Sartiani and Scherzinger, "Witness generation for JSON Schema", 2022.
 *
 * Where a combination cannot be said in this way, less is allowed, never more. Everything is computed when it is first
 * needed, within the bounds of the pool. */
#ifndef GRAMMAR_SCHEMA_H
#define GRAMMAR_SCHEMA_H

#include "grammar/json_tree.h"
#include "grammar/number.h"
#include "grammar/term.h"

typedef uint32_t constraint;

/* No value; every value. */
enum { CONSTRAINT_NONE, CONSTRAINT_ANY };

enum schema_draft { DRAFT_ANY, DRAFT_4 = 4, DRAFT_6 = 6, DRAFT_7 = 7, DRAFT_2019 = 2019, DRAFT_2020 = 2020 };

/* The keywords with conditions, and the drafts that know them: constant, name, first and last draft. */
#define SCHEMA_KEYWORDS(X)                                                                                             \
    X(KEYWORD_REF, "$ref", DRAFT_4, DRAFT_2020)                                                                        \
    X(KEYWORD_TYPE, "type", DRAFT_4, DRAFT_2020)                                                                       \
    X(KEYWORD_ENUM, "enum", DRAFT_4, DRAFT_2020)                                                                       \
    X(KEYWORD_CONST, "const", DRAFT_6, DRAFT_2020)                                                                     \
    X(KEYWORD_ALL_OF, "allOf", DRAFT_4, DRAFT_2020)                                                                    \
    X(KEYWORD_ANY_OF, "anyOf", DRAFT_4, DRAFT_2020)                                                                    \
    X(KEYWORD_ONE_OF, "oneOf", DRAFT_4, DRAFT_2020)                                                                    \
    X(KEYWORD_NOT, "not", DRAFT_4, DRAFT_2020)                                                                         \
    X(KEYWORD_IF, "if", DRAFT_7, DRAFT_2020)                                                                           \
    X(KEYWORD_THEN, "then", DRAFT_7, DRAFT_2020)                                                                       \
    X(KEYWORD_ELSE, "else", DRAFT_7, DRAFT_2020)                                                                       \
    X(KEYWORD_MIN_LENGTH, "minLength", DRAFT_4, DRAFT_2020)                                                            \
    X(KEYWORD_MAX_LENGTH, "maxLength", DRAFT_4, DRAFT_2020)                                                            \
    X(KEYWORD_PATTERN, "pattern", DRAFT_4, DRAFT_2020)                                                                 \
    X(KEYWORD_FORMAT, "format", DRAFT_4, DRAFT_2020)                                                                   \
    X(KEYWORD_MINIMUM, "minimum", DRAFT_4, DRAFT_2020)                                                                 \
    X(KEYWORD_MAXIMUM, "maximum", DRAFT_4, DRAFT_2020)                                                                 \
    X(KEYWORD_EXCLUSIVE_MINIMUM, "exclusiveMinimum", DRAFT_4, DRAFT_2020)                                              \
    X(KEYWORD_EXCLUSIVE_MAXIMUM, "exclusiveMaximum", DRAFT_4, DRAFT_2020)                                              \
    X(KEYWORD_MULTIPLE_OF, "multipleOf", DRAFT_4, DRAFT_2020)                                                          \
    X(KEYWORD_PROPERTIES, "properties", DRAFT_4, DRAFT_2020)                                                           \
    X(KEYWORD_PATTERN_PROPERTIES, "patternProperties", DRAFT_4, DRAFT_2020)                                            \
    X(KEYWORD_ADDITIONAL_PROPERTIES, "additionalProperties", DRAFT_4, DRAFT_2020)                                      \
    X(KEYWORD_REQUIRED, "required", DRAFT_4, DRAFT_2020)                                                               \
    X(KEYWORD_MIN_PROPERTIES, "minProperties", DRAFT_4, DRAFT_2020)                                                    \
    X(KEYWORD_MAX_PROPERTIES, "maxProperties", DRAFT_4, DRAFT_2020)                                                    \
    X(KEYWORD_PROPERTY_NAMES, "propertyNames", DRAFT_6, DRAFT_2020)                                                    \
    X(KEYWORD_DEPENDENCIES, "dependencies", DRAFT_4, DRAFT_7)                                                          \
    X(KEYWORD_DEPENDENT_REQUIRED, "dependentRequired", DRAFT_2019, DRAFT_2020)                                         \
    X(KEYWORD_DEPENDENT_SCHEMAS, "dependentSchemas", DRAFT_2019, DRAFT_2020)                                           \
    X(KEYWORD_UNEVALUATED_PROPERTIES, "unevaluatedProperties", DRAFT_2019, DRAFT_2020)                                 \
    X(KEYWORD_ITEMS, "items", DRAFT_4, DRAFT_2020)                                                                     \
    X(KEYWORD_PREFIX_ITEMS, "prefixItems", DRAFT_2020, DRAFT_2020)                                                     \
    X(KEYWORD_ADDITIONAL_ITEMS, "additionalItems", DRAFT_4, DRAFT_2020)                                                \
    X(KEYWORD_MIN_ITEMS, "minItems", DRAFT_4, DRAFT_2020)                                                              \
    X(KEYWORD_MAX_ITEMS, "maxItems", DRAFT_4, DRAFT_2020)                                                              \
    X(KEYWORD_CONTAINS, "contains", DRAFT_6, DRAFT_2020)                                                               \
    X(KEYWORD_MIN_CONTAINS, "minContains", DRAFT_2019, DRAFT_2020)                                                     \
    X(KEYWORD_MAX_CONTAINS, "maxContains", DRAFT_2019, DRAFT_2020)                                                     \
    X(KEYWORD_UNIQUE_ITEMS, "uniqueItems", DRAFT_4, DRAFT_2020)                                                        \
    X(KEYWORD_UNEVALUATED_ITEMS, "unevaluatedItems", DRAFT_2019, DRAFT_2020)                                           \
    X(KEYWORD_DYNAMIC_REF, "$dynamicRef", DRAFT_2020, DRAFT_2020)                                                      \
    X(KEYWORD_RECURSIVE_REF, "$recursiveRef", DRAFT_2019, DRAFT_2019)
enum schema_keyword {
#define LIST_KEYWORD(constant, name, first, last) constant,
    SCHEMA_KEYWORDS(LIST_KEYWORD)
#undef LIST_KEYWORD
        KEYWORDS
};

/* A subschema, or one that was made of others. */
enum schema_node_kind {
    SCHEMA_TRUE,
    SCHEMA_FALSE,
    SCHEMA_OBJECT, /* json: the schema's object */
    SCHEMA_CONST,  /* equal to json */
    SCHEMA_EITHER  /* one of two, or both */
};

/* Which texts are allowed for sure, and which are forbidden for sure. */
struct language {
    term yes, no;
};

struct schema_shapes {
    struct shape **list;
    uint32_t count;
};

enum { FAMILY_ARRAY, FAMILY_OBJECT, FAMILIES };

struct schema_node {
    enum schema_node_kind kind;
    struct json_node *json;
    struct json_node **keywords; /* [KEYWORDS], of an object; NULL where there is none */
    enum schema_draft draft;
    uint32_t either[2];                        /* nodes */
    bool has_strings, has_numbers, is_checked; /* computed */
    uint8_t allows, has_allows;                /* bits of enum json_kind */
    unsigned open;                             /* questions that are being answered: a set of enum schema_question */
    uint32_t level;                            /* the level of the outermost of them */
    struct language strings, numbers;
    /* [family][does not hold][with what was evaluated] */
    struct schema_shapes shapes[FAMILIES][2][2];
    bool has_shapes[FAMILIES][2][2];
};

enum schema_question {
    QUESTION_ALLOWS = 1,
    QUESTION_STRINGS = 2,
    QUESTION_NUMBERS = 4,
    QUESTION_SHAPES = 8 /* and more */
};

/* A condition: a node's number, doubled; odd: it does not hold. */
typedef uint32_t condition;
static inline condition condition_of(uint32_t node, bool holds)
{
    return node * 2 + !holds;
}

struct constraint_entry {
    condition *conditions; /* in order */
    uint32_t count;
    bool is_expanded;
    uint8_t satisfiable; /* enum answer */
    bool allows_null, allows_false, allows_true;
    term strings, numbers;
    struct schema_shapes shapes[FAMILIES];
    term scalars;   /* true, false and null, those allowed */
    bool has_bound; /* the rest is computed, by shortest.c */
    uint32_t bound, fixed_bound;
};
enum answer { ANSWER_UNKNOWN, ANSWER_YES, ANSWER_NO, ANSWER_OPEN };

struct schema {
    struct pool *pool;
    struct terms *terms;
    struct numbers numbers;
    struct json_node *root;
    struct pool_vector nodes, constraints;
    struct pool_table constraint_table;
    struct pool_vector ids;       /* struct schema_id */
    struct pool_vector unchecked; /* nodes, for schema_check.c */
    enum schema_draft draft;      /* of the whole, if has_one_draft */
    bool has_one_draft, has_no_ids;
    uint32_t depth;             /* of constraints whose satisfiability is being looked for */
    uint32_t reached;           /* the outermost of those that the answer so far depends on */
    uint32_t nesting;           /* of questions */
    uint32_t level;             /* of values in each other whose constraints are being expanded */
    uint32_t cuts;              /* answers that were given before they were known: what rests on them is not kept */
    int status;                 /* the first error, and its message */
    struct smollm_error *error; /* borrowed during schema_compile; NULL afterwards */
};

/* Compiles the schema's text; *root is what a value must meet. SMOLLM_EINVAL, SMOLLM_EUNSUPPORTED or SMOLLM_ELIMIT with
 * the place in the schema. */
int schema_compile(struct schema *schema, struct terms *terms, struct smollm_text text, constraint *root,
                   struct smollm_error *error);

/* ---- For the files of this room ---- */

static inline struct schema_node *schema_node_at(const struct schema *s, uint32_t node)
{
    return (struct schema_node *)s->nodes.data + node;
}
static inline struct constraint_entry *constraint_at(const struct schema *s, constraint c)
{
    return (struct constraint_entry *)s->constraints.data + c;
}

/* The first two nodes. */
enum { NODE_FALSE, NODE_TRUE };

/* Notes an error at a place of the schema, unless there was one before. */
void schema_fail(struct schema *s, const struct json_node *place, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The node of a subschema: of an object or a boolean. */
uint32_t schema_node_of(struct schema *s, struct json_node *json);
uint32_t schema_const_of(struct schema *s, struct json_node *json);
uint32_t schema_either_of(struct schema *s, uint32_t a, uint32_t b);
/* The keyword of a schema's object, or NULL; in drafts that ignore what stands beside $ref, only $ref. */
static inline struct json_node *schema_get(const struct schema *s, uint32_t node, enum schema_keyword keyword)
{
    return schema_node_at(s, node)->keywords[keyword];
}

/* Begins to answer a question about a node; false, and an error, when the answer needs itself. *cut (may be NULL): it
 * needs itself only for the members or elements of its values; then there is no error. */
bool schema_enter(struct schema *s, uint32_t node, unsigned question, bool *cut);
void schema_leave(struct schema *s, uint32_t node, unsigned question);

/* The node that "$ref" means (schema_reference.c). */
uint32_t schema_resolve(struct schema *s, struct json_node *reference);
void schema_find_ids(struct schema *s);
enum schema_draft schema_draft_of(struct schema *s, struct json_node *json);

/* The constraint of conditions, in any order. */
constraint constraint_of(struct schema *s, const condition *conditions, uint32_t count);
constraint constraint_with(struct schema *s, constraint c, condition more);
constraint constraint_both(struct schema *s, constraint a, constraint b);
/* Computes what is in the entry. */
struct constraint_entry *constraint_expand(struct schema *s, constraint c);
bool constraint_is_satisfiable(struct schema *s, constraint c);

/* schema_scalar.c: whether the condition holds for null, false or true; the texts of strings and numbers. */
bool schema_allows(struct schema *s, condition c, enum json_kind kind);
struct language schema_strings(struct schema *s, uint32_t node);
struct language schema_numbers(struct schema *s, uint32_t node);
bool schema_has_type(struct schema *s, uint32_t node, const char *type);

/* schema_check.c: finds what is wrong in any part of the schema that can be reached. */
void schema_check(struct schema *s, uint32_t node);

/* schema_shape.c: the shapes of arrays or objects. */
struct schema_shapes schema_shapes_of(struct schema *s, condition c, int family, bool annotated);
struct schema_shapes schema_shapes_product(struct schema *s, int family, struct schema_shapes a, struct schema_shapes b,
                                           const struct json_node *place);

#endif
