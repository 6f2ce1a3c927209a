/* Lines for stderr from threads that must not wait: a thread of its own writes them. When a terminal, a pager or a log
 * shipper does not read, up to 256 KiB of lines wait, further ones are dropped, and a line says how many. */
#ifndef SERVER_LOG_WRITER_H
#define SERVER_LOG_WRITER_H

#include "base/text.h"
#include "smollm_error.h"

struct log_writer;

/* Writes to this descriptor, which is borrowed. SMOLLM_ENOMEM. */
int log_writer_create(int descriptor, struct log_writer **writer, struct smollm_error *error);
/* Takes a line with its line end; never waits for the descriptor. */
void log_writer_add(struct log_writer *writer, struct smollm_text line);
/* Writes what waits, for up to a second, and frees. If the descriptor takes nothing for so long, the rest is lost and
 * the thread is left behind with its memory. Accepts NULL. */
void log_writer_close(struct log_writer *writer);

#endif
