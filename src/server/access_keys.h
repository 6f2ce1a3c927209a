/* The API keys of a server: secrets that clients send, with names that stay the same when a file is rearranged. */
#ifndef SERVER_ACCESS_KEYS_H
#define SERVER_ACCESS_KEYS_H

#include "base/text.h"
#include "smollm_error.h"

#include <stdint.h>

enum { ACCESS_KEYS_MAX = 1024 };

struct access_key {
    const char *name; /* letters, digits, '.', '_', '-'; NULL: none was given */
    const char *secret;
    uint64_t id; /* from the name, or without one from the secret: the same after a restart, in any order; never 0 */
};

struct access_keys {
    struct access_key keys[ACCESS_KEYS_MAX];
    size_t count;
    struct buffer texts[2]; /* what the keys point into: of the option, and of the file */
};

/* "secret" or "name:secret"; a part before a colon that is no name belongs to the secret. Copied. SMOLLM_EINVAL: empty,
 * with a space or a character that is not ASCII, or with the name of another key. */
int access_keys_add(struct access_keys *keys, const char *line, struct smollm_error *error);
/* Keys one a line; empty lines and lines that begin with '#' are ignored. SMOLLM_EINVAL also when there is none. */
int access_keys_read(struct access_keys *keys, const char *path, struct smollm_error *error);
void access_keys_free(struct access_keys *keys); /* what they hold, not the struct; accepts NULL */

#endif
