/* What `smollm bench --profile` tells: the operations of the passes of one test, beside the limits of the machine. */
#ifndef TOOLS_BENCH_PROFILE_H
#define TOOLS_BENCH_PROFILE_H

#include "model/profile.h"
#include "tools/limits.h"

/* A table, or the members "limits" and "profile" of a JSON object, with a comma before them. */
void bench_profile_print(const struct profile *profile, const struct limits *limits);
void bench_profile_print_json(const struct profile *profile, const struct limits *limits);

#endif
