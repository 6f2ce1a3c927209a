/* The file behind the history of a line editor. */
#ifndef CLI_LINE_HISTORY_H
#define CLI_LINE_HISTORY_H

#include <histedit.h>

/* ${XDG_STATE_HOME:-~/.local/state}/smollm/history, with its directories; freed by the caller. NULL where there is
 * none. */
char *line_history_path(void);
/* Loads the newest lines; a longer file is cut to them. */
void line_history_load(History *lines, const char *path);
/* Adds a line at the end of the file, so that several chats can share it and a killed one loses nothing. */
void line_history_append(const char *path, const char *line);

#endif
