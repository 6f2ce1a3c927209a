/* What a supervisor that started this program is told: systemd's protocol of sd_notify(3), a datagram to the socket
 * that NOTIFY_SOCKET names. Without one nothing is done. */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

/* The model is being loaded, 0 to 1 of it, and needs more time: a supervisor that would count it as hung waits on. At
 * most once a second. */
void supervisor_loading(double fraction);
void supervisor_ready(const char *address);
void supervisor_stopping(void);

#endif
