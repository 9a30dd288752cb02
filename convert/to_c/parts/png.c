/* A plain PNG: 8-bit grey or RGB of this size, not interlaced, no transparency, every checksum right, every chunk in place. */
#ifdef EDGEPROOF_ZLIB
static uint8_t filtered[NETWORK_HEIGHT * (1 + stride) + 1]; /* one more byte tells a stream that is too long */

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Whether a chunk changes no pixel. Not among these: tRNS, eXIf, acTL, PLTE, sBIT, iCCP and all unknown ones. */
static int harmless(const uint8_t *kind, uint32_t length)
{
    static const struct {
        const char *kind;
        uint32_t length;
    } known[] = {{"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1}, {"pHYs", 9}, {"tIME", 7}, {"bKGD", 0}, {"tEXt", 0}};
    for (size_t each = 0; each < sizeof known / sizeof *known; each++)
        if (!memcmp(kind, known[each].kind, 4))
            return !known[each].length || known[each].length == length;
    return 0;
}

/* Join the image data at the front of `content`, over what has been read; its length, or 0 if a chunk is not as it must be. */
static size_t image_data(size_t size)
{
    size_t joined = 0;
    int parts = 0, follows = 0;
    for (size_t at = 8; size - at >= 12;) {
        const uint32_t length = big_endian(content + at);
        const uint8_t *kind = content + at + 4;
        if (length > size - at - 12 || crc32(crc32(0, 0, 0), kind, length + 4) != big_endian(kind + 4 + length))
            return 0;
        if (!memcmp(kind, "IEND", 4))
            return parts && !length && at + 12 == size ? joined : 0;
        if (!memcmp(kind, "IDAT", 4)) {
            if (parts && !follows)
                return 0;
            memmove(content + joined, kind + 4, length);
            joined += length;
            parts = follows = 1;
        } else if (!memcmp(kind, "IHDR", 4) ? at != 8 : !harmless(kind, length)) {
            return 0;
        } else {
            follows = 0;
        }
        at += 12 + (size_t)length;
    }
    return 0;
}

/* Left, above or corner, whichever is nearest to left + above - corner. */
static int paeth(int left, int above, int corner)
{
    const int to_left = above > corner ? above - corner : corner - above, to_above = left > corner ? left - corner : corner - left;
    const int sum = left + above - 2 * corner, to_corner = sum < 0 ? -sum : sum;
    return to_left <= to_above && to_left <= to_corner ? left : to_above <= to_corner ? above : corner;
}

/* Undo PNG's row filters, each of which predicts a byte from its neighbours; 0 if a filter is unknown. */
static int unfilter(void)
{
    for (int y = 0; y < NETWORK_HEIGHT; y++) {
        const uint8_t *row = filtered + y * (1 + stride) + 1;
        uint8_t *out = image + y * stride;
        for (int x = 0; x < stride; x++) {
            const int inside = x >= NETWORK_CHANNELS;
            const int left = inside ? out[x - NETWORK_CHANNELS] : 0, above = y ? out[x - stride] : 0;
            const int corner = inside && y ? out[x - stride - NETWORK_CHANNELS] : 0;
            const int predicted[] = {0, left, above, (left + above) >> 1, paeth(left, above, corner)};
            if (row[-1] > 4)
                return 0;
            out[x] = (uint8_t)(row[x] + predicted[row[-1]]);
        }
    }
    return 1;
}

/* Whether `content` is such a PNG; its pixels go into `image`. */
static int read_png(size_t size)
{
    static const uint8_t start[16] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    static const uint8_t form[5] = {8, NETWORK_CHANNELS == 1 ? 0 : 2, 0, 0, 0};
    z_stream stream;
    int end;
    if (size < 33 || size > most_bytes || memcmp(content, start, 16) || memcmp(content + 24, form, 5))
        return 0;
    if (big_endian(content + 16) != NETWORK_WIDTH || big_endian(content + 20) != NETWORK_HEIGHT)
        return 0;
    memset(&stream, 0, sizeof stream);
    stream.next_in = content;
    stream.avail_in = (uInt)image_data(size);
    stream.next_out = filtered;
    stream.avail_out = sizeof filtered;
    if (!stream.avail_in || inflateInit(&stream) != Z_OK)
        return 0;
    end = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return end == Z_STREAM_END && stream.avail_out == 1 && !stream.avail_in && unfilter();
}
#endif
