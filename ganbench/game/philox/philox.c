/* What `tensors.py` says in operations on tensors, bit for bit, for CPUs with a C compiler.

   Loops are written so that compilers turn them into vector instructions: no branch, no call, arrays that fit
   in the first cache. */
#include <stdint.h>

#define ROUNDS 10
#define BLOCKS 128 /* worked on at once */
#define DEGREE 3   /* of the polynomials in the table */

/* The words of the blocks `first`, `first` + 1, … of one step. */
static void draw_words(uint32_t words[4][BLOCKS], uint32_t first, int64_t blocks, uint64_t step,
                       const uint32_t key0[ROUNDS], const uint32_t key1[ROUNDS]) {
    for (int64_t i = 0; i < blocks; i++) {
        uint32_t c0 = first + (uint32_t)i, c1 = 0, c2 = (uint32_t)step, c3 = (uint32_t)(step >> 32);
        for (int round = 0; round < ROUNDS; round++) {
            uint64_t even = UINT64_C(0xD2511F53) * c0, odd = UINT64_C(0xCD9E8D57) * c2;
            c0 = (uint32_t)(odd >> 32) ^ c1 ^ key0[round];
            c1 = (uint32_t)odd;
            c2 = (uint32_t)(even >> 32) ^ c3 ^ key1[round];
            c3 = (uint32_t)even;
        }
        words[0][i] = c0;
        words[1][i] = c1;
        words[2][i] = c2;
        words[3][i] = c3;
    }
}

/* A normal variate in units of 2^-40. */
static inline int64_t normal(uint32_t word, const int64_t *restrict table) {
    uint32_t tail = word | 1, zeros = (uint32_t)__builtin_clz(tail), scaled = tail << zeros;
    int32_t at = (int32_t)((DEGREE + 1) * (((31 - zeros) << 6) + ((scaled >> 25) & 63)));
    int64_t place = scaled & 0x1FFFFFF, value = table[at + DEGREE], negative = word & 1;
    for (int power = DEGREE - 1; power >= 0; power--) value = ((value * place) >> 25) + table[at + power];
    return (value ^ -negative) + negative;
}

/* out: steps x runs x count; keys: runs x 2 words. */
#define FILL(NAME, TYPE, VALUE)                                                                                 \
    void NAME(TYPE *out, const int64_t *keys, const int64_t *table, int64_t runs, uint64_t first, int64_t steps, \
              int64_t count) {                                                                                  \
        int64_t blocks = (count + 3) / 4;                                                                       \
        uint32_t words[4][BLOCKS], key0[ROUNDS], key1[ROUNDS];                                                  \
        for (int64_t row = 0; row < steps * runs; row++, out += count) {                                        \
            const int64_t *key = keys + 2 * (row % runs);                                                       \
            for (uint32_t round = 0; round < ROUNDS; round++) {                                                 \
                key0[round] = (uint32_t)key[0] + round * UINT32_C(0x9E3779B9);                                  \
                key1[round] = (uint32_t)key[1] + round * UINT32_C(0xBB67AE85);                                  \
            }                                                                                                   \
            for (int64_t block = 0; block < blocks; block += BLOCKS) {                                          \
                int64_t now = blocks - block < BLOCKS ? blocks - block : BLOCKS;                                \
                draw_words(words, (uint32_t)block, now, first + (uint64_t)(row / runs), key0, key1);            \
                for (int quarter = 0; quarter < 4; quarter++) {                                                 \
                    int64_t at = quarter * blocks + block, here = count - at < now ? count - at : now;          \
                    const uint32_t *restrict word = words[quarter];                                             \
                    for (int64_t i = 0; i < here; i++) out[at + i] = VALUE;                                     \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
    }

FILL(normal_float32, float, (float)normal(word[i], table) * 0x1p-40f)
FILL(normal_float64, double, (double)normal(word[i], table) * 0x1p-40)
FILL(uniform_float32, float, (float)(word[i] >> 8) * 0x1p-24f)
FILL(uniform_float64, double, (double)word[i] * 0x1p-32)
