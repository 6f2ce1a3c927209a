/* A progress bar for long work, on stderr and only when that is a terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;
    bool counts_bytes; /* set after progress_begin: sizes and speed are shown, not only the share */
    const char *label; /* borrowed */
    double delay;      /* seconds from progress_begin in which nothing is shown; set after it */
    double created;
    uint64_t total; /* 0: not known */
    uint64_t first; /* done when it began, for the speed */
    double begin;   /* seconds */
    double shown;
};

/* Shows nothing before the first update. */
void progress_begin(struct progress *progress, const char *label);
/* done of total; draws at most ten times a second, and at the end. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total);
/* Removes the bar. */
void progress_end(struct progress *progress);

#endif
