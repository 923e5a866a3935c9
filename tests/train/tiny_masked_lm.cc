#include "tests/train/tiny_masked_lm.h"

#include <list>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "model/safetensors.h"
#include "tests/tiny_model.h"

namespace tern {

absl::Status WriteTinyMaskedLm(const std::string& folder, uint32_t seed) {
  const TinyModelOptions options;
  absl::Status status = WriteTinyModel(folder, options);
  if (!status.ok()) return status;
  const std::string path = folder + "/model.safetensors";
  const absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(path);
  if (!file.ok()) return file.status();
  std::map<std::string, Tensor> tensors = (*file)->tensors();
  std::mt19937 random(seed);
  std::list<std::vector<float>> made;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t size = 1;
    for (int64_t extent : shape) size *= extent;
    std::vector<float>& floats = made.emplace_back(size);
    for (float& x : floats) {
      x = static_cast<float>(random() % 2001) / 2000 - 0.5f;
    }
    tensors["cls.predictions." + name] = {
        DType::kF32,
        std::move(shape),
        {reinterpret_cast<const uint8_t*>(floats.data()),
         floats.size() * sizeof(float)}};
  };
  const int64_t hidden = options.hidden_size;
  add("transform.dense.weight", {hidden, hidden});
  add("transform.dense.bias", {hidden});
  add("transform.LayerNorm.weight", {hidden});
  add("transform.LayerNorm.bias", {hidden});
  add("bias", {static_cast<int64_t>(TinyVocabulary().size())});
  return WriteSafetensors(path, tensors, {});
}

}  // namespace tern
