static const char *const paths[][2] = {{"POST", "/completion"},   {"POST", "/tokenize"},
                                       {"POST", "/detokenize"},   {"POST", "/apply-template"},
                                       {"POST", "/end-thinking"}, {"POST", "/streams/lookup"}};

#include "fuzz/api_fuzzer.h"
