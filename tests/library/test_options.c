/* Options structs: their sizes, and the range of every number in them. */
#include "../library/tiny_model.h"
#include "cmocka_all.h"
#include "library/handles.h"
#include "sampling/sampler.h"

static struct smollm_model *model;
static char *path;

/* ---- Sizes ---- */

static void a_struct_without_its_size_is_refused(void **state)
{
    struct smollm_error error;
    struct smollm_model *opened;
    struct smollm_engine *engine;
    struct smollm_text text;
    int32_t *tokens;
    size_t count;
    assert_int_equal(smollm_model_open(path, &(struct smollm_model_options){0}, &opened, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_model_options"));
    assert_int_equal(smollm_engine_start(model, &(struct smollm_engine_options){0}, &engine, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_engine_options"));
    assert_int_equal(
        smollm_tokenize(model, text_of("x"), &(struct smollm_tokenize_options){0}, &tokens, &count, &error),
        SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_tokenize_options"));
    assert_int_equal(smollm_apply_template(model, &(struct smollm_conversation){0}, &text, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_conversation"));
    assert_int_equal(smollm_engine_start(model, NULL, &engine, &error), 0);
    struct smollm_request *request;
    assert_int_equal(smollm_submit(engine, &(struct smollm_request_options){0}, &request, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_request_options"));
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    options.prompt = text_of("x");
    options.sampling = &(struct smollm_sampling){.top_p = 1};
    assert_int_equal(smollm_submit(engine, &options, &request, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "smollm_sampling"));
    smollm_engine_close(engine);
}

/* A program of an older version has shorter structs, one of a newer version longer ones. */
static void other_versions_are_understood(void **state)
{
    struct smollm_error error;
    struct {
        struct smollm_engine_options options;
        uint64_t newer;
    } engine_options = {.options = SMOLLM_ENGINE_OPTIONS_INIT};
    struct smollm_engine *engine;
    engine_options.options.size = offsetof(struct smollm_engine_options, cache_type);
    engine_options.options.context = 128;
    engine_options.options.cache_type = "nonsense"; /* which that program does not know */
    assert_int_equal(smollm_engine_start(model, &engine_options.options, &engine, &error), 0);
    struct smollm_engine_info info;
    smollm_engine_get_info(engine, &info);
    assert_int_equal(info.context, 128);
    smollm_engine_close(engine);
    engine_options.options = (struct smollm_engine_options)SMOLLM_ENGINE_OPTIONS_INIT;
    engine_options.options.size = sizeof engine_options;
    assert_int_equal(smollm_engine_start(model, &engine_options.options, &engine, &error), 0);
    smollm_engine_close(engine);
    engine_options.newer = 1;
    assert_int_equal(smollm_engine_start(model, &engine_options.options, &engine, &error), SMOLLM_EUNSUPPORTED);
    /* What the library fills: as much as the program has room for, and zeros behind what the library knows. */
    struct {
        struct smollm_model_info info;
        unsigned char behind[16];
    } model_info;
    memset(&model_info, 0xaa, sizeof model_info);
    smollm_model_get_info_sized(model, &model_info.info, offsetof(struct smollm_model_info, file_bytes));
    assert_true(model_info.info.parameters > 0);
    assert_int_equal(model_info.info.file_bytes, 0xaaaaaaaaaaaaaaaaULL);
    smollm_model_get_info_sized(model, &model_info.info, sizeof model_info);
    assert_true(model_info.info.file_bytes > 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(model_info.behind[i], 0);
}

/* ---- Ranges ---- */

static void numbers_out_of_range_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t offset;
        uint32_t value;
    } wrong[] = {
        {"context", offsetof(struct smollm_engine_options, context), 1},
        {"context", offsetof(struct smollm_engine_options, context), TINY_CONTEXT + 1},
        {"context", offsetof(struct smollm_engine_options, context), UINT32_MAX},
        {"parallel", offsetof(struct smollm_engine_options, parallel), 1025},
        {"parallel", offsetof(struct smollm_engine_options, parallel), UINT32_MAX},
        {"queue", offsetof(struct smollm_engine_options, queue), 65537},
        {"queue", offsetof(struct smollm_engine_options, queue), UINT32_MAX},
        {"queue", offsetof(struct smollm_engine_options, queue), UINT32_MAX - 1000},
        {"threads", offsetof(struct smollm_engine_options, threads), 1025},
        {"threads", offsetof(struct smollm_engine_options, threads), UINT32_MAX},
        {"batch", offsetof(struct smollm_engine_options, batch), 8193},
        {"batch", offsetof(struct smollm_engine_options, batch), UINT32_MAX},
    };
    struct smollm_error error;
    struct smollm_engine *engine;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct smollm_engine_options options = SMOLLM_ENGINE_OPTIONS_INIT;
        memcpy((char *)&options + wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        assert_int_equal(smollm_engine_start(model, &options, &engine, &error), SMOLLM_EINVAL);
        assert_non_null(strstr(error.message, wrong[i].name));
        assert_null(strstr(error.message, "--")); /* a program has no such options */
    }
    struct smollm_model *opened;
    struct smollm_model_options model_options = SMOLLM_MODEL_OPTIONS_INIT;
    model_options.threads = 1025;
    assert_int_equal(smollm_model_open(path, &model_options, &opened, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "threads"));
    struct smollm_engine_options largest = SMOLLM_ENGINE_OPTIONS_INIT;
    largest.queue = 65536;
    assert_int_equal(smollm_engine_start(model, &largest, &engine, &error), 0);
    struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
    struct smollm_request *request;
    options.prompt = text_of("x");
    options.max_tokens = -2;
    assert_int_equal(smollm_submit(engine, &options, &request, &error), SMOLLM_EINVAL);
    assert_non_null(strstr(error.message, "max_tokens"));
    smollm_engine_close(engine);
}

static void sampling_ranges_are_the_published_ones(void **state)
{
#define WRONG(member, min, max)                                                                                        \
    do {                                                                                                               \
        struct smollm_sampling sampling = SMOLLM_SAMPLING_INIT;                                                        \
        struct smollm_error error;                                                                                     \
        sampling.member = (__typeof__(sampling.member))((max) + 1);                                                    \
        assert_int_equal(sampling_check(&sampling, 100, &error), SMOLLM_EINVAL);                                       \
        assert_non_null(strstr(error.message, #member));                                                               \
        sampling.member = (__typeof__(sampling.member))((min)-1);                                                      \
        assert_int_equal(sampling_check(&sampling, 100, &error), SMOLLM_EINVAL);                                       \
        sampling.member = (__typeof__(sampling.member))(max);                                                          \
        assert_int_equal(sampling_check(&sampling, 100, &error), 0);                                                   \
    } while (0);
    SMOLLM_SAMPLING_RANGES(WRONG)
#undef WRONG
}

static int open_model(void **state)
{
    path = tiny_model_write(false);
    struct smollm_error error;
    return smollm_model_open(path, NULL, &model, &error);
}

static int close_model(void **state)
{
    smollm_model_close(model);
    unlink(path);
    free(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_without_its_size_is_refused),
        cmocka_unit_test(other_versions_are_understood),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(sampling_ranges_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
