#include "cli/line_history.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_LINES = 1000 };
/* The first line of libedit's files; blanks and controls in the others are octal. */
static const char COOKIE[] = "_HiStOrY_V2_\n";

char *line_history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buffer path = {0};
    if (state && *state)
        buffer_append_string(&path, state);
    else if (home && *home)
        buffer_printf(&path, "%s/.local", home);
    else
        return NULL;
    if (path.data)
        mkdir(path.data, 0700);
    if (!state || !*state) {
        buffer_append_string(&path, "/state");
        if (path.data)
            mkdir(path.data, 0700);
    }
    buffer_append_string(&path, "/smollm");
    if (path.data)
        mkdir(path.data, 0700);
    buffer_append_string(&path, "/history");
    if (path.failed)
        buffer_free(&path);
    return path.data;
}

void line_history_load(History *lines, const char *path)
{
    HistEvent event;
    history(lines, &event, H_SETSIZE, KEPT_LINES);
    history(lines, &event, H_SETUNIQUE, 1);
    if (!path || history(lines, &event, H_LOAD, path) <= 2 * KEPT_LINES)
        return;
    struct buffer shorter = {0};
    buffer_printf(&shorter, "%s.%ld", path, (long)getpid());
    const mode_t old = umask(0077);
    if (!shorter.failed && history(lines, &event, H_SAVE, shorter.data) >= 0 && rename(shorter.data, path) != 0)
        unlink(shorter.data);
    umask(old);
    buffer_free(&shorter);
}

void line_history_append(const char *path, const char *line)
{
    const int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat status;
    if (descriptor < 0)
        return;
    struct buffer out = {0};
    if (fstat(descriptor, &status) == 0 && status.st_size == 0)
        buffer_append_string(&out, COOKIE);
    for (const char *c = line; *c; c++) {
        const unsigned char byte = (unsigned char)*c;
        if (byte <= 0x20 || byte == 0x7f || byte == '\\')
            buffer_printf(&out, "\\%03o", byte);
        else
            buffer_append_char(&out, *c);
    }
    buffer_append_char(&out, '\n');
    /* A conversation goes on without its history file. */
    if (!out.failed && fchmod(descriptor, 0600) == 0 && write(descriptor, out.data, out.size) < 0)
        out.failed = true;
    buffer_free(&out);
    close(descriptor);
}
