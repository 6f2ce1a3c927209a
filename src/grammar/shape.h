/* One way in which an array or object may meet a constraint: conditions that all hold (schema.h). */
#ifndef GRAMMAR_SHAPE_H
#define GRAMMAR_SHAPE_H

#include "grammar/schema.h"

enum atom_kind {
    /* Of objects. */
    ATOM_MEMBERS,  /* values of all members whose names are in `names` meet `value` */
    ATOM_SOME,     /* the value of at least one of them does */
    ATOM_REQUIRED, /* there is a member of this name */
    ATOM_ABSENT,   /* there is none */
    ATOM_NEEDS,    /* if there is a member `name`, there is one named `other` */
    ATOM_NAMES,    /* all names are in `names` */
    ATOM_OPEN,     /* others than the schema names are welcome; no condition */
    /* Of arrays. */
    ATOM_ELEMENT,  /* the element at `index`, if there is one, meets `value` */
    ATOM_ELEMENTS, /* all elements from `index` on do */
    ATOM_COUNT,    /* of the elements from `index` on, `min` to `max` do */
    ATOM_UNIQUE,
    /* Of both: the number of members or elements. */
    ATOM_SIZE /* min, max */
};

struct atom {
    enum atom_kind kind;
    bool by_name; /* names are the one name */
    struct smollm_text name, other;
    term names;
    condition value;
    uint32_t index, min, max;
    const struct atom *next;
};

/* What the schemas of a shape have looked at, for "unevaluatedProperties" and "unevaluatedItems". */
struct evaluated {
    bool all;
    term names;         /* of members */
    uint32_t prefix;    /* elements before this index */
    condition *matches; /* elements that meet one of these */
    uint32_t match_count;
};

enum { SIZE_UNLIMITED = 1 << 24, SHAPE_CLAIMS_MAX = 8, SHAPE_CLASSES_MAX = 64 };

/* A known name of a member. */
struct shape_name {
    struct smollm_text name;
    uint32_t place; /* in the order of the schema */
    constraint value;
    bool required;
    uint32_t *needs; /* indices of names */
    uint32_t need_count;
    uint32_t claims; /* bits of the claims it can meet */
};
/* Names that are not known, more than a few, with the same conditions on their values. */
struct shape_class {
    term names;
    constraint value;
    uint32_t claims;
};
/* Something that a number of members or elements must meet. */
struct shape_claim {
    condition value;
    uint32_t index; /* counted from this element on */
    uint32_t min, max;
};

/* The values of elements that must differ, as far as they are a few scalars. A kind of value that is not listed has too
 * many to run out of, or is an array or object. */
enum shape_value_kind { VALUE_STRING, VALUE_NUMBER, VALUE_WORD, VALUE_KINDS };
struct shape_values {
    struct smollm_text *texts[VALUE_KINDS];
    uint32_t counts[VALUE_KINDS];
    bool listed[VALUE_KINDS];
    uint32_t total;
    /* [of an element of the prefix, and of one behind it] */
    uint32_t **fits; /* bits: the listed values that meet its conditions */
    bool *has_more;  /* it may have values that are not listed */
};

struct shape {
    const struct atom *atoms;
    struct evaluated evaluated;
    uint8_t possible; /* enum answer */
    bool is_complete; /* what follows is computed */
    bool is_open;     /* see ATOM_OPEN */
    uint32_t min, max;
    struct shape_claim claims[SHAPE_CLAIMS_MAX];
    uint32_t claim_count;
    /* Of an object: names in the order of their code points; `order`: in the order of the schema. */
    struct shape_name *names;
    uint32_t *order;
    uint32_t name_count;
    struct shape_class *classes;
    uint32_t class_count;
    /* Of an array: constraints of the first elements, and of the others. */
    constraint *prefix;
    uint32_t prefix_count;
    constraint rest;
    bool unique;
    struct shape_values *values;   /* of an array whose elements differ: those that are listed, or NULL */
    struct pool_vector name_terms; /* for json_machine.c */
};

struct shape *shape_empty(struct schema *s);
void shape_add(struct schema *s, struct shape *shape, struct atom atom);
/* Both hold. */
struct shape *shape_join(struct schema *s, const struct shape *a, const struct shape *b);
void evaluated_add_names(struct schema *s, struct evaluated *e, term names);

/* Whether it is plain that no value has both shapes: the conditions on a member that one of them requires contradict
 * each other. */
bool shapes_conflict(struct schema *s, struct shape *a, struct shape *b, int family);

/* Computes the rest of the struct. */
void shape_complete(struct schema *s, struct shape *shape, int family);
/* Whether there is a value of this shape. */
bool shape_is_possible(struct schema *s, struct shape *shape, int family);
/* The index of a name, or UINT32_MAX. */
uint32_t shape_find_name(const struct shape *shape, struct smollm_text name);
/* How many elements an array can have: one that no value meets ends it. */
uint32_t shape_limit(struct schema *s, const struct shape *shape);
/* Lists the values of an array's elements, if they must differ. */
void shape_list_values(struct schema *s, struct shape *shape);
/* Whether the elements from `from` on that must come can have listed values, all different, that are not in `used`;
 * true where too many must come to find out. */
bool shape_values_suffice(struct schema *s, const struct shape *shape, const uint32_t *used, uint32_t from);
/* The constraint of the element at an index. */
constraint shape_element(const struct shape *shape, uint32_t index);

#endif
