#include "base/system_memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MOST = 4096 };

/* What a kind of cgroup calls its files, and where they are. */
struct cgroup_names {
    const char *mount, *limit, *used;
    const char *active, *inactive; /* in memory.stat: file pages, which are given up when memory is wanted */
};
static const struct cgroup_names version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                              "total_active_file", "total_inactive_file"};
static const struct cgroup_names version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "active_file",
                                              "inactive_file"};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number behind a name at the beginning of a line, behind "" that of the first. 0: there is none ("max"). */
static uint64_t read_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    uint64_t number = 0;
    char line[256];
    const size_t size = strlen(name);
    while (file && number == 0 && fgets(line, sizeof line, file))
        if (size == 0 || (strncmp(line, name, size) == 0 && (line[size] == ' ' || line[size] == ':')))
            sscanf(line + size + (size > 0), "%" SCNu64, &number);
    if (file)
        fclose(file);
    return number;
}

static uint64_t number_in(const char *folder, const char *file, const char *name)
{
    char path[PATH_MOST + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return read_number(path, name);
}

/* What the limit of one cgroup leaves; UINT64_MAX: it has none. */
static uint64_t left_in(const char *folder, const struct cgroup_names *names)
{
    const uint64_t limit = number_in(folder, names->limit, "");
    if (limit == 0)
        return UINT64_MAX;
    const uint64_t used = number_in(folder, names->used, "");
    const uint64_t files =
        number_in(folder, "memory.stat", names->active) + number_in(folder, "memory.stat", names->inactive);
    const uint64_t taken = used > files ? used - files : 0;
    return limit > taken ? limit - taken : 0;
}

/* The cgroup at this path below the mount, and those that it is in. A container may see its own as the mount itself and
 * still be told the path that the host knows: what is not there is passed over. */
static uint64_t left_in_all(const char *root, const char *path, const struct cgroup_names *names)
{
    char folder[PATH_MOST];
    const int mount = snprintf(folder, sizeof folder, "%s%s", root, names->mount);
    const int size = snprintf(folder + mount, sizeof folder - (size_t)mount, "%s", path);
    if (size >= (int)sizeof folder - mount)
        folder[mount] = '\0';
    for (uint64_t left = UINT64_MAX;;) {
        left = smaller(left, left_in(folder, names));
        char *slash = strrchr(folder + mount, '/');
        if (!slash)
            return left;
        *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup: "0::/path" of version 2, "4:memory:/path" of version 1. */
static uint64_t left_in_cgroups(const char *root)
{
    char path[PATH_MOST], line[PATH_MOST];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    uint64_t left = UINT64_MAX;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        const char *kind = strchr(line, ':'), *at = kind ? strchr(kind + 1, ':') : NULL;
        if (!at)
            continue;
        if (strncmp(line, "0::", 3) == 0)
            left = smaller(left, left_in_all(root, at + 1, &version_2));
        else if (strncmp(kind, ":memory:", 8) == 0)
            left = smaller(left, left_in_all(root, at + 1, &version_1));
    }
    if (file)
        fclose(file);
    return left;
}

uint64_t system_memory_available(const char *root)
{
    char path[PATH_MOST];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const uint64_t kib = read_number(path, "MemAvailable");
    return smaller(kib > 0 ? kib * 1024 : UINT64_MAX, left_in_cgroups(root));
}
