/* The one caller of everything that benchmarks.studies.programs times: LiteRT's function and the generated ones alike. */
#include <stdint.h>
#include <time.h>

typedef int (*function)(void *, void *, void *, void *, void *, void *);

/* `n` calls of `called` with six `arguments`, of which it takes its first; the nanoseconds of each to `taken`. */
void time_calls(function called, void **arguments, int n, int64_t *taken)
{
    for (int i = 0; i < n; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        called(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
        clock_gettime(CLOCK_MONOTONIC, &after);
        taken[i] = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + (after.tv_nsec - before.tv_nsec);
    }
}
