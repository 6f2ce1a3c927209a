/* Forward passes outside of the engine, for commands that score or time them. */
#ifndef TOOLS_PASS_H
#define TOOLS_PASS_H

#include "cli/options.h"
#include "model/forward.h"

struct pass {
    struct thread_pool *pool;
    struct weights weights;
    struct kv_cache cache;
    struct forward forward;
    uint32_t *pages; /* all pages of the cache, not in order, so that nothing can rely on them lying side by side */
    struct batch_token *tokens; /* [batch] */
    float *logits;              /* [logit rows][vocabulary] */
    float *peaks;               /* [logit rows][peak_count(vocabulary)] */
};

/* Loads the model and allocates for `positions` in all and passes of ubatch-size tokens; options give threads and
 * kernels. On failure too the caller ends with pass_destroy. */
int pass_create(struct pass *pass, const struct gguf_file *file, const struct model_config *config,
                const struct options *options, uint32_t positions, uint32_t logit_rows, struct smollm_error *error);
void pass_destroy(struct pass *pass); /* accepts a zeroed struct */

#endif
