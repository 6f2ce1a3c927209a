#include "base/system_limits.h"

#include "base/error.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number after a name at the beginning of a line; for the name "" the number at the beginning of the text. 0 when
 * there is none ("max"). */
static uint64_t read_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    uint64_t number = 0;
    char line[256];
    const size_t size = strlen(name);
    while (file && number == 0 && fgets(line, sizeof line, file))
        if (size == 0 || (strncmp(line, name, size) == 0 && (line[size] == ' ' || line[size] == ':')))
            sscanf(line + size + (size > 0), " %" SCNu64, &number);
    if (file)
        fclose(file);
    return number;
}

static uint64_t number_in(const char *folder, const char *file, const char *name)
{
    char path[MAX_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return read_number(path, name);
}

/* ---- Cgroups ---- */

/* What one cgroup, whose files are in `folder`, leaves of a resource; UINT64_MAX when it has no limit. */
typedef uint64_t cgroup_limit(const char *folder);

/* The smallest limit of the cgroup at this path below the mount and of all cgroups that contain it. In a container its
 * own cgroup may be the mount itself while the path is the host's; folders that do not exist are skipped. */
static uint64_t smallest_in(const char *root, const char *mount, const char *path, cgroup_limit *limit)
{
    char folder[MAX_PATH];
    const int base = snprintf(folder, sizeof folder, "%s%s", root, mount);
    const int size = snprintf(folder + base, sizeof folder - (size_t)base, "%s", path);
    if (size >= (int)sizeof folder - base)
        folder[base] = '\0';
    for (uint64_t left = UINT64_MAX;;) {
        left = smaller(left, limit(folder));
        char *slash = strrchr(folder + base, '/');
        if (!slash)
            return left;
        *slash = '\0';
    }
}

/* Whether a list such as "cpu,cpuacct" has a word. */
static bool list_has(const char *list, size_t size, const char *word)
{
    const size_t length = strlen(word);
    for (size_t at = 0; at < size;) {
        const char *comma = memchr(list + at, ',', size - at);
        const size_t part = comma ? (size_t)(comma - list) - at : size - at;
        if (part == length && memcmp(list + at, word, length) == 0)
            return true;
        at += part + 1;
    }
    return false;
}

/* A kind of limit: the controller of version 1 with its mount, and what each version's files say. */
struct limit_kind {
    const char *controller, *mount;
    cgroup_limit *version_1, *version_2;
};

/* Lines of /proc/self/cgroup: "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1. */
static uint64_t smallest_of_all(const char *root, const struct limit_kind *kind)
{
    char path[MAX_PATH], line[MAX_PATH];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    uint64_t left = UINT64_MAX;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        const char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;
        if (!at)
            continue;
        if (strncmp(line, "0::", 3) == 0)
            left = smaller(left, smallest_in(root, "/sys/fs/cgroup", at + 1, kind->version_2));
        else if (list_has(list + 1, (size_t)(at - list - 1), kind->controller))
            left = smaller(left, smallest_in(root, kind->mount, at + 1, kind->version_1));
    }
    if (file)
        fclose(file);
    return left;
}

/* ---- Memory ---- */

/* active, inactive: names in memory.stat of file pages, which are given up when memory is wanted. */
static uint64_t memory_left(const char *folder, const char *limit_file, const char *used_file, const char *active,
                            const char *inactive)
{
    const uint64_t limit = number_in(folder, limit_file, "");
    if (limit == 0)
        return UINT64_MAX;
    const uint64_t used = number_in(folder, used_file, "");
    const uint64_t files = number_in(folder, "memory.stat", active) + number_in(folder, "memory.stat", inactive);
    const uint64_t taken = used > files ? used - files : 0;
    return limit > taken ? limit - taken : 0;
}

static uint64_t memory_left_1(const char *folder)
{
    return memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file",
                       "total_inactive_file");
}

static uint64_t memory_left_2(const char *folder)
{
    return memory_left(folder, "memory.max", "memory.current", "active_file", "inactive_file");
}

uint64_t system_memory_available(const char *root)
{
    static const struct limit_kind memory = {"memory", "/sys/fs/cgroup/memory", memory_left_1, memory_left_2};
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const uint64_t kib = read_number(path, "MemAvailable");
    return smaller(kib > 0 ? kib * 1024 : UINT64_MAX, smallest_of_all(root, &memory));
}

int memory_need_check(const struct memory_need *need, struct smollm_error *error)
{
    const double gib = 1073741824.0;
    const uint64_t available = system_memory_available("");
    const double all = (double)need->weights + (double)need->kv_cache + (double)need->work;
    RETURN_ERROR_IF(
        all > (double)available, error, SMOLLM_ENOMEM,
        "%.1f GiB of memory are needed (weights %.1f, keys and values %.1f, activations and logits %.1f), and "
        "%.1f GiB are free",
        all / gib, (double)need->weights / gib, (double)need->kv_cache / gib, (double)need->work / gib,
        (double)available / gib);
    return 0;
}

/* ---- Processors ---- */

/* Microseconds of CPU in each period, as processors. */
static uint64_t processors_of(long long quota, long long period)
{
    return quota > 0 && period > 0 ? (uint64_t)((quota + period - 1) / period) : UINT64_MAX;
}

static uint64_t processors_1(const char *folder)
{
    return processors_of((long long)number_in(folder, "cpu.cfs_quota_us", ""),
                         (long long)number_in(folder, "cpu.cfs_period_us", ""));
}

/* "200000 100000", or "max 100000". */
static uint64_t processors_2(const char *folder)
{
    char path[MAX_PATH + 64];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    const int count = file ? fscanf(file, "%lld %lld", &quota, &period) : 0;
    if (file)
        fclose(file);
    return count == 2 ? processors_of(quota, period) : UINT64_MAX;
}

unsigned system_processors_available(const char *root)
{
    static const struct limit_kind cpu = {"cpu", "/sys/fs/cgroup/cpu", processors_1, processors_2};
    unsigned count = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = (unsigned)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t quota = smallest_of_all(root, &cpu);
    return quota < count ? (unsigned)quota : count > 0 ? count : 1;
}
