/* Lines of a chat: messages, and commands such as /clear. */
#ifndef CLI_CHAT_COMMAND_H
#define CLI_CHAT_COMMAND_H

#include "smollm.h"

enum chat_line {
    CHAT_MESSAGE,
    CHAT_HELP,
    CHAT_CLEAR,
    CHAT_SYSTEM,
    CHAT_THINK,
    CHAT_NO_THINK,
    CHAT_QUIT,
    CHAT_UNCLEAR /* resembles a command but is not one: nothing is sent */
};

/* Only known names are commands. "//text" is the message "/text", and a line that begins with a path, a comment or
 * anything else that does not resemble a command is a message. *text is the message, or the argument of the command.
 * From a pipe (not is_typed) no line is unclear, because nobody can correct it. */
enum chat_line chat_line_read(struct smollm_text line, bool is_typed, struct smollm_text *text);

/* What can be typed, for /help. */
extern const char chat_help[];

#endif
