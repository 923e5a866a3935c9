// Where tern-train's memory comes from: tcmalloc (gperftools), in huge pages,
// kept for good.
//
// Each step makes and drops hundreds of tensors of megabytes, of other sizes
// than the step before, since batches are ragged. glibc maps such blocks anew
// each time (zeroing their pages took 38% of a step on SQuAD), or where it
// keeps them searches a list of all their sizes: half of a step of BERT-Base
// after an hour. tcmalloc keeps a tree. A step goes through gigabytes, in pages
// of 4 KiB a sixth slower.

#ifndef TERN_TRAIN_TENSOR_MEMORY_H_
#define TERN_TRAIN_TENSOR_MEMORY_H_

namespace tern {

// Call it first of all, before there is a second thread.
void SetUpTensorMemory();

}  // namespace tern

#endif  // TERN_TRAIN_TENSOR_MEMORY_H_
