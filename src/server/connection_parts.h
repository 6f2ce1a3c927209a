/* What the three files of a connection share: connection.c reads and keeps time, connection_request.c checks requests,
 * connection_answer.c writes. Internal to server/. */
#ifndef SERVER_CONNECTION_PARTS_H
#define SERVER_CONNECTION_PARTS_H

#include "server/connection.h"
#include "server/response.h"
#include "server/server_state.h"

/* ---- connection.c ---- */

/* Changes the state; 0 milliseconds: without a time limit. */
void connection_enter(struct connection *connection, enum connection_state state, uint64_t milliseconds);
void connection_log(struct connection *connection, const char *ending);
void connection_release_body(struct connection *connection);
/* Frees a connection that is closing, once its handles are closed and the worker is back. */
void connection_free_when_over(struct connection *connection);
/* Parses what has arrived, as long as the connection is in a state to take it. */
void connection_take_input(struct connection *connection);

/* ---- connection_request.c ---- */

/* The head is complete: refuses the request, or awaits its body. */
void connection_take_head(struct connection *connection);
void connection_take_body(struct connection *connection, struct smollm_text piece);
/* The request is complete. */
void connection_answer(struct connection *connection);

/* ---- connection_answer.c ---- */

/* A whole answer made here. */
void connection_respond(struct connection *connection, struct response_head head, struct smollm_text body);
/* allow goes with 405; otherwise NULL. */
void connection_respond_error(struct connection *connection, int status, const char *message, const char *allow);
/* An error that ends the connection, because the next request in it cannot be found. */
void connection_refuse(struct connection *connection, int status, const char *message, const char *allow);
/* Writes what is in output; connection_proceed goes on afterwards. */
void connection_write(struct connection *connection);
/* Notes when the kernel last took bytes. */
void connection_look_at_queue(struct connection *connection);
void connection_keep_alive(struct connection *connection);
/* Milliseconds that a stream may be silent. */
uint64_t connection_patience(const struct connection *connection);
/* Asks a client that has sent its last byte whether it still reads. */
void connection_probe(struct connection *connection);
void connection_probe_if_due(struct connection *connection);

#endif
