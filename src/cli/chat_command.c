#include "cli/chat_command.h"

#include "base/text.h"

#include <string.h>

const char chat_help[] = "/help          this list\n"
                         "/clear         forget the conversation\n"
                         "/system TEXT   set the system message (no text: remove it) and start over\n"
                         "/think         let the model think before it answers\n"
                         "/no_think      answer at once\n"
                         "/quit          leave (also Ctrl-D)\n"
                         "//TEXT         send /TEXT, where it would be taken for a command\n"
                         "Ctrl-C stops an answer and drops a line, Ctrl-T ends the thinking, so that the model\n"
                         "answers now, Ctrl-Z suspends the program. A paste is\n"
                         "one message; a line that ends with \\ continues on the next one. What you type\n"
                         "during an answer appears on the next line, where you can change or send it.\n";

static const struct {
    const char *name;
    enum chat_line line;
    bool takes_text;
} commands[] = {
    {"help", CHAT_HELP, false},         {"clear", CHAT_CLEAR, false}, {"system", CHAT_SYSTEM, true},
    {"think", CHAT_THINK, false},       {"quit", CHAT_QUIT, false},   {"exit", CHAT_QUIT, false},
    {"no_think", CHAT_NO_THINK, false},
};
enum { COMMANDS = sizeof commands / sizeof *commands, WORD_MAX = 16 };

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Characters to change, add or leave out between two short words (Levenshtein). */
static size_t distance(struct smollm_text word, const char *name)
{
    const size_t size = strlen(name);
    size_t row[WORD_MAX + 1];
    for (size_t k = 0; k <= size; k++)
        row[k] = k;
    for (size_t i = 0; i < word.size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < size; k++) {
            const size_t above = row[k + 1];
            row[k + 1] = min(min(row[k], above) + 1, diagonal + (word.data[i] != name[k]));
            diagonal = above;
        }
    }
    return row[size];
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_nearly_a_command(struct smollm_text word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (word.size <= WORD_MAX && distance(word, commands[i].name) <= (word.size < 5 ? 1 : 2))
            return true;
    return false;
}

enum chat_line chat_line_read(struct smollm_text line, bool is_typed, struct smollm_text *text)
{
    *text = line;
    if (line.size == 0 || line.data[0] != '/')
        return CHAT_MESSAGE;
    if (line.size > 2 && line.data[1] == '/' && is_letter(line.data[2])) {
        *text = (struct smollm_text){line.data + 1, line.size - 1};
        return CHAT_MESSAGE;
    }
    size_t end = 1;
    while (end < line.size && !strchr(" \t\n", line.data[end]))
        end++;
    const struct smollm_text word = {line.data + 1, end - 1};
    size_t rest = end;
    while (rest < line.size && strchr(" \t\n", line.data[rest]))
        rest++;
    const bool is_alone = rest == line.size;
    for (size_t i = 0; i < COMMANDS; i++)
        if (text_is(word, commands[i].name) && (is_alone || commands[i].takes_text)) {
            *text = (struct smollm_text){line.data + rest, line.size - rest};
            return commands[i].line;
        }
    bool is_word = true;
    for (size_t i = 0; i < word.size; i++)
        is_word = is_word && (is_letter(word.data[i]) || word.data[i] == '_' || word.data[i] == '-');
    return is_typed && is_word && (is_alone || is_nearly_a_command(word)) ? CHAT_UNCLEAR : CHAT_MESSAGE;
}
