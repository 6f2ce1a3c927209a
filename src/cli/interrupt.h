/* Ctrl-C and SIGTERM as a question that long work asks now and then, so that it can clean up behind itself. The signals
 * are blocked and stay pending: no handler, no shared state. A second Ctrl-C cannot end the program meanwhile, so the
 * question must be asked at least once a second. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <time.h>

/* In the main thread, before others are started. */
static inline void interrupt_hold(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static inline bool interrupt_pending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigpending(&set);
    return sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1;
}

/* The Ctrl-C has been obeyed: forget it. */
static inline void interrupt_clear(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    while (sigtimedwait(&set, NULL, &(struct timespec){0}) > 0)
        continue;
}

#endif
