#include "cli/progress.h"

#include "base/clock.h"
#include "cli/interrupt.h"
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 24 };
static const char REMOVE[] = "\r\x1b[K";

void progress_begin(struct progress *progress, const char *label)
{
    const char *terminal = getenv("TERM");
    bool plain = terminal && strcmp(terminal, "dumb") == 0;
    *progress = (struct progress){.on = isatty(STDERR_FILENO) && !plain, .label = label, .begin = -1};
    progress->created = clock_seconds();
}

static void progress_draw(const struct progress *progress, uint64_t done, double now)
{
    double share = progress->total > 0 ? (double)done / (double)progress->total : 0;
    share = share > 1 ? 1 : share;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    double seconds = now - progress->begin;
    double speed = seconds > 0.5 ? (double)(done - progress->first) / seconds : 0;
    fprintf(stderr, "\r\x1b[K%s ", progress->label);
    if (progress->total > 0)
        fprintf(stderr, "[%s] %3d %%", bar, (int)(share * 100));
    if (progress->total > 0 && progress->counts_bytes)
        fprintf(stderr, "  %s of %s", size_text(done).text, size_text(progress->total).text);
    else if (progress->counts_bytes)
        fprintf(stderr, "%s", size_text(done).text);
    if (speed > 0 && progress->counts_bytes)
        fprintf(stderr, "  %s/s", size_text((uint64_t)speed).text);
    if (speed > 0 && progress->total > done) {
        unsigned left = (unsigned)((double)(progress->total - done) / speed);
        fprintf(stderr, "  %u:%02u left", left / 60, left % 60);
    }
    fflush(stderr);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total)
{
    if (!progress->on)
        return;
    double now = clock_seconds();
    if (now - progress->created < progress->delay)
        return;
    if (progress->begin < 0 || done < progress->first) {
        progress->begin = now;
        progress->first = done;
        progress->shown = 0;
    }
    if (now - progress->shown < 0.1 && done != total)
        return;
    progress->shown = now;
    progress->total = total;
    interrupt_set_last_words(REMOVE);
    progress_draw(progress, done, now);
}

void progress_end(struct progress *progress)
{
    if (progress->on && progress->begin >= 0) {
        fputs(REMOVE, stderr);
        interrupt_set_last_words(NULL);
    }
    progress->on = false;
}
