static const char *const paths[][2] = {{"POST", "/v1/chat/completions"}, {"POST", "/v1/completions"}};

#include "fuzz/api_fuzzer.h"
