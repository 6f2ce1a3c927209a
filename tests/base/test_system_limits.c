/* Free memory and processors as the system and limits of cgroups have them, from files that are made here. */
#include "base/system_limits.h"

#include "cmocka_all.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int setup(void **state)
{
    const char *folder = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/smollm-memory-XXXXXX", folder && strlen(folder) < 40 ? folder : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    return remove(path);
}

static int teardown(void **state)
{
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below root, with the folders on the way. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_system_is_asked(void **state)
{
    assert_true(system_memory_available(root) == UINT64_MAX);
    put("/proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:    5000 kB\nBuffers: 1 kB\n");
    assert_int_equal(system_memory_available(root), 5000 * 1024);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(system_memory_available(root), 5000 * 1024);
}

static void limits_of_version_2_hold_on_all_levels(void **state)
{
    put("/proc/meminfo", "MemAvailable: 5000 kB\n");
    put("/proc/self/cgroup", "0::/a.slice/b.service\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    put("/sys/fs/cgroup/a.slice/memory.max", "1000000\n");
    put("/sys/fs/cgroup/a.slice/memory.current", "600000\n");
    assert_int_equal(system_memory_available(root), 400000);
    /* Files in memory are given up when it is wanted. */
    put("/sys/fs/cgroup/a.slice/memory.stat", "anon 1\nfile 300000\nactive_file 50000\ninactive_file 100000\n");
    assert_int_equal(system_memory_available(root), 550000);
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "300000\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.current", "400000\n");
    assert_int_equal(system_memory_available(root), 0);
}

static void limits_of_version_1_hold(void **state)
{
    put("/proc/meminfo", "MemAvailable: 5000 kB\n");
    put("/proc/self/cgroup", "9:cpu:/x\n4:memory:/docker/0123\n0::/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n"); /* the container's own, seen as the mount */
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n");
    put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 100000\ntotal_active_file 0\n");
    assert_int_equal(system_memory_available(root), 1600000);
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(system_memory_available(root), 5000 * 1024);
}

static void this_machine_has_some(void **state)
{
    assert_true(system_memory_available("") > 1 << 20);
}

/* The test machine may have few processors itself: a quota below that holds. */
static void quotas_hold_on_all_levels(void **state)
{
    const unsigned all = system_processors_available("/nowhere");
    assert_true(all >= 1);
    put("/proc/self/cgroup", "0::/user.slice/smollm.service\n");
    put("/sys/fs/cgroup/user.slice/smollm.service/cpu.max", "max 100000\n");
    assert_int_equal(system_processors_available(root), all);
    put("/sys/fs/cgroup/user.slice/smollm.service/cpu.max", "50000 100000\n"); /* CPUQuota=50% of the unit */
    assert_int_equal(system_processors_available(root), 1);
    put("/sys/fs/cgroup/user.slice/smollm.service/cpu.max", "6400000 100000\n");
    assert_int_equal(system_processors_available(root), all);
    put("/sys/fs/cgroup/user.slice/cpu.max", "100000 100000\n");
    assert_int_equal(system_processors_available(root), 1);
    put("/proc/self/cgroup", "4:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n");
    put("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
    assert_int_equal(system_processors_available(root), all);
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "90000\n");
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_period_us", "100000\n");
    assert_int_equal(system_processors_available(root), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_system_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_of_version_2_hold_on_all_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_of_version_1_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(quotas_hold_on_all_levels, setup, teardown),
        cmocka_unit_test(this_machine_has_some),
    };
    return cmocka_run_group_tests_name("system memory", tests, NULL, NULL);
}
