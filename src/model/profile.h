/* Where the time of passes goes, for commands that measure: forward_run adds to a profile when it is given one.
 *
 * Operations are the phases of a pass; what is joined to a phase (SwiGLU to gate and up, storing keys and values to
 * attention, attention to few positions to the projections, the norms of one or two tokens to the product before)
 * counts as its part. Seconds are those that threads work, divided by their number; what that leaves of a pass they
 * wait. */
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
