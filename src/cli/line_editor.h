/* Reading lines from a person: editing and history on a terminal (libedit), plain lines from a pipe. */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include <stdbool.h>

struct line_editor;

/* prompt is borrowed. NULL when out of memory. The history file is ${XDG_STATE_HOME:-~/.local/state}/smollm/history,
 * readable by its owner alone. */
struct line_editor *line_editor_create(const char *prompt);
/* Writes the history. Accepts NULL. */
void line_editor_destroy(struct line_editor *editor);

/* The next line without its end, borrowed until the next call; a line that ends with a backslash is joined with the
 * next one. Empty after Ctrl-C. NULL at the end of input (Ctrl-D on an empty line). */
const char *line_editor_read(struct line_editor *editor);

#endif
