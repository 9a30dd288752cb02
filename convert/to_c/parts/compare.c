/* compare PATH IMAGES ANSWERS: the raw logits of the raw images in a file, on one instruction path; the median nanoseconds of a
   call on stdout. Exit code 3: this machine lacks the path; 4: a write outside the logits; 5: a file. */
#define _POSIX_C_SOURCE 200809L
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 65536

static int ascending(const void *a, const void *b)
{
    const long first = *(const long *)a, second = *(const long *)b;
    return (first > second) - (first < second);
}

int main(int count, char **arguments)
{
    static uint8_t pixels[NETWORK_HEIGHT * NETWORK_WIDTH * NETWORK_CHANNELS];
    static network_context context;
    static long times[MOST];
    FILE *images = count == 4 ? fopen(arguments[2], "rb") : 0, *answers = count == 4 ? fopen(arguments[3], "wb") : 0;
    int n = 0, path = 0;
    if (!images || !answers)
        return 5;
    while (network_path(path) && strcmp(network_path(path), arguments[1]))
        path++;
    memset(&context, 0xA5, sizeof context); /* what the context holds before a call may not matter */
    while (fread(pixels, 1, sizeof pixels, images) == sizeof pixels) {
        struct {
            network_logit before[4], logits[NETWORK_OUTPUTS], behind[4];
        } guarded;
        struct timespec start, end;
        memset(&guarded, 0x5A, sizeof guarded);
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (!network_predict_on(path, &context, pixels, guarded.logits))
            return 3;
        clock_gettime(CLOCK_MONOTONIC, &end);
        for (size_t at = 0; at < sizeof guarded.before; at++)
            if (((uint8_t *)guarded.before)[at] != 0x5A || ((uint8_t *)guarded.behind)[at] != 0x5A)
                return 4;
        if (n < MOST)
            times[n++] = (end.tv_sec - start.tv_sec) * 1000000000L + (end.tv_nsec - start.tv_nsec);
        fwrite(guarded.logits, 1, sizeof guarded.logits, answers);
    }
    if (n)
        qsort(times, (size_t)n, sizeof *times, ascending);
    printf("%ld\n", n ? times[n / 2] : 0L);
    return fclose(answers) ? 5 : 0;
}
