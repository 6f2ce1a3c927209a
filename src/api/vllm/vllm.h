/* Routes of vLLM's and SGLang's servers that routers and evaluation harnesses use: tokenizers, rendering, what the
 * server is and how busy it is. Errors are OpenAI's. */
#ifndef API_VLLM_H
#define API_VLLM_H

#include "api/core/route.h"

extern const struct route_list vllm_routes;

/* vllm_tokenizer.c */
route_function vllm_tokenizer_info, vllm_render_chat, vllm_render_completion;
/* {"prompt"} or {"messages"}: as vLLM has it; /tokenize is llama-server's route too. */
route_function vllm_tokenize;

#endif
