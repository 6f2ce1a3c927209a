/* What a line that a person types into the chat is: a message, or a command such as /clear. */
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
    CHAT_UNCLEAR /* looks like a command and is none: nothing is sent */
};

/* Only known names are commands. "//text" is the message "/text", and a line that begins with a path, a comment or
 * anything else that is not nearly a command is a message as it stands. *text is the message, or what follows the
 * command. From a pipe (not is_typed) nothing is unclear: whoever wrote it cannot be asked. */
enum chat_line chat_line_read(struct smollm_text line, bool is_typed, struct smollm_text *text);

/* What can be typed, for /help. */
extern const char chat_help[];

#endif
