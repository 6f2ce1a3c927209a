/* One question, one answer: the library in forty lines.
 * cc answer.c $(pkg-config --cflags --libs smollm) && ./a.out model.gguf "What is the capital of France?" */
#include <smollm.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct smollm_error error;
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    struct smollm_request *request = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: answer MODEL.gguf QUESTION\n");
        return 2;
    }
    struct smollm_message message = {.role = {"user", 4}, .content = {argv[2], strlen(argv[2])}};
    struct smollm_conversation conversation = {
        .size = sizeof(struct smollm_conversation), .messages = &message, .message_count = 1};
    struct smollm_request_options options = {
        .size = sizeof(struct smollm_request_options), .conversation = &conversation, .max_tokens = 64};

    int status = smollm_model_open(argv[1], NULL, &model, &error);
    if (status == 0)
        status = smollm_engine_start(model,
                                     &(struct smollm_engine_options){
                                         .size = sizeof(struct smollm_engine_options), .context = 512, .parallel = 1},
                                     &engine, &error);
    if (status == 0)
        status = smollm_submit(engine, &options, &request, &error);
    struct smollm_event event;
    while (status == 0 && smollm_next_event(request, -1, &event) == 0) {
        if (event.type == SMOLLM_EVENT_TEXT)
            printf("%.*s", (int)event.text.size, event.text.data);
        if (event.type == SMOLLM_EVENT_ERROR)
            status = (error = event.error).code;
    }
    if (status < 0)
        fprintf(stderr, "answer: %s\n", error.message);
    printf("\n");
    smollm_request_close(request);
    smollm_engine_close(engine);
    smollm_model_close(model);
    return status < 0;
}
