/* Stop strings in a stream of text: a possible beginning of one is held back until the text shows that it is none. */
#ifndef LIBRARY_STOP_MATCHER_H
#define LIBRARY_STOP_MATCHER_H

#include "base/text.h"
#include "smollm_error.h"

enum { STOP_MAX = 16, STOP_BYTES_MAX = 1024 };

struct stop_matcher {
    char *block; /* the strings, then the text held back */
    struct smollm_text stops[STOP_MAX];
    size_t count;
    size_t longest;
    char *held;
    size_t held_size;
    bool matched;
    size_t match; /* index of the stop string that was found */
};

/* Copies the strings. SMOLLM_EINVAL for an empty or too long one, or too many. */
int stop_matcher_create(struct stop_matcher *matcher, const struct smollm_text *stops, size_t count,
                        struct smollm_error *error);
void stop_matcher_destroy(struct stop_matcher *matcher); /* accepts a zeroed struct */

/* Takes the next text and passes on, in order, the part that precedes any stop string. Once one is found, nothing more
 * is passed on and `matched` is set. If several match, the one that begins first is used, and of those the longest.
 */
typedef void stop_matcher_sink(void *user, const char *data, size_t size);
void stop_matcher_feed(struct stop_matcher *matcher, const char *data, size_t size, stop_matcher_sink *sink,
                       void *user);
/* The stream has ended: passes on the text held back. */
void stop_matcher_finish(struct stop_matcher *matcher, stop_matcher_sink *sink, void *user);

#endif
