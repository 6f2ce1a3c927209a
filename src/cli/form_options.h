/* --schema, --grammar, --regex and --choice: the form of an answer. */
#ifndef CLI_FORM_OPTIONS_H
#define CLI_FORM_OPTIONS_H

#include "base/text.h"
#include "cli/options.h"
#include "smollm.h"

/* What the form borrows. A zeroed struct is empty. */
struct form_memory {
    struct buffer text;
    struct smollm_text *choices;
};
void form_memory_free(struct form_memory *memory);

/* *wanted: &form, or NULL without such an option. Reads the file, and checks that the form can be followed.
 * SMOLLM_EINVAL when more than one is given. */
int form_from_options(const struct options *options, struct form_memory *memory, struct smollm_form *form,
                      const struct smollm_form **wanted, struct smollm_error *error);

#endif
