static const char *const paths[][2] = {
    {"POST", "/api/chat"}, {"POST", "/api/generate"}, {"POST", "/api/show"}, {"POST", "/api/pull"}};

#include "fuzz/api_fuzzer.h"
