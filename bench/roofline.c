/* The limits of this machine: streaming read bandwidth, and the peak of int8 multiply-accumulates in registers, by one
 * thread and by all.
 *
 * usage: roofline [THREADS]
 * int8 uses vpdpbusd where the CPU has AVX-512 VNNI, otherwise vpmaddubsw with vpmaddwd and vpaddd on AVX2. */
#include <immintrin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { REPEATS = 5, MOST_THREADS = 64 };
static const size_t BYTES = (size_t)1 << 30;

struct job {
    const uint8_t *data;
    size_t size;
    pthread_barrier_t *barrier;
    void (*work)(struct job *job);
    double macs; /* done by one call of work */
};

static _Atomic uint64_t sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((target("avx2"))) static void read_memory(struct job *job)
{
    __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i + 128 <= job->size; i += 128)
        for (int k = 0; k < 4; k++)
            sum[k] = _mm256_xor_si256(sum[k], _mm256_load_si256((const __m256i *)(job->data + i + k * 32)));
    for (int k = 1; k < 4; k++)
        sum[0] = _mm256_xor_si256(sum[0], sum[k]);
    atomic_fetch_add(&sink, (uint64_t)_mm256_extract_epi64(sum[0], 0));
}

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

static void multiply_vnni(struct job *job)
{
    enum { ROUNDS = 10000000 };
    for (long i = 0; i < ROUNDS; i++)
#define ONE(n) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #n "\n"
        __asm__ volatile(TWELVE(ONE)::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                               "xmm11");
#undef ONE
    job->macs = (double)ROUNDS * 12 * 64;
}

static void multiply_avx2(struct job *job)
{
    enum { ROUNDS = 20000000 };
    /* Four groups: a product, its widening with a scale, and the sum, as a kernel must do them. */
    for (long i = 0; i < ROUNDS; i++)
        __asm__ volatile("vpmaddubsw %%ymm14, %%ymm15, %%ymm4\n vpmaddubsw %%ymm14, %%ymm15, %%ymm5\n"
                         "vpmaddubsw %%ymm14, %%ymm15, %%ymm6\n vpmaddubsw %%ymm14, %%ymm15, %%ymm7\n"
                         "vpaddw %%ymm4, %%ymm0, %%ymm0\n vpaddw %%ymm5, %%ymm1, %%ymm1\n"
                         "vpaddw %%ymm6, %%ymm2, %%ymm2\n vpaddw %%ymm7, %%ymm3, %%ymm3\n" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    job->macs = (double)ROUNDS * 4 * 32;
}

static void *thread_main(void *user)
{
    struct job *job = user;
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(job->barrier);
        job->work(job);
        pthread_barrier_wait(job->barrier);
    }
    return NULL;
}

/* Seconds of the fastest repeat; *macs of all threads together. */
static double run(int threads, const uint8_t *data, void (*work)(struct job *job), double *macs)
{
    pthread_barrier_t barrier;
    pthread_t handles[MOST_THREADS];
    struct job jobs[MOST_THREADS];
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        size_t part = BYTES / (size_t)threads / 4096 * 4096;
        jobs[i] = (struct job){.data = data + part * (size_t)i, .size = part, .barrier = &barrier, .work = work};
        pthread_create(&handles[i], NULL, thread_main, &jobs[i]);
    }
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(&barrier);
        double begin = now();
        pthread_barrier_wait(&barrier);
        double took = now() - begin;
        best = took < best ? took : best;
    }
    *macs = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        *macs += jobs[i].macs;
    }
    pthread_barrier_destroy(&barrier);
    return best;
}

int main(int argc, char **argv)
{
    int most = argc > 1 ? atoi(argv[1]) : 2;
    if (most < 1 || most > MOST_THREADS || !__builtin_cpu_supports("avx2")) {
        fprintf(stderr, "usage: roofline [THREADS (1 to %d)], on a CPU with AVX2\n", MOST_THREADS);
        return 2;
    }
    uint8_t *data = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        perror("roofline");
        return 1;
    }
    madvise(data, BYTES, MADV_HUGEPAGE);
    memset(data, 1, BYTES);
    int vnni = __builtin_cpu_supports("avx512vnni");
    for (int threads = 1; threads <= most; threads += most > 1 ? most - 1 : 1) {
        double macs, seconds = run(threads, data, read_memory, &macs);
        printf("read, %d thread(s): %.1f GB/s\n", threads, (double)BYTES / seconds / 1e9);
        seconds = run(threads, data, vnni ? multiply_vnni : multiply_avx2, &macs);
        printf("int8 (%s), %d thread(s): %.3f TMAC/s\n", vnni ? "vpdpbusd" : "vpmaddubsw", threads,
               macs / seconds / 1e12);
    }
}
