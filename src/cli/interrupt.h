/* Ctrl-C, SIGTERM and SIGHUP.
 *
 * They end the program at once (exit status 128 + signal, 130 for Ctrl-C) unless a command has chosen another mode:
 * then they are noted, and the command ends its work. A signal handler can reach only static data, so the notes are
 * global. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

enum interrupt_mode {
    INTERRUPT_ENDS,      /* at once: there is nothing to clean up */
    INTERRUPT_ASKS_ONCE, /* the first is noted, a second one ends the program: for work that may notice late */
    INTERRUPT_ASKS       /* all are noted */
};

/* Once, in main, before threads are started. */
void interrupt_begin(void);
/* Returns the mode so far. A signal that was noted ends the program when the mode becomes INTERRUPT_ENDS. */
enum interrupt_mode interrupt_set(enum interrupt_mode mode);

/* A signal was noted. */
bool interrupt_pending(void);
/* One that asks the whole program to end was noted: SIGTERM or SIGHUP. */
bool interrupt_is_end(void);
/* Clears a noted Ctrl-C, after the command has acted on it. SIGTERM and SIGHUP stay. */
void interrupt_clear(void);
/* 128 + the signal that was noted; 130 where none was. */
int interrupt_exit_code(void);

/* A descriptor that can be read once a signal has been noted, for poll(2); interrupt_clear_descriptor empties it. */
int interrupt_descriptor(void);
void interrupt_clear_descriptor(void);

/* Escape sequences that are written to standard error when a signal ends the program, such as those that remove a
 * progress bar; a literal, or NULL. */
void interrupt_set_last_words(const char *words);

/* For a command that edits lines on a terminal. */
enum interrupt_terminal { INTERRUPT_RESIZED = 1, INTERRUPT_STOP = 2, INTERRUPT_CONTINUED = 4 };
/* SIGWINCH, SIGTSTP and SIGCONT are noted from now on. */
void interrupt_watch_terminal(void);
/* The signals since the last call, as bits. */
int interrupt_take_terminal(void);
/* Stops the program as Ctrl-Z does; returns when it goes on. */
void interrupt_suspend(void);

#endif
