#include "base/file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int file_read(const char *path, struct buffer *buffer, struct smollm_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    RETURN_ERROR_IF(descriptor < 0, error, errno == ENOENT || errno == ENOTDIR ? SMOLLM_ENOTFOUND : SMOLLM_EIO,
                    "cannot open %s: %s", path, strerror(errno));
    char block[65536];
    ssize_t size;
    while ((size = read(descriptor, block, sizeof block)) > 0 || (size < 0 && errno == EINTR))
        if (size > 0)
            buffer_append(buffer, block, (size_t)size);
    int status = size < 0         ? error_set(error, SMOLLM_EIO, "cannot read %s: %s", path, strerror(errno))
                 : buffer->failed ? error_set(error, SMOLLM_ENOMEM, "out of memory for %s", path)
                                  : 0;
    if (!standard)
        close(descriptor);
    return status;
}
