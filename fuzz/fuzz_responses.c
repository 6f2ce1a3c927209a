static const char *const paths[][2] = {{"POST", "/v1/responses"}, {"POST", "/v1/responses/input_tokens"}};

#include "fuzz/api_fuzzer.h"
