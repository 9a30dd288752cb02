/* ---- The program: pictures in, the answers of edge-predict out. A picture is used as it is or refused ---- */
#ifdef EDGEPROOF_MAIN
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef EDGEPROOF_ZLIB
#include <zlib.h>
#endif

enum {
    stride = NETWORK_WIDTH * NETWORK_CHANNELS,
    n_pixels = NETWORK_HEIGHT * stride,
    most_bytes = 2 * n_pixels + 65536 /* of a file: more than any plain picture of this size needs */
};
enum { done = 0, wrong_usage = 2, bad_picture = 65, no_input = 66, storage = 74 };

static uint8_t content[most_bytes + 1]; /* one more byte tells a file that is too long */
static uint8_t image[n_pixels];

/* A name or a message in one line: what could move the cursor or forge a second line is escaped, as edge-predict does. */
static void put(FILE *to, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '\t' || *at == '\n' || *at == '\r')
            fprintf(to, "\\%c", *at == '\t' ? 't' : *at == '\n' ? 'n' : 'r');
        else if (*at < 32 || *at == 127)
            fprintf(to, "\\x%02x", *at);
        else if (*at == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0) /* U+0080 to U+009F in UTF-8 */
            fprintf(to, "\\x%02x", *++at);
        else
            putc(*at, to);
    }
}

/* Say on stderr what is wrong with `file`, and return `code`, the exit code that it means. */
static int refuse(int code, const char *file, const char *why)
{
    fputs(NETWORK_NAME ": ", stderr);
    put(stderr, file);
    fprintf(stderr, ": %s\n", why);
    return code;
}

/* Read `file` into `content`; its length in `size`. */
static int read_file(const char *file, size_t *size)
{
    struct stat about;
    const int handle = open(file, O_RDONLY | O_NONBLOCK); /* a named pipe would wait for its other end */
    ssize_t got = 1;
    int code = done;
    *size = 0;
    if (handle < 0)
        return refuse(no_input, file, strerror(errno));
    if (fstat(handle, &about))
        code = refuse(storage, file, strerror(errno));
    else if (S_ISDIR(about.st_mode))
        code = refuse(no_input, file, "is a directory; name the pictures in it");
    else if (!S_ISREG(about.st_mode))
        code = refuse(bad_picture, file, "a pipe, socket or device; save the picture as a file and name that");
    while (code == done && got > 0 && *size < sizeof content) {
        got = read(handle, content + *size, sizeof content - *size);
        if (got < 0)
            code = refuse(storage, file, strerror(errno));
        else
            *size += (size_t)got;
    }
    close(handle);
    if (code == done && *size == 0)
        code = refuse(bad_picture, file, "an empty file; copy or export the picture again");
    return code;
}

static int is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* A number of a PGM header at `at`, moved behind it, spaces and comments before it skipped; -1 if there is none. */
static long pgm_number(size_t *at, size_t size)
{
    long value = -1;
    while (*at < size && (is_space(content[*at]) || content[*at] == '#')) {
        if (content[*at] == '#')
            while (*at < size && content[*at] != '\n')
                ++*at;
        else
            ++*at;
    }
    for (; *at < size && content[*at] >= '0' && content[*at] <= '9' && value < 100000; ++*at)
        value = 10 * (value < 0 ? 0 : value) + content[*at] - '0';
    return value;
}

/* Whether `content` is a binary PGM of this size with 256 levels; its pixels go into `image`. */
static int read_pgm(size_t size)
{
    size_t at = 2; /* behind P5 */
    const long width = pgm_number(&at, size), height = pgm_number(&at, size), most = pgm_number(&at, size);
    if (NETWORK_CHANNELS != 1 || !is_space(content[2]) || width != NETWORK_WIDTH || height != NETWORK_HEIGHT || most != 255)
        return 0;
    if (at >= size || size - at - 1 != n_pixels || !is_space(content[at]))
        return 0;
    memcpy(image, content + at + 1, n_pixels);
    return 1;
}

/* Whether `content`, as long as raw pixels, is lines of ASCII or UTF-8: pixels have other dark values than a line break. */
static int is_text(void)
{
    int lines = 0;
    for (int at = 0; at < n_pixels; at++) {
        const uint8_t byte = content[at];
        if (!is_space(byte) && (byte < 32 || byte == 127 || byte > 0xF4))
            return 0;
        lines += byte == '\n';
    }
    return lines > 0;
}

/* Why a file of exactly the raw size is no raw pixels; 0 where it may be: raw pixels have no mark. */
static const char *other_than_pixels(void)
{
#define BEGINS_AS(what) "begins as " what " does, so it is not raw pixels; edge-predict reads other pictures"
    static const struct {
        int at, length;
        const char *bytes, *why;
    } known[] = {
        {0, 3, "\xff\xd8\xff", BEGINS_AS("a JPEG")},
        {0, 4, "GIF8", BEGINS_AS("a GIF")},
        {8, 4, "WEBP", BEGINS_AS("a WebP")},
        {6, 4, "\0\0\0", BEGINS_AS("a BMP")}, /* and with BM */
        {0, 4, "II*", BEGINS_AS("a TIFF")},
        {0, 4, "MM\0*", BEGINS_AS("a TIFF")},
        {4, 4, "ftyp", BEGINS_AS("an AVIF or HEIC")},
        {0, 4, "%PDF", BEGINS_AS("a PDF")},
        {0, 4, "PK\3\4", BEGINS_AS("a zip archive")},
        {0, 3, "\x1f\x8b\x08", BEGINS_AS("a gzip file")},
        {0, 4, "\x7f\x45LF", BEGINS_AS("a program")},
        {0, 6, "\x93NUMPY", BEGINS_AS("a .npy")},
        {0, 5, "<html", BEGINS_AS("HTML")},
        {0, 5, "<!DOC", BEGINS_AS("HTML")},
        {0, 5, "<?xml", BEGINS_AS("XML")},
    };
    for (size_t each = 0; each < sizeof known / sizeof *known; each++) {
        const int at = known[each].at, end = at + known[each].length;
        const int is_it = end <= n_pixels && !memcmp(content + at, known[each].bytes, (size_t)known[each].length);
        if (is_it && (at != 6 || !memcmp(content, "BM", 2)))
            return known[each].why;
    }
    return is_text() ? "holds text, so it is not raw pixels; edge-predict reads other pictures" : 0;
}
