#include "cli/line_editor.h"

#include "base/text.h"
#include "base/utf8.h"
#include "cli/interrupt.h"
#include "cli/line_history.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

struct line_editor {
    const char *prompt;
    EditLine *edit; /* NULL: not a terminal */
    History *history;
    char *history_path;
    struct buffer input; /* bytes read ahead */
    size_t taken;        /* of these */
    struct buffer ahead; /* typed during an answer */
    struct buffer part, joined;
    struct termios before;
    bool has_paste; /* a terminal with escape sequences, which may know bracketed paste */
    bool is_at_end, has_begun;
};

enum { END_OF_INPUT = -1, INTERRUPTED = -2 };
enum { CTRL_C = 3 };
/* Terminals put these around pasted text (xterm's "bracketed paste"). */
static const char PASTE_ON[] = "\033[?2004h", PASTE_OFF[] = "\033[?2004l";
static const char PASTE_BEGINS[] = "\033[200~", PASTE_ENDS[] = "\033[201~";

static void ask_for_paste(const struct line_editor *editor, bool on)
{
    if (!editor->has_paste)
        return;
    fputs(on ? PASTE_ON : PASTE_OFF, stdout);
    fflush(stdout);
}

/* ---- Stopping and going on ---- */

static void stop_while_editing(struct line_editor *editor)
{
    el_set(editor->edit, EL_PREP_TERM, 0);
    ask_for_paste(editor, false);
    fputc('\n', stdout);
    fflush(stdout);
    interrupt_suspend();
    interrupt_take_terminal();
    el_set(editor->edit, EL_PREP_TERM, 1);
    ask_for_paste(editor, true);
    el_resize(editor->edit);
    el_set(editor->edit, EL_REFRESH);
}

/* Rows of the terminal between the beginning of the prompt and the cursor. */
static unsigned rows_above(const struct line_editor *editor)
{
    struct winsize size;
    const unsigned width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    const LineInfoW *line = el_wline(editor->edit);
    unsigned rows = 0, column = (unsigned)strlen(editor->prompt);
    for (const wchar_t *c = line->buffer; c < line->cursor; c++) {
        const int cells = wcwidth(*c);
        column += cells > 0 ? (unsigned)cells : 0;
        if (*c == L'\n' || column > width) {
            rows++;
            column = *c == L'\n' ? 0 : (unsigned)cells;
        }
    }
    return rows + column / width;
}

/* When its width changes, a terminal wraps lines again and keeps the cursor at its place in the text: the edited line
 * is drawn again over itself. */
static void draw_again(struct line_editor *editor)
{
    const unsigned rows = rows_above(editor);
    if (editor->has_paste && rows > 0)
        fprintf(stdout, "\033[%uA", rows);
    fputs(editor->has_paste ? "\r\033[J" : "\r", stdout);
    fflush(stdout);
    el_resize(editor->edit);
    el_set(editor->edit, EL_REFRESH);
}

static void obey_terminal(struct line_editor *editor)
{
    const int bits = interrupt_take_terminal();
    if (!editor->edit)
        return;
    if (bits & INTERRUPT_STOP)
        stop_while_editing(editor);
    else if (bits & INTERRUPT_CONTINUED) {
        el_set(editor->edit, EL_PREP_TERM, 1);
        ask_for_paste(editor, true);
    }
    if (bits & (INTERRUPT_RESIZED | INTERRUPT_CONTINUED))
        draw_again(editor);
}

/* Without a prompt, typed characters are not shown; they can be read byte by byte at the next prompt. */
static void hush(const struct line_editor *editor)
{
    struct termios quiet = editor->before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
}

/* ---- Input ---- */

static void read_some(struct line_editor *editor)
{
    char bytes[4096];
    const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
    if (size > 0)
        buffer_append(&editor->input, bytes, (size_t)size);
    else if (size == 0 || (errno != EINTR && errno != EAGAIN))
        editor->is_at_end = true;
}

/* Whether a key was typed during an answer; it is taken out of what was typed. */
static bool take_key(struct line_editor *editor, char key)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    bool found = false;
    while (editor->edit && poll(&terminal, 1, 0) > 0) {
        char bytes[256];
        const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
        if (size <= 0)
            break; /* the end is seen again by who reads next */
        for (ssize_t i = 0; i < size; i++) {
            found |= bytes[i] == key;
            if (bytes[i] != key)
                buffer_append_char(&editor->ahead, bytes[i]);
        }
    }
    return found;
}

bool line_editor_attend(struct line_editor *editor)
{
    interrupt_clear_descriptor();
    const int bits = interrupt_take_terminal();
    if (!editor->edit || !(bits & (INTERRUPT_STOP | INTERRUPT_CONTINUED)))
        return take_key(editor, 'T' - '@');
    if (bits & INTERRUPT_STOP) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &editor->before);
        interrupt_suspend();
        interrupt_take_terminal();
    }
    hush(editor);
    return false;
}

/* Waits for the next byte and for signals. On a terminal a Ctrl-C is answered here; elsewhere it ends the input, and
 * stays noted. */
static int next_byte(struct line_editor *editor)
{
    for (;;) {
        obey_terminal(editor);
        if (interrupt_is_end() || (interrupt_pending() && !editor->edit))
            return END_OF_INPUT;
        if (interrupt_pending()) {
            interrupt_clear();
            return INTERRUPTED;
        }
        if (editor->taken < editor->input.size)
            return (unsigned char)editor->input.data[editor->taken++];
        buffer_clear(&editor->input);
        editor->taken = 0;
        if (editor->is_at_end)
            return END_OF_INPUT;
        struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                   {.fd = interrupt_descriptor(), .events = POLLIN}};
        if (poll(sources, 2, -1) <= 0)
            continue;
        if (sources[1].revents)
            interrupt_clear_descriptor();
        else if (sources[0].revents)
            read_some(editor);
    }
}

/* The next character, U+FFFD for invalid bytes. */
static int next_character(struct line_editor *editor)
{
    char bytes[4];
    for (size_t size = 0; size < sizeof bytes;) {
        const int byte = next_byte(editor);
        if (byte < 0)
            return byte;
        bytes[size++] = (char)byte;
        uint32_t c;
        if (utf8_decode(bytes, size, &c) == size)
            return (int)c;
        if (utf8_incomplete_tail(bytes, size) != size)
            break;
    }
    return 0xfffd;
}

/* For libedit; 1, or 0 at the end. */
static int get_character(EditLine *edit, wchar_t *character)
{
    struct line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    const int c = next_character(editor);
    *character = c == INTERRUPTED ? CTRL_C : c < 0 ? L'\0' : (wchar_t)c;
    return c != END_OF_INPUT;
}

/* ---- Keys ---- */

static char *prompt_of(EditLine *edit)
{
    struct line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return (char *)(size_t)editor->prompt; /* libedit does not write to it */
}

/* Ctrl-C: drops the line. */
static unsigned char drop_line(EditLine *edit, int key)
{
    (void)key;
    const LineInfoW *line = el_wline(edit);
    el_cursor(edit, (int)(line->lastchar - line->cursor));
    el_wdeletestr(edit, (int)(line->lastchar - line->buffer));
    fputs("^C", stdout);
    fputc('\n', stdout);
    el_winsertstr(edit, L"\n"); /* an empty line, not the end of input */
    return CC_NEWLINE;
}

static unsigned char stop_program(EditLine *edit, int key)
{
    (void)key;
    struct line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    stop_while_editing(editor);
    return CC_NORM;
}

/* Lines of a paste stay lines of one message; other controls are dropped, and the line end after the last. */
static unsigned char take_paste(EditLine *edit, int key)
{
    (void)key;
    struct line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    const size_t ending = strlen(PASTE_ENDS);
    struct buffer text = {0};
    bool was_return = false;
    while (!text.data || text.size < ending || memcmp(text.data + text.size - ending, PASTE_ENDS, ending) != 0) {
        const int c = next_character(editor);
        if (c < 0)
            break;
        char bytes[4];
        const bool is_second = c == '\n' && was_return;
        was_return = c == '\r';
        if ((c >= ' ' && c != 0x7f) || c == '\n' || c == '\r' || c == '\t' || c == '\033')
            buffer_append(&text, bytes, is_second ? 0 : utf8_encode(c == '\r' ? '\n' : (uint32_t)c, bytes));
        if (text.failed)
            break;
    }
    size_t size = text.data && text.size >= ending ? text.size - ending : 0;
    while (size > 0 && text.data[size - 1] == '\n')
        size--;
    wchar_t *wide = calloc(size + 1, sizeof *wide);
    size_t count = 0;
    for (size_t i = 0; wide && i < size;) {
        uint32_t c = 0;
        i += utf8_decode(text.data + i, size - i, &c);
        if (c != '\033')
            wide[count++] = (wchar_t)c;
    }
    if (wide && count > 0)
        el_winsertstr(edit, wide);
    free(wide);
    buffer_free(&text);
    return CC_REFRESH;
}

/* ---- Create and destroy ---- */

static void set_up_terminal(struct line_editor *editor)
{
    const char *terminal = getenv("TERM");
    tcgetattr(STDIN_FILENO, &editor->before);
    editor->edit = el_init("smollm", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->edit || !editor->history)
        return;
    interrupt_watch_terminal();
    editor->has_paste = terminal && *terminal && strcmp(terminal, "dumb") != 0;
    editor->history_path = line_history_path();
    line_history_load(editor->history, editor->history_path);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_GETCFN, get_character);
    el_set(editor->edit, EL_PROMPT, prompt_of);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_HIST, history, editor->history);
    /* While a line is edited Ctrl-C and Ctrl-Z are keys; during an answer they are signals again. A pasted CR LF is one
     * line end, which only shows where CR stays what it is. */
    el_set(editor->edit, EL_SETTY, "-d", "-isig", "-icrnl", "-inlcr", NULL);
    /* The wide form: the narrow one leaks its copies of the names. */
    el_wset(editor->edit, EL_ADDFN, L"smollm-drop-line", L"drop the line", drop_line);
    el_set(editor->edit, EL_BIND, "^C", "smollm-drop-line", NULL);
    el_wset(editor->edit, EL_ADDFN, L"smollm-stop", L"stop the program", stop_program);
    el_set(editor->edit, EL_BIND, "^Z", "smollm-stop", NULL);
    el_wset(editor->edit, EL_ADDFN, L"smollm-paste", L"take what is pasted", take_paste);
    el_set(editor->edit, EL_BIND, PASTE_BEGINS, "smollm-paste", NULL);
}

struct line_editor *line_editor_create(const char *prompt)
{
    struct line_editor *editor = calloc(1, sizeof *editor);
    if (!editor)
        return NULL;
    editor->prompt = prompt;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        set_up_terminal(editor);
    return editor;
}

void line_editor_destroy(struct line_editor *editor)
{
    if (!editor)
        return;
    if (editor->edit) {
        el_end(editor->edit);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &editor->before);
    }
    if (editor->history)
        history_end(editor->history);
    free(editor->history_path);
    buffer_free(&editor->input);
    buffer_free(&editor->ahead);
    buffer_free(&editor->part);
    buffer_free(&editor->joined);
    free(editor);
}

bool line_editor_is_terminal(const struct line_editor *editor)
{
    return editor->edit != NULL;
}

void line_editor_put_back(struct line_editor *editor, struct smollm_text text)
{
    if (!editor->edit || text.size == 0)
        return;
    buffer_append_string(&editor->input, PASTE_BEGINS);
    buffer_append_text(&editor->input, text);
    buffer_append_string(&editor->input, PASTE_ENDS);
}

/* Applies keys that were typed without a prompt: backspace and Ctrl-U edit, Ctrl-D on an empty line ends the chat,
 * other controls and the sequences of arrow keys are ignored. */
static void apply_keys(struct smollm_text keys, struct buffer *text, bool *ends)
{
    for (size_t i = 0; i < keys.size; i++) {
        const unsigned char key = (unsigned char)keys.data[i];
        if (key == 0x7f || key == '\b') {
            while (text->size > 0 && (text->data[--text->size] & 0xc0) == 0x80)
                continue;
        } else if (key == 'U' - '@') {
            buffer_clear(text);
        } else if (key == 'D' - '@' && text->size == 0) {
            *ends = true;
        } else if (key == '\033' && i + 1 < keys.size && strchr("[O", keys.data[i + 1])) {
            for (i += 2; i < keys.size && (keys.data[i] < '@' || keys.data[i] > '~'); i++)
                continue;
        } else if (key >= ' ' || key == '\n' || key == '\r' || key == '\t') {
            buffer_append_char(text, (char)key);
        }
    }
}

/* Text typed before the prompt is put into the line like a paste: it is shown, and sent only by a key. */
static void take_typed_ahead(struct line_editor *editor)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    struct buffer typed = {0};
    buffer_append(&typed, editor->input.data ? editor->input.data + editor->taken : "",
                  editor->input.size - editor->taken);
    buffer_clear(&editor->input);
    buffer_append_text(&editor->input, buffer_text(&editor->ahead));
    buffer_clear(&editor->ahead);
    editor->taken = 0;
    while (!editor->is_at_end && poll(&terminal, 1, 0) > 0)
        read_some(editor);
    struct buffer keys = editor->input, text = {0};
    editor->input = typed;
    bool ends = false;
    apply_keys(buffer_text(&keys), &text, &ends);
    if (ends && text.size == 0)
        buffer_append_char(&editor->input, 'D' - '@');
    line_editor_put_back(editor, buffer_text(&text));
    buffer_free(&keys);
    buffer_free(&text);
}

/* One unedited line with its line end; false at the end of input. */
static bool read_part(struct line_editor *editor)
{
    buffer_clear(&editor->part);
    if (editor->edit) {
        int count = 0;
        const char *line = el_gets(editor->edit, &count);
        if (line && count > 0)
            buffer_append(&editor->part, line, (size_t)count);
        return line != NULL;
    }
    for (int byte; (byte = next_byte(editor)) >= 0;) {
        buffer_append_char(&editor->part, (char)byte);
        if (byte == '\n')
            break;
    }
    if (!editor->has_begun && editor->part.size >= 3 && memcmp(editor->part.data, "\xef\xbb\xbf", 3) == 0)
        buffer_consume(&editor->part, 3); /* a byte order mark, as on Windows */
    editor->has_begun = true;
    return editor->part.size > 0 && !interrupt_pending();
}

static bool read_joined(struct line_editor *editor)
{
    buffer_clear(&editor->joined);
    while (read_part(editor)) {
        size_t size = editor->part.size;
        const char *data = editor->part.data;
        if (size > 0 && data[size - 1] == '\n')
            size--;
        if (size > 0 && data[size - 1] == '\r')
            size--;
        const bool goes_on = size > 0 && data[size - 1] == '\\';
        buffer_append(&editor->joined, data, goes_on ? size - 1 : size);
        if (!goes_on)
            return !editor->joined.failed;
        buffer_append_char(&editor->joined, '\n');
    }
    return editor->joined.size > 0 && !interrupt_pending();
}

bool line_editor_read(struct line_editor *editor, struct smollm_text *line)
{
    if (editor->edit) {
        el_set(editor->edit, EL_PREP_TERM, 1); /* before the prompt is shown */
        take_typed_ahead(editor);
        ask_for_paste(editor, true);
    }
    const bool good = read_joined(editor);
    buffer_append_char(&editor->joined, '\0'); /* also where nothing was typed */
    *line = (struct smollm_text){editor->joined.data, editor->joined.size > 0 ? editor->joined.size - 1 : 0};
    if (editor->edit) {
        ask_for_paste(editor, false);
        HistEvent event;
        if (good && line->size > 0 && editor->history) {
            history(editor->history, &event, H_ENTER, line->data);
            if (editor->history_path)
                line_history_append(editor->history_path, line->data);
        }
        if (good)
            hush(editor);
        else
            fputc('\n', stdout);
    }
    return good && !editor->joined.failed;
}
