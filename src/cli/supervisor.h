/* Reports to the supervisor that started this program, by systemd's protocol of sd_notify(3): a datagram to the socket
 * in NOTIFY_SOCKET. Does nothing without one. */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

/* The model is being loaded, 0 to 1 of it, and needs more time: the supervisor extends its timeout. Sent up to once a
 * second. */
void supervisor_loading(double fraction);
void supervisor_ready(const char *address);
void supervisor_stopping(void);

#endif
