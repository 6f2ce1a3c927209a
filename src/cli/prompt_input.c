#include "cli/prompt_input.h"

#include "base/error.h"
#include "base/file.h"
#include "cli/model_path.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct prompt_arguments prompt_arguments_of(const struct options *options)
{
    const char *const *arguments = options->arguments;
    struct prompt_arguments found = {.text = options->argument_count == 1 ? arguments[0] : NULL};
    if (options->argument_count == 2)
        return (struct prompt_arguments){arguments[0], arguments[1]};
    if (found.text && (known_model_find(found.text) || access(found.text, R_OK) == 0))
        found = (struct prompt_arguments){.model = found.text};
    return found;
}

/* How long to wait for a prompt on stdin without a message. */
enum { SILENCE_MS = 1000 };

static int read_piped(struct buffer *piped, struct smollm_error *error)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (isatty(STDIN_FILENO))
        return 0;
    if (poll(&input, 1, SILENCE_MS) == 0)
        fprintf(stderr, "smollm: reading the prompt from standard input (end with Ctrl-D)\n");
    int status = file_read("-", piped, error);
    if (piped->size >= 3 && memcmp(piped->data, "\xef\xbb\xbf", 3) == 0)
        buffer_consume(piped, 3); /* a byte order mark, as on Windows */
    return status;
}

int prompt_read(const char *text, const char *usage, struct buffer *prompt, struct smollm_error *error)
{
    struct buffer piped = {0};
    int status = read_piped(&piped, error);
    if (text) {
        if (piped.size > 0 && piped.data[piped.size - 1] == '\n')
            piped.size--;
        if (piped.size > 0 && piped.data[piped.size - 1] == '\r')
            piped.size--;
        buffer_append_string(prompt, text);
        buffer_append_string(prompt, piped.size > 0 ? "\n\n" : "");
    }
    buffer_append_text(prompt, buffer_text(&piped));
    buffer_free(&piped);
    if (status == 0 && prompt->size == 0)
        status = error_set(error, SMOLLM_EINVAL, "no text: %s", usage);
    if (status == 0 && prompt->failed)
        status = error_set(error, SMOLLM_ENOMEM, "out of memory for the prompt");
    return status;
}
