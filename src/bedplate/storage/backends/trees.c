/* Trees as tables, and two ways through them; "tables.h" is written for one model by trees_to_tables.py.

   A row goes through eight trees at a time, as many steps as the deepest of them has (a leaf leads to itself), so that no branch has to be
   guessed and no load waits for another tree's. Sixteen rows go through all trees at once: every split that a row passes on the right
   takes the leaves to its left out of a set, and the lowest leaf that is left is the answer (Lucchese et al., QuickScorer, SIGIR 2015).

   Each input is there twice: once with a missing value below every number, once above, so that a split's side for what is missing is
   where it looks. Sums are taken in the order of the trees, so that both ways give the same bits. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tables.h"

#define LANES 16
#define ABREAST 8
#define FEW 3

static double seen(double value, int above) {
  if (value != value) { return above ? INFINITY : -INFINITY; }
  return (double)(NUMBER)value;
}

static double answer(LEAF sum) {
  if (AVERAGED) { sum /= (LEAF)TREES; }
  sum += BASE;
  return (double)(SIGMOID ? 1 / (1 + EXP(-ALPHA * sum)) : sum);
}

#define STEP(at) at = nodes[at].next + (input[nodes[at].input] > nodes[at].threshold)

static double one(const double* row) {
  double input[2 * WIDTH];
  LEAF reached[TREES + ABREAST];
  for (int column = 0; column < WIDTH; ++column) {
    input[2 * column] = seen(row[column], 0);
    input[2 * column + 1] = seen(row[column], 1);
  }
  for (int group = 0; group < TREES; group += ABREAST) {
    const int32_t* tree = by_depth + group;
    int64_t a = first[tree[0]], b = first[tree[1]], c = first[tree[2]], d = first[tree[3]];
    int64_t e = first[tree[4]], f = first[tree[5]], g = first[tree[6]], h = first[tree[7]];
    for (int left = depth[tree[ABREAST - 1]]; left; --left) {
      STEP(a); STEP(b); STEP(c); STEP(d); STEP(e); STEP(f); STEP(g); STEP(h);
    }
    reached[tree[0]] = leaf[a]; reached[tree[1]] = leaf[b]; reached[tree[2]] = leaf[c]; reached[tree[3]] = leaf[d];
    reached[tree[4]] = leaf[e]; reached[tree[5]] = leaf[f]; reached[tree[6]] = leaf[g]; reached[tree[7]] = leaf[h];
  }
  LEAF sum = 0;
  for (int tree = 0; tree < TREES; ++tree) { sum += reached[tree]; }
  return answer(sum);
}

#if SETS
#if CLONES
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void many(const double* rows, double* out) {
  SET left[TREES][LANES];
  memset(left, 255, sizeof left);
  for (int place = 0; place < 2 * WIDTH; ++place) {
    double value[LANES], most = -INFINITY;
    for (int lane = 0; lane < LANES; ++lane) {
      value[lane] = seen(rows[lane * WIDTH + place / 2], place & 1);
      if (value[lane] > most) { most = value[lane]; }
    }
    for (int at = splits[place]; at < splits[place + 1] && threshold[at] < most; ++at) {
      SET* of = left[tree_of[at]];
      const SET kept = keeps[at];
      const double split = threshold[at];
      for (int lane = 0; lane < LANES; ++lane) { of[lane] &= value[lane] > split ? kept : ~(SET)0; }
    }
  }
  LEAF sum[LANES] = {0};
  for (int tree = 0; tree < TREES; ++tree) {
    for (int lane = 0; lane < LANES; ++lane) { sum[lane] += leaves[leaf_from[tree] + LOWEST(left[tree][lane])]; }
  }
  for (int lane = 0; lane < LANES; ++lane) { out[lane] = answer(sum[lane]); }
}
#endif

__attribute__((visibility("default")))
void predict_rows(const double* rows, int64_t count, double* out) {
  int64_t at = 0;
#if SETS
  for (; at + LANES <= count; at += LANES) { many(rows + at * WIDTH, out + at); }
  if (count - at > FEW) {
    double given[LANES * WIDTH] = {0}, made[LANES];
    memcpy(given, rows + at * WIDTH, (size_t)(count - at) * WIDTH * sizeof(double));
    many(given, made);
    memcpy(out + at, made, (size_t)(count - at) * sizeof(double));
    return;
  }
#endif
  for (; at < count; ++at) { out[at] = one(rows + at * WIDTH); }
}
