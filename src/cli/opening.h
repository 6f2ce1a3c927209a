/* From options to a model and an engine; what run, chat and serve have in common. */
#ifndef CLI_OPENING_H
#define CLI_OPENING_H

#include "cli/options.h"
#include "smollm.h"

/* Called with the share that is loaded, 0 to 1; returns false to cancel. */
struct opening_watch {
    bool (*progress)(void *user, double fraction);
    void *user;
};

/* Finds and opens the model, with a progress bar on a terminal, if there is memory for it and an engine with this many
 * conversations. watch NULL: Ctrl-C and SIGTERM cancel. */
int open_model(const struct options *options, const char *argument, uint32_t parallel,
               const struct opening_watch *watch, struct smollm_model **model, struct smollm_error *error);
/* has_turns: conversations continue, so the next turn may be read ahead. */
int start_engine(const struct options *options, uint32_t parallel, bool has_turns, struct smollm_model *model,
                 struct smollm_engine **engine, struct smollm_error *error);

/* The sampling options, with a random seed if none was given. */
struct smollm_sampling sampling_of(const struct options *options);

#endif
