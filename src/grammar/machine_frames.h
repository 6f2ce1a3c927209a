/* What a machine's threads are inside of: objects and arrays that are open, and what may still come in them. Internal
 * to machine.c.
 *
 * Frames never change and equal ones have the same number: an object with one more member is another frame. */
#ifndef GRAMMAR_MACHINE_FRAMES_H
#define GRAMMAR_MACHINE_FRAMES_H

#include "grammar/machine.h"
#include "grammar/shape.h"

#define NAMES UINT32_MAX /* in place of a known name: one of a class of names */

enum frame_kind { FRAME_NONE, FRAME_PROGRAM, FRAME_OBJECT, FRAME_ARRAY };

struct frame {
    struct schema *schema;
    struct shape *shape;
    uint32_t kind, parent;
    uint32_t place;  /* of a program: where it goes on */
    uint32_t count;  /* members, or elements, as far as they matter */
    uint32_t used;   /* the set of names that are there, or of listed elements */
    uint32_t passed; /* members in order: how many names of that order can no longer come */
    uint16_t met[SHAPE_CLAIMS_MAX];
    /* What follows is computed when needed, and is no part of what makes frames equal. */
    uint32_t *allowed; /* names that may come next */
    term names;
    bool has_names;
};

static inline const struct frame *frame_at(const struct machine *m, uint32_t frame)
{
    return (const struct frame *)m->frames.data + frame;
}

uint32_t frame_make(struct machine *m, const struct frame *wanted);

/* ---- Sets of names, as bits ---- */

struct name_set {
    uint32_t *bits, size;
};

uint32_t name_set_make(struct machine *m, const uint32_t *bits, uint32_t size);
bool name_set_has(const struct machine *m, uint32_t set, uint32_t name);
/* The set with one more name. */
uint32_t name_set_with(struct machine *m, uint32_t set, uint32_t name);
const uint32_t *name_set_bits(const struct machine *m, uint32_t set);

/* ---- Objects ---- */

/* Whether a known name may still come, as far as its place goes. */
bool object_is_ahead(const struct machine *m, const struct frame *f, uint32_t name);
/* Members that must still come: those required, and what the members that are there need. UINT32_MAX: one of them
 * cannot come. */
uint32_t object_members_missing(struct machine *m, const struct frame *f);
bool object_may_end(struct machine *m, const struct frame *f);
/* Whether members of a class may come, as far as the way of listing them goes: the same for all places of an object. */
bool object_takes_class(const struct machine *m, const struct shape *shape, uint32_t class);
/* Whether the object can still be completed. */
bool object_is_viable(struct machine *m, const struct frame *f);
/* The frame after one more member: of a known name, or (NAMES) of a class. */
struct frame object_with_member(struct machine *m, const struct frame *f, uint32_t name);
/* Whether a member of this name, or (NAMES) of a class, may come. */
bool object_member_may_come(struct machine *m, const struct frame *f, uint32_t name, constraint value);
/* The names that may come next, as a language. */
term object_allowed_names(struct machine *m, uint32_t number);

/* ---- Arrays ---- */

bool array_may_end(const struct frame *f);
/* Whether the array can still be completed. */
bool array_is_viable(const struct frame *f);
/* Elements are counted as far as the count matters. */
uint32_t array_elements_capped(const struct shape *shape, uint32_t count);

#endif
