static const char *const paths[][2] = {{"POST", "/v1/messages"}, {"POST", "/v1/messages/count_tokens"}};

#include "fuzz/api_fuzzer.h"
