#include "cli/line_editor.h"

#include "base/text.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct line_editor {
    const char *prompt;
    EditLine *edit; /* NULL: not a terminal */
    History *history;
    char *history_path;
    char *line; /* of getline */
    size_t line_room;
    struct buffer joined;
};

enum { HISTORY_LINES = 1000 };

static char *prompt_of(EditLine *edit)
{
    struct line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return (char *)(size_t)editor->prompt; /* libedit does not write to it */
}

/* Ctrl-C at the prompt: drops the line. */
static unsigned char drop_line(EditLine *edit, int key)
{
    const LineInfo *line = el_line(edit);
    el_cursor(edit, (int)(line->lastchar - line->cursor));
    el_deletestr(edit, (int)(line->lastchar - line->buffer));
    fputs("^C", stdout);
    fputc('\n', stdout);
    el_insertstr(edit, "\n"); /* an empty line, not the end of input */
    return CC_NEWLINE;
}

static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buffer path = {0};
    if (state && *state)
        buffer_append_string(&path, state);
    else if (home && *home)
        buffer_printf(&path, "%s/.local", home);
    else
        return NULL;
    mkdir(path.data, 0700);
    if (!state || !*state) {
        buffer_append_string(&path, "/state");
        mkdir(path.data, 0700);
    }
    buffer_append_string(&path, "/smollm");
    if (path.data)
        mkdir(path.data, 0700);
    buffer_append_string(&path, "/history");
    return path.data;
}

struct line_editor *line_editor_create(const char *prompt)
{
    struct line_editor *editor = calloc(1, sizeof *editor);
    if (!editor)
        return NULL;
    editor->prompt = prompt;
    if (!isatty(STDIN_FILENO))
        return editor;
    editor->edit = el_init("smollm", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->edit || !editor->history)
        return editor;
    HistEvent event;
    history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    history(editor->history, &event, H_SETUNIQUE, 1);
    editor->history_path = history_path();
    if (editor->history_path)
        history(editor->history, &event, H_LOAD, editor->history_path);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT, prompt_of);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_HIST, history, editor->history);
    /* While a line is edited Ctrl-C is a key; during an answer it is a signal again. */
    el_set(editor->edit, EL_SETTY, "-d", "-isig", NULL);
    el_set(editor->edit, EL_ADDFN, "smollm-drop-line", "drop the line", drop_line);
    el_set(editor->edit, EL_BIND, "^C", "smollm-drop-line", NULL);
    return editor;
}

void line_editor_destroy(struct line_editor *editor)
{
    if (!editor)
        return;
    if (editor->history) {
        HistEvent event;
        if (editor->history_path) {
            mode_t old = umask(0077);
            history(editor->history, &event, H_SAVE, editor->history_path);
            umask(old);
        }
        history_end(editor->history);
    }
    if (editor->edit)
        el_end(editor->edit);
    free(editor->history_path);
    free(editor->line);
    buffer_free(&editor->joined);
    free(editor);
}

/* One line as it comes, with its end; NULL at the end of input. */
static const char *read_part(struct line_editor *editor)
{
    if (!editor->edit)
        return getline(&editor->line, &editor->line_room, stdin) > 0 ? editor->line : NULL;
    int count = 0;
    return el_gets(editor->edit, &count);
}

const char *line_editor_read(struct line_editor *editor)
{
    buffer_clear(&editor->joined);
    for (;;) {
        const char *part = read_part(editor);
        if (!part)
            break;
        size_t size = strcspn(part, "\r\n");
        bool more = size > 0 && part[size - 1] == '\\';
        buffer_append(&editor->joined, part, more ? size - 1 : size);
        if (!more) {
            HistEvent event;
            if (editor->history && editor->joined.size > 0)
                history(editor->history, &event, H_ENTER, editor->joined.data);
            return editor->joined.failed ? NULL : editor->joined.data;
        }
        buffer_append_char(&editor->joined, '\n');
    }
    return editor->joined.size > 0 ? editor->joined.data : NULL;
}
