#include "tools/bench_profile.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[OPERATION_COUNT] = {
#define OPERATION_NAME(name) #name,
    OPERATION_LIST(OPERATION_NAME)
#undef OPERATION_NAME
};

static struct profile_entry sum_of(const struct profile *profile)
{
    struct profile_entry sum = {0};
    for (int i = 0; i < OPERATION_COUNT; i++) {
        const struct profile_entry *e = &profile->operations[i];
        sum.calls += e->calls;
        sum.seconds += e->seconds;
        sum.bytes += e->bytes;
        sum.int8_macs += e->int8_macs;
        sum.float_macs += e->float_macs;
    }
    return sum;
}

/* The rate that the limits allow; 0 when the limit is not known. */
static double share(double amount, double seconds, double limit)
{
    return limit > 0 && seconds > 0 ? amount / seconds / limit : 0;
}

static double share_of_limits(const struct profile_entry *e, const struct limits *limits)
{
    return e->seconds > 0 ? limits_seconds(limits, e->bytes, e->int8_macs, e->float_macs) / e->seconds : 0;
}

static void print_row(const char *name, const struct profile_entry *e, double all, const struct limits *limits)
{
    double macs = e->int8_macs + e->float_macs;
    printf("  %-12s %8" PRIu64 " %10.4f %7.1f %%", name, e->calls, e->seconds, 100 * e->seconds / all);
    if (macs > 0)
        printf(" %10.3f %10.2f %8.2f %9.1f %8.0f %%\n", e->bytes / 1e9, macs / 1e9, e->bytes / e->seconds / 1e9,
               macs / e->seconds / 1e9, 100 * share_of_limits(e, limits));
    else
        printf(" %10s %10s %8s %9s %10s\n", "-", "-", "-", "-", "-");
}

void bench_profile_print(const struct profile *profile, const struct limits *limits)
{
    const struct profile_entry sum = sum_of(profile);
    if (sum.seconds <= 0)
        return;
    printf("\n  %-12s %8s %10s %9s %10s %10s %8s %9s %10s\n", "operation", "calls", "seconds", "of pass", "GB", "GMAC",
           "GB/s", "GMAC/s", "of limit");
    for (int i = 0; i < OPERATION_COUNT; i++)
        if (profile->operations[i].calls > 0)
            print_row(names[i], &profile->operations[i], sum.seconds, limits);
    print_row("all", &sum, sum.seconds, limits);
    printf("  limits of %u thread%s: %.1f GB/s", limits->threads, limits->threads > 1 ? "s" : "",
           limits->bytes_per_second / 1e9);
    if (limits->int8_macs_per_second > 0)
        printf(", int8 (%s) %.0f GMAC/s, float %.0f GMAC/s", limits->int8_instruction,
               limits->int8_macs_per_second / 1e9, limits->float_macs_per_second / 1e9);
    if (limits->tile_macs_per_second > 0)
        printf("; int8 in tiles %.0f GMAC/s, which is not what shares are of", limits->tile_macs_per_second / 1e9);
    printf("\n\n");
}

void bench_profile_print_json(const struct profile *profile, const struct limits *limits)
{
    printf(",\"limits\":{\"bytes_per_second\":%.0f,\"int8_macs_per_second\":%.0f,\"tile_macs_per_second\":%.0f,"
           "\"float_macs_per_second\":%.0f},\"profile\":[",
           limits->bytes_per_second, limits->int8_macs_per_second, limits->tile_macs_per_second,
           limits->float_macs_per_second);
    const double all = sum_of(profile).seconds;
    const char *comma = "";
    for (int i = 0; i < OPERATION_COUNT; i++) {
        const struct profile_entry *e = &profile->operations[i];
        if (e->calls == 0)
            continue;
        printf("%s{\"operation\":\"%s\",\"calls\":%" PRIu64 ",\"seconds\":%.9f,\"share\":%.5f,\"bytes\":%.0f,"
               "\"macs\":%.0f,\"bandwidth_share\":%.4f,\"int8_share\":%.4f,\"float_share\":%.4f,\"limit_share\":%.4f}",
               comma, names[i], e->calls, e->seconds, all > 0 ? e->seconds / all : 0, e->bytes,
               e->int8_macs + e->float_macs, share(e->bytes, e->seconds, limits->bytes_per_second),
               share(e->int8_macs, e->seconds, limits->int8_macs_per_second),
               share(e->float_macs, e->seconds, limits->float_macs_per_second), share_of_limits(e, limits));
        comma = ",";
    }
    printf("]");
}
