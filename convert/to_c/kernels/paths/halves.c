/* Sixteen lanes as two times eight. */
typedef struct { ON(weights8) low, high; } ON(weights16);

INLINE ON(sums16) ON(begin16)(const int32_t *biases)
{
    return (ON(sums16)){ON(begin8)(biases), ON(begin8)(biases + 8)};
}

INLINE ON(sums16) ON(greatest16)(ON(sums16) a, ON(sums16) b)
{
    return (ON(sums16)){ON(greatest8)(a.low, b.low), ON(greatest8)(a.high, b.high)};
}

INLINE ON(weights16) ON(load16)(const int8_t *weights)
{
    return (ON(weights16)){ON(load8)(weights), ON(load8)(weights + 32)};
}

INLINE ON(sums16) ON(dot16)(ON(sums16) sums, ON(weights16) w, ON(bytes) x)
{
    return (ON(sums16)){ON(dot8)(sums.low, w.low, x), ON(dot8)(sums.high, w.high, x)};
}

INLINE ON(pairs16) ON(load_pairs16)(const int8_t *weights)
{
    return (ON(pairs16)){ON(load_pairs8)(weights), ON(load_pairs8)(weights + 16)};
}
