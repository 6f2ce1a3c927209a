/* Text of a path and a query as they were sent. */
#ifndef API_PATH_TEXT_H
#define API_PATH_TEXT_H

#include "base/text.h"

/* Appends the text that percent-encoded text stands for (RFC 3986, section 2.1). What is no escape stays as it is. */
void path_decode(struct smollm_text encoded, struct buffer *out);

/* Whether a path is that of a row, in which a name in braces at the end stands for the rest, which is not empty:
 * *parameter is that rest then. Several slashes count as one, and one at the end for none. */
bool path_matches(struct smollm_text path, const char *row, struct smollm_text *parameter);

/* Appends the value of the first parameter with this name in a query ("a=1&b=two+words"), decoded: '+' is a space.
 * false: there is none. */
bool query_find(struct smollm_text query, const char *name, struct buffer *value);

#endif
