/* Downloads one large file over HTTP; an interrupted download can be resumed, and a wrong file is never kept.
 *
 * The bytes go to PATH.part. An interrupted download, of this run or an earlier one, is resumed if the server still has
 * the same file (Range with If-Range; the validator is kept in PATH.part.tag) and supports ranges; otherwise it starts
 * over. The complete file is checked against the announced size and SHA-256, then by the caller's check, and is then
 * renamed to PATH. A file that fails a check is removed; an unfinished one is kept.
 *
 * Size and SHA-256 are announced as model hubs do it: X-Linked-Size, and X-Linked-ETag with 64 hexadecimal digits, on
 * any response on the way (RFC 9110 for the rest). */
#ifndef CLI_DOWNLOAD_H
#define CLI_DOWNLOAD_H

#include "smollm_error.h"

#include <stdbool.h>
#include <stdint.h>

struct download {
    const char *url;        /* http or https; from https no redirect leads to http */
    const char *path;       /* where the file ends up; its directory exists */
    uint32_t attempts;      /* without progress in between, until it gives up */
    double pause_seconds;   /* before the second attempt; doubles each time */
    uint32_t stall_seconds; /* slower than 1 kB/s for this long counts as broken */

    /* Called often; false ends the download with SMOLLM_ECANCELED. total is 0 while not known. */
    bool (*progress)(void *user, bool checking, uint64_t done, uint64_t total);
    /* Checks the complete file before it is renamed. May be NULL. */
    int (*check)(void *user, const char *path, struct smollm_error *error);
    void *user;
};

/* Errors: SMOLLM_ENOTFOUND (404), SMOLLM_EIO (network, server, disk), SMOLLM_EFORMAT (size, SHA-256), SMOLLM_EBUSY
 * (another process fetches the same file), SMOLLM_ECANCELED, and those of `check`. */
int download_run(const struct download *download, struct smollm_error *error);

#endif
