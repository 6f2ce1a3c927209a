/* The chat page, as it was built from web/, inside the program. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include "base/text.h"

/* HTML in one file; lives as long as the program. */
struct smollm_text page_html(void);

/* Appends the Content-Security-Policy for a page: its scripts may run, by their SHA-256, and no others; it may talk to
 * this server and to nobody else. */
void page_write_policy(struct smollm_text html, struct buffer *out);

#endif
