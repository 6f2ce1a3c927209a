/* Reading messages from a person: editing and history on a terminal (libedit), plain lines from a pipe.
 *
 * A paste is one message, whatever lines it has. What is typed while an answer is written is not shown then, and
 * stands in the next line to be sent or changed; nothing of it is sent by itself. Ctrl-C drops the line, Ctrl-Z stops
 * the program. The history file is ${XDG_STATE_HOME:-~/.local/state}/smollm/history, readable by its owner alone; a
 * line is in it from the moment that it is sent. */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include "smollm.h"

struct line_editor;

/* prompt is borrowed. NULL when out of memory. */
struct line_editor *line_editor_create(const char *prompt);
/* Gives the terminal back as it was. Accepts NULL. */
void line_editor_destroy(struct line_editor *editor);

/* The next message without its end, borrowed until the next call and ended by a NUL; a line that ends with a backslash
 * is joined with the next one. Empty after Ctrl-C. False at the end of input (Ctrl-D on an empty line), and after a
 * signal that ends the program (cli/interrupt.h). */
bool line_editor_read(struct line_editor *editor, struct smollm_text *line);
/* The next line begins with this text, to be changed or sent. Only on a terminal; elsewhere nothing happens. */
void line_editor_put_back(struct line_editor *editor, struct smollm_text text);
bool line_editor_is_terminal(const struct line_editor *editor);

/* To be called often while an answer is written: stops the program after Ctrl-Z, and sets the terminal up when it goes
 * on. */
void line_editor_attend(struct line_editor *editor);

#endif
