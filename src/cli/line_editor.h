/* Reading messages from a person: editing and history on a terminal (libedit), plain lines from a pipe.
 *
 * A paste is one message, even with several lines. Text typed during an answer is not shown then; it is in the next
 * line to be edited or sent, and is never sent by itself. Ctrl-C drops the line, Ctrl-Z stops the program. The history
 * file is ${XDG_STATE_HOME:-~/.local/state}/smollm/history, readable by its owner alone; a line is added when it is
 * sent. */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include "smollm.h"

struct line_editor;

/* prompt is borrowed. NULL when out of memory. */
struct line_editor *line_editor_create(const char *prompt);
/* Restores the terminal. Accepts NULL. */
void line_editor_destroy(struct line_editor *editor);

/* The next message without its end, borrowed until the next call and ended by a NUL; a line that ends with a backslash
 * is joined with the next one. Empty after Ctrl-C. False at the end of input (Ctrl-D on an empty line), and after a
 * signal that ends the program (cli/interrupt.h). */
bool line_editor_read(struct line_editor *editor, struct smollm_text *line);
/* The next line begins with this text, to be edited or sent. Does nothing without a terminal. */
void line_editor_put_back(struct line_editor *editor, struct smollm_text text);
bool line_editor_is_terminal(const struct line_editor *editor);

/* Call it often while an answer is written: stops the program after Ctrl-Z, and sets the terminal up when it continues.
 * True when Ctrl-T was typed since the last call. */
bool line_editor_attend(struct line_editor *editor);

#endif
