/* The chat page, as it was built from web/, inside the program. Both texts live as long as the program. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include "base/text.h"

/* HTML in one file. */
struct smollm_text page_html(void);

/* Its Content-Security-Policy, one line: its own script and styles by their SHA-256, this server and nobody else. */
struct smollm_text page_policy(void);

#endif
