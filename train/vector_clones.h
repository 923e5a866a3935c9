// TERN_VECTOR_CLONES before a function compiles it twice: for any CPU and for
// those with AVX2 and FMA, between which the program chooses when it starts.
// Write such a function's loops in full: GCC inlines no function that was
// compiled for another CPU. -ffp-contract=off keeps their results the same.

#ifndef TERN_TRAIN_VECTOR_CLONES_H_
#define TERN_TRAIN_VECTOR_CLONES_H_

// A level, not "arch=haswell", which GCC takes for that very CPU.
#define TERN_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v3", "default")))

#endif  // TERN_TRAIN_VECTOR_CLONES_H_
