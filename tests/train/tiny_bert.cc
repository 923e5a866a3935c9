#include "tests/train/tiny_bert.h"

#include <random>
#include <utility>

#include "ATen/ATen.h"
#include "ATen/CPUGeneratorImpl.h"
#include "gtest/gtest.h"
#include "model/config.h"
#include "tests/tiny_model.h"
#include "train/batches.h"

namespace tern {

torch::Tensor Random(std::vector<int64_t> shape, uint64_t seed) {
  return torch::empty(shape).normal_(
      0, 1, at::make_generator<at::CPUGeneratorImpl>(seed));
}

TokenizedDataset RandomDataset(int count, int longest) {
  std::mt19937 random(7);
  TokenizedDataset dataset;
  const int vocabulary = static_cast<int>(TinyVocabulary().size());
  for (int s = 0; s < count; ++s) {
    Sequence sequence;
    const int length = 2 + static_cast<int>(random() % (longest - 1));
    for (int i = 0; i < length; ++i) {
      sequence.ids.push_back(static_cast<int>(random() % vocabulary));
      sequence.type_ids.push_back(2 * i > length);
    }
    sequence.label = static_cast<float>(random() % 3);
    dataset.sequences.push_back(sequence);
  }
  return dataset;
}

TokenBatch WholeBatch(const TokenizedDataset& dataset) {
  std::vector<int> indices;
  for (size_t i = 0; i < dataset.sequences.size(); ++i) indices.push_back(i);
  return MakeTokenBatch(dataset.sequences, indices, Task::kSingleLabel);
}

std::string TinyFolder() {
  const std::string folder = testing::TempDir() + "tiny";
  EXPECT_TRUE(WriteTinyModel(folder).ok());
  return folder;
}

BertModule LoadTiny(const BertOptions& options) {
  const std::string folder = TinyFolder();
  absl::StatusOr<BertModule> module = BertModule::Load(
      *LoadConfig(folder), folder + "/model.safetensors", options, /*seed=*/1);
  EXPECT_TRUE(module.ok()) << module.status();
  return *std::move(module);
}

}  // namespace tern
