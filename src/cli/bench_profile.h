/* What `smollm bench --profile` tells: the operations of the passes of one test, beside the limits of the machine. */
#ifndef CLI_BENCH_PROFILE_H
#define CLI_BENCH_PROFILE_H

#include "cli/limits.h"
#include "model/profile.h"

/* A table, or the members "limits" and "profile" of a JSON object, with a comma before them. */
void bench_profile_print(const struct profile *profile, const struct limits *limits);
void bench_profile_print_json(const struct profile *profile, const struct limits *limits);

#endif
