/* Where the time of passes goes. forward_run adds to a profile when a command that measures has set one.
 *
 * Operations are the phases of a pass; work that is done at the end of a phase (SwiGLU after gate and up, storing
 * keys and values before attention, attention to few positions after the projections, the norms of a few tokens after a
 * product) counts as part of it. Seconds are the time that threads work, divided by their number; the rest of a pass is
 * waiting. */
#ifndef MODEL_PROFILE_H
#define MODEL_PROFILE_H

#include <stdint.h>

#define OPERATION_LIST(X)                                                                                              \
    X(embed)                                                                                                           \
    X(projections)                                                                                                     \
    X(store)                                                                                                           \
    X(attention)                                                                                                       \
    X(quantise)                                                                                                        \
    X(output)                                                                                                          \
    X(norm)                                                                                                            \
    X(gate_up)                                                                                                         \
    X(down)                                                                                                            \
    X(head)                                                                                                            \
    X(wait)

enum operation {
#define OPERATION_NUMBER(name) OPERATION_##name,
    OPERATION_LIST(OPERATION_NUMBER)
#undef OPERATION_NUMBER
        OPERATION_COUNT
};

/* Sums over all passes. */
struct profile {
    struct profile_entry {
        uint64_t calls;
        double seconds;
        double bytes;      /* of weights, or of the keys and values of each sequence */
        double int8_macs;  /* multiply-accumulates */
        double float_macs; /* those of float weights, and of attention */
    } operations[OPERATION_COUNT];
};

#endif
