/* What run and decide take from their arguments and from a pipe. */
#ifndef CLI_PROMPT_INPUT_H
#define CLI_PROMPT_INPUT_H

#include "base/text.h"
#include "cli/options.h"
#include "smollm_error.h"

struct prompt_arguments {
    const char *model; /* NULL: none was named */
    const char *text;  /* NULL: it comes through the pipe */
};
/* "[MODEL] TEXT": one argument is a model only when it names one and the text comes through the pipe. */
struct prompt_arguments prompt_arguments_of(const struct options *options);

/* The text of the command line and of the pipe, a line apart. usage ends the message that there is none. */
int prompt_read(const char *text, const char *usage, struct buffer *prompt, struct smollm_error *error);

#endif
