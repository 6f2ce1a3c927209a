/* Kept streams on sources that say what the test feeds them: readers, bounds, replacement, expiry. */
#include "cmocka_all.h"

#include "api/core/kept_streams.h"
#include "api/core/path_text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- A source ---- */

struct source {
    pthread_mutex_t mutex;
    struct buffer bytes;
    size_t pulled; /* of them */
    bool has_begun, is_done;
    struct api_error error;
    atomic_int closed;
    struct kept_stream *stream;
    struct kept_reader *reader; /* the first one */
    atomic_int notified;        /* of the first reader */
};

static enum api_state pull(void *user, struct buffer *out, size_t max)
{
    struct source *s = user;
    pthread_mutex_lock(&s->mutex);
    enum api_state state = s->is_done ? API_DONE : API_WAITING;
    const size_t left = s->bytes.size - s->pulled, size = left < max ? left : max;
    if (s->error.status != 0) {
        buffer_printf(out, "<%s>", s->error.code);
        state = API_DONE;
    } else if (size > 0) {
        buffer_append(out, s->bytes.data + s->pulled, size);
        s->pulled += size;
        s->has_begun = true;
        state = left > size ? API_READY : state;
    }
    pthread_mutex_unlock(&s->mutex);
    return state;
}

static struct api_head head(const void *user)
{
    const struct source *s = user;
    if (s->error.status != 0 && !s->has_begun)
        return (struct api_head){.status = s->error.status, .content_type = "application/json"};
    return (struct api_head){.status = 200, .content_type = "text/plain", .is_stream = true};
}

static void get_figures(const void *user, struct api_figures *figures)
{
    (void)user;
    *figures = (struct api_figures){.prompt_tokens = 7, .finish = "stop"};
}

static void begin(void *user)
{
    struct source *s = user;
    pthread_mutex_lock(&s->mutex);
    buffer_append_string(&s->bytes, "begin");
    pthread_mutex_unlock(&s->mutex);
}

static void end_with(void *user, const struct api_error *error)
{
    ((struct source *)user)->error = *error;
}

static void close_source(void *user)
{
    struct source *s = user;
    atomic_fetch_add(&s->closed, 1);
}

static void keep_alive(const void *user, struct buffer *out)
{
    (void)user;
    buffer_append_string(out, "(alive)");
}

static const struct stream_source functions = {pull, head, get_figures, begin, end_with, close_source, keep_alive};

/* ---- What the tests share ---- */

static _Atomic uint64_t now;

static uint64_t clock_of_test(void)
{
    return atomic_load(&now);
}

static void advance(int seconds)
{
    atomic_fetch_add(&now, (uint64_t)seconds * 1000000000u);
}

static int pauses;

static int setup(void **state)
{
    pauses = 0;
    struct kept_streams *kept = malloc(sizeof *kept);
    kept_streams_init(kept);
    kept->clock = clock_of_test;
    *state = kept;
    return 0;
}

static int teardown(void **state)
{
    kept_streams_destroy(*state);
    free(*state);
    return 0;
}

static void count(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

/* Freed by close_all. */
static struct source *start_with(struct kept_streams *kept, uint64_t key, const char *id, struct api_error *error)
{
    struct source *s = calloc(1, sizeof *s);
    pthread_mutex_init(&s->mutex, NULL);
    s->stream = kept_stream_create(kept, key, text_of(id));
    if (kept_stream_start(s->stream, &functions, s, count, &s->notified, &s->reader, error) == 0)
        return s;
    kept_stream_discard(s->stream);
    free(s);
    return NULL;
}

static struct source *start(struct kept_streams *kept, const char *id)
{
    struct api_error error;
    struct source *s = start_with(kept, 1, id, &error);
    assert_non_null(s);
    return s;
}

static void feed(struct source *s, const void *bytes, size_t size)
{
    pthread_mutex_lock(&s->mutex);
    buffer_append(&s->bytes, bytes, size);
    pthread_mutex_unlock(&s->mutex);
    kept_stream_notify(s->stream);
}

static void end(struct source *s)
{
    pthread_mutex_lock(&s->mutex);
    s->is_done = true;
    pthread_mutex_unlock(&s->mutex);
    kept_stream_notify(s->stream);
}

static void leave(struct source *s)
{
    kept_reader_close(s->reader);
    s->reader = NULL;
}

static void pause_shortly(void)
{
    assert_true(pauses++ < 50000); /* ten seconds in one test */
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void wait_closed(struct source *s)
{
    while (atomic_load(&s->closed) == 0)
        pause_shortly();
}

static void note(void *user, const struct kept_stream_info *info)
{
    *(struct kept_stream_info *)user = *info;
}

/* {0}: there is none. */
static struct kept_stream_info look(struct kept_streams *kept, const char *id)
{
    struct kept_stream_info info = {0};
    kept_streams_visit(kept, 1, text_of(id), note, &info);
    return info;
}

static void wait_end(struct kept_streams *kept, const char *id, uint64_t position, bool is_done)
{
    struct kept_stream_info info;
    while ((info = look(kept, id)).end < position || info.is_done != is_done)
        pause_shortly();
}

static atomic_int unused;

static struct kept_reader *open_at(struct kept_streams *kept, uint64_t key, const char *id, uint64_t from, int status)
{
    struct kept_reader *reader = NULL;
    struct api_error error = {0};
    const int result = kept_streams_open(kept, key, text_of(id), from, count, &unused, &reader, &error);
    assert_int_equal(result < 0 ? error.status : 200, status);
    return reader;
}

/* Reads to the end and closes; returns how it ended. */
static enum api_state read_all(struct kept_reader *reader, struct buffer *out)
{
    enum api_state state;
    struct buffer piece = {0};
    while ((state = kept_reader_pull(reader, &piece, 1000)) == API_WAITING || state == API_READY) {
        buffer_append_text(out, buffer_text(&piece));
        if (state == API_WAITING && piece.size == 0)
            pause_shortly();
        buffer_clear(&piece);
    }
    buffer_append_text(out, buffer_text(&piece));
    buffer_free(&piece);
    kept_reader_close(reader);
    return state;
}

static void assert_reads(struct kept_reader *reader, const char *expected)
{
    struct buffer out = {0};
    assert_non_null(reader);
    assert_int_equal(read_all(reader, &out), API_DONE);
    assert_string_equal(out.data ? out.data : "", expected);
    buffer_free(&out);
}

static void release(struct source *s)
{
    if (s->reader)
        leave(s);
    wait_closed(s);
    assert_int_equal(atomic_load(&s->closed), 1);
    pthread_mutex_destroy(&s->mutex);
    buffer_free(&s->bytes);
    free(s);
}

/* ---- The window ---- */

static char byte_at(uint64_t position)
{
    return (char)(position * 2654435761u >> 13);
}

static void test_window(void **state)
{
    (void)state;
    static struct byte_window window;
    static char bytes[100000];
    unsigned random = 1;
    for (int i = 0; i < 400; i++) {
        random = random * 1103515245 + 12345;
        const size_t size = (random >> 8) % sizeof bytes;
        for (size_t k = 0; k < size; k++)
            bytes[k] = byte_at(window.end + k);
        assert_true(byte_window_append(&window, (struct smollm_text){bytes, size}));
        assert_true(window.end - window.begin <= BYTE_WINDOW_BYTES);
        assert_true(window.block_count <= BYTE_WINDOW_BLOCKS);
        if (i % 50 == 49)
            assert_true(byte_window_shrink(&window));
        struct buffer out = {0};
        const uint64_t from = window.begin + random % (window.end - window.begin + 1);
        const size_t read = byte_window_read(&window, from, size, &out);
        assert_int_equal(read, window.end - from < size ? window.end - from : size);
        assert_int_equal(out.size, read);
        for (size_t k = 0; k < read; k++)
            assert_int_equal(out.data[k], byte_at(from + k));
        buffer_free(&out);
    }
    assert_true(window.begin > 0);
    assert_int_equal(byte_window_read(&window, window.end + 5, 10, NULL), 0);
    while (byte_window_shrink(&window))
        ;
    assert_int_equal(window.block_count, 1);
    assert_true(window.begin < window.end);
    byte_window_free(&window);
}

/* ---- Streams ---- */

static void test_readers(void **state)
{
    struct source *s = start(*state, "a");
    struct api_head known;
    struct buffer piece = {0};
    assert_false(kept_reader_head(s->reader, &known));
    assert_int_equal(kept_reader_pull(s->reader, &piece, 10), API_WAITING);
    struct kept_reader *early = open_at(*state, 1, "a", 2, 200), *later = open_at(*state, 1, "a", 8, 200);
    feed(s, "abcdef", 6);
    wait_end(*state, "a", 6, false);
    assert_true(atomic_load(&s->notified) > 0);
    assert_int_equal(kept_reader_pull(s->reader, &piece, 4), API_READY);
    assert_int_equal(kept_reader_pull(early, &piece, 100), API_WAITING);
    assert_string_equal(piece.data, "abcdcdef");
    assert_true(kept_reader_head(early, &known) && known.status == 200 && known.is_stream);
    struct api_figures figures;
    assert_true(kept_reader_figures(s->reader, &figures) && figures.prompt_tokens == 7);
    assert_string_equal(figures.finish, "kept");
    assert_false(kept_reader_figures(early, &figures));
    leave(s); /* the first reader leaves, and the stream goes on */
    feed(s, "ghij", 4);
    end(s);
    wait_end(*state, "a", 10, true);
    assert_true(look(*state, "a").completed_at > 0);
    assert_reads(early, "ghij");
    assert_reads(later, "ij");
    assert_reads(open_at(*state, 1, "a", 0, 200), "abcdefghij");
    assert_reads(open_at(*state, 1, "a", 9, 200), "j");
    assert_reads(open_at(*state, 1, "a", 10, 200), "");
    assert_reads(open_at(*state, 1, "a", UINT64_MAX, 200), "");
    buffer_free(&piece);
    release(s);
}

static void test_keys_and_ids(void **state)
{
    struct api_error error;
    struct source *mine = start(*state, "x"), *theirs = start_with(*state, 2, "x", &error);
    struct source *variant = start(*state, "x::model"), *other = start(*state, "x:model");
    struct source *all[] = {mine, theirs, variant, other};
    for (size_t i = 0; i < 4; i++) {
        char text[2] = {(char)('0' + i)};
        feed(all[i], text, 1);
        end(all[i]);
        wait_closed(all[i]);
    }
    assert_reads(open_at(*state, 1, "x", 0, 200), "0");
    assert_reads(open_at(*state, 2, "x", 0, 200), "1");
    open_at(*state, 3, "x", 0, 404);
    open_at(*state, 2, "x::model", 0, 404);
    open_at(*state, 1, "", 0, 404);
    struct kept_stream_info info = {0};
    kept_streams_visit(*state, 1, text_of("x"), note, &info); /* both; the older one last */
    assert_true(text_is(info.id, "x"));
    info = (struct kept_stream_info){0};
    kept_streams_visit(*state, 1, text_of("x:"), note, &info);
    assert_int_equal(info.id.size, 0);
    assert_false(kept_streams_remove(*state, 3, text_of("x")));
    assert_true(kept_streams_remove(*state, 2, text_of("x")));
    assert_reads(open_at(*state, 1, "x", 0, 200), "0");
    for (size_t i = 0; i < 4; i++)
        release(all[i]);
}

static void test_replaced_and_removed(void **state)
{
    struct source *first = start(*state, "r");
    feed(first, "1", 1);
    wait_end(*state, "r", 1, false);
    struct kept_reader *reader = open_at(*state, 1, "r", 0, 200);
    struct source *second = start(*state, "r");
    assert_reads(reader, "1<replaced>");
    feed(second, "2", 1);
    wait_end(*state, "r", 1, false);
    assert_true(kept_streams_remove(*state, 1, text_of("r")));
    assert_false(kept_streams_remove(*state, 1, text_of("r")));
    open_at(*state, 1, "r", 0, 404);
    wait_closed(second);
    assert_reads(second->reader, "2<deleted>");
    second->reader = NULL;
    release(first);
    release(second);
    assert_int_equal(((struct kept_streams *)*state)->count, 0);
}

static void test_error_before_the_first_byte(void **state)
{
    struct source *s = start(*state, "e");
    struct kept_reader *reader = open_at(*state, 1, "e", 5, 200);
    struct api_error error;
    struct api_head known;
    api_error_make(&error, 503, "late", "too late");
    kept_reader_abort(reader, &error);
    wait_closed(s);
    while (!kept_reader_head(reader, &known))
        pause_shortly();
    assert_true(known.status == 503 && !known.is_stream);
    assert_reads(reader, "<late>");
    open_at(*state, 1, "e", 0, 404);
    assert_reads(s->reader, "<late>");
    s->reader = NULL;
    release(s);
}

static void test_silence(void **state)
{
    struct source *s = start(*state, "s");
    kept_reader_keep_alive(s->reader); /* before it has begun nothing is written */
    kept_reader_begin(s->reader);
    wait_end(*state, "s", 5, false);
    kept_reader_keep_alive(s->reader);
    wait_end(*state, "s", 12, false);
    end(s);
    wait_end(*state, "s", 12, true);
    kept_reader_keep_alive(s->reader);
    assert_reads(open_at(*state, 1, "s", 0, 200), "begin(alive)");
    release(s);
}

static char block[1 << 20];

static void test_long_stream(void **state)
{
    struct source *s = start(*state, "long");
    const uint64_t total = 6 * sizeof block;
    struct buffer piece = {0};
    feed(s, "x", 1);
    wait_end(*state, "long", 1, false);
    struct kept_reader *slow = open_at(*state, 1, "long", 1, 200);
    for (int i = 0; i < 6; i++)
        feed(s, block, sizeof block);
    wait_end(*state, "long", total + 1, false);
    const struct kept_stream_info info = look(*state, "long");
    assert_true(info.begin > 0 && info.end - info.begin <= BYTE_WINDOW_BYTES);
    assert_true(info.end - info.begin > BYTE_WINDOW_BYTES - BYTE_WINDOW_BLOCK);
    assert_int_equal(kept_reader_pull(slow, &piece, 100), API_LOST);
    kept_reader_close(slow);
    open_at(*state, 1, "long", info.begin - 1, 400);
    end(s);
    assert_int_equal(read_all(open_at(*state, 1, "long", info.begin, 200), &piece), API_DONE);
    assert_int_equal(piece.size, info.end - info.begin);
    buffer_free(&piece);
    release(s);
}

/* All windows together: finished streams go first, the one that was unread for the longest time before others; then the
 * largest gets smaller. */
static void test_all_bytes(void **state)
{
    enum { COUNT = 20, FINISHED = 8 };
    struct kept_streams *kept = *state;
    struct source *sources[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char id[16];
        snprintf(id, sizeof id, "b%d", i);
        sources[i] = start(kept, id);
        for (int k = 0; k < 4; k++)
            feed(sources[i], block, sizeof block);
        if (i < FINISHED) {
            end(sources[i]);
            wait_end(kept, id, 4 * sizeof block, true);
            advance(1);
            leave(sources[i]);
        } else if (i < 16 + FINISHED - FINISHED / 2) {
            wait_end(kept, id, 4 * sizeof block, false);
        }
        pthread_mutex_lock(&kept->mutex);
        assert_true(kept->block_count <= KEPT_STREAMS_BYTES / BYTE_WINDOW_BLOCK);
        pthread_mutex_unlock(&kept->mutex);
        if (i == 15)
            assert_int_equal(look(kept, "b0").end, 4 * sizeof block); /* it fits exactly */
        if (i == 16)
            assert_true(!look(kept, "b0").id.data && look(kept, "b1").id.data);
    }
    struct source *more[8];
    for (int i = 0; i < 8; i++) { /* nothing finished is left: 20 streams share what 16 would fill */
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        more[i] = start(kept, id);
        for (int k = 0; k < 4; k++)
            feed(more[i], block, sizeof block);
        wait_end(kept, id, 4 * sizeof block, false);
    }
    for (int i = 0; i < FINISHED; i++) {
        char id[16];
        snprintf(id, sizeof id, "b%d", i);
        assert_null(look(kept, id).id.data);
    }
    const struct kept_stream_info info = look(kept, "b8");
    assert_true(info.begin > 0 && info.end - info.begin > 2 * sizeof block);
    assert_true(kept->block_count <= KEPT_STREAMS_BYTES / BYTE_WINDOW_BLOCK);
    for (int i = 0; i < 8; i++) {
        end(more[i]);
        release(more[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i >= FINISHED)
            end(sources[i]);
        release(sources[i]);
    }
}

static void test_count(void **state)
{
    struct source *sources[KEPT_STREAMS_MAX];
    struct api_error error = {0};
    for (int i = 0; i < KEPT_STREAMS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", i);
        sources[i] = start(*state, id);
    }
    assert_null(start_with(*state, 1, "more", &error));
    assert_int_equal(error.status, 429);
    end(sources[3]);
    wait_closed(sources[3]);
    assert_null(start_with(*state, 1, "more", &error)); /* it is still read */
    leave(sources[3]);
    wait_end(*state, "n3", 0, true);
    struct source *more = start(*state, "more");
    open_at(*state, 1, "n3", 0, 404);
    end(more);
    release(more);
    for (int i = 0; i < KEPT_STREAMS_MAX; i++) {
        if (i != 3)
            end(sources[i]);
        release(sources[i]);
    }
}

static void test_expiry(void **state)
{
    struct source *read = start(*state, "read"), *left = start(*state, "left"), *endless = start(*state, "endless");
    feed(read, "1", 1);
    feed(left, "2", 1);
    feed(endless, "3", 1);
    end(read);
    end(left);
    leave(left);
    leave(endless);
    wait_end(*state, "read", 1, true);
    wait_end(*state, "left", 1, true);
    wait_end(*state, "endless", 1, false);
    advance(KEPT_STREAM_IDLE_SECONDS - 1);
    kept_reader_close(open_at(*state, 1, "left", 0, 200)); /* its time begins anew */
    advance(KEPT_STREAM_IDLE_SECONDS - 1);
    kept_reader_close(open_at(*state, 1, "left", 0, 200));
    advance(KEPT_STREAM_IDLE_SECONDS);
    open_at(*state, 1, "left", 0, 404);
    kept_reader_close(open_at(*state, 1, "read", 0, 200)); /* it has a reader all the time */
    leave(read);
    advance(KEPT_STREAM_IDLE_SECONDS);
    assert_null(look(*state, "read").id.data);

    assert_non_null(look(*state, "endless").id.data);
    assert_int_equal(atomic_load(&endless->closed), 0);
    advance(KEPT_STREAM_UNREAD_SECONDS);
    assert_non_null(look(*state, "endless").id.data);
    wait_closed(endless);
    assert_reads(open_at(*state, 1, "endless", 0, 200), "3<unread>");
    release(read);
    release(left);
    release(endless);
}

/* What is under way when everything ends is closed once. */
static void test_destroyed_under_way(void **state)
{
    (void)state;
    struct kept_streams kept;
    kept_streams_init(&kept);
    struct source *busy = start(&kept, "busy"), *quiet = start(&kept, "quiet");
    feed(busy, block, sizeof block);
    leave(busy);
    leave(quiet);
    kept_streams_destroy(&kept);
    release(busy);
    release(quiet);
    kept_streams_init(&kept); /* one that was never used */
    kept_streams_destroy(&kept);
}

static void assert_query(const char *query, const char *name, const char *expected)
{
    struct buffer value = {0};
    assert_int_equal(query_find(text_of(query), name, &value), expected != NULL);
    assert_string_equal(value.data ? value.data : "", expected ? expected : "");
    buffer_free(&value);
}

static void test_query(void **state)
{
    (void)state;
    assert_query("a=1&b=two+words&c=%2B%26%", "a", "1");
    assert_query("a=1&b=two+words&c=%2B%26%", "b", "two words");
    assert_query("a=1&b=two+words&c=%2B%26%", "c", "+&%");
    assert_query("a=1=2&a=3", "a", "1=2");
    assert_query("ab=1&a&b=", "a", "");
    assert_query("ab=1&a&b=", "b", "");
    assert_query("ab=1&a&b=+", "b", " ");
    assert_query("&&ab=1", "b", NULL);
    assert_query("", "b", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test_setup_teardown(test_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_and_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_before_the_first_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
        cmocka_unit_test(test_destroyed_under_way),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
