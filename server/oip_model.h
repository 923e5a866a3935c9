// What the Open Inference Protocol says about a model: its tensors, metadata
// and configuration, in the words of Triton.
//
// Each model takes one of two forms of request: texts (questions and contexts
// for a question answerer), which Tern tokenizes, or token ids, as models do
// that were exported from Hugging Face.

#ifndef TERN_SERVER_OIP_MODEL_H_
#define TERN_SERVER_OIP_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "inference/grpc_inference_service.pb.h"
#include "model/config.h"
#include "server/metrics.h"
#include "server/model_registry.h"

namespace tern {

struct OipTensor {
  std::string name;
  std::string datatype;       // "BYTES", "INT64", ...
  std::vector<int64_t> dims;  // without the batch; -1: the request chooses
  bool required = true;       // in requests of its form
};

struct OipSignature {
  std::vector<OipTensor> inputs;
  std::vector<OipTensor> outputs;
};

// TEXT and TEXT_PAIR to LABEL, SCORE and LOGITS; QUESTION and CONTEXT to
// ANSWER, SCORE, START, END and NO_ANSWER_SCORE; or TEXT to EMBEDDING.
OipSignature TextSignature(const BertConfig& config);
// input_ids, attention_mask and token_type_ids to logits; to start_logits and
// end_logits; or to sentence_embedding.
OipSignature TokenSignature(const BertConfig& config);

// The tensor of that name, or null.
const OipTensor* FindTensor(const std::vector<OipTensor>& tensors,
                            absl::string_view name);

// ModelRegistry::Find with errors in Triton's words: NOT_FOUND.
absl::StatusOr<std::shared_ptr<const ServedModel>> FindOipModel(
    const ModelRegistry& models, const std::string& name,
    const std::string& version);

inference::ServerMetadataResponse OipServerMetadata();
// `versions`: all that are served under its name.
inference::ModelMetadataResponse OipModelMetadata(
    const ServedModel& model, const std::vector<std::string>& versions);
inference::ModelConfig OipModelConfig(const ServedModel& model, int max_inputs);

// Of the models of that name and version (or label); empty: of all. Calls and
// batches are counted by name, so a model's newest version has what all of them
// did.
// Errors: NOT_FOUND.
absl::StatusOr<inference::ModelStatisticsResponse> OipModelStatistics(
    const ModelRegistry& models, const Metrics& metrics,
    const std::string& name, const std::string& version);

// All models; `only_ready`: none unless the server is ready.
inference::RepositoryIndexResponse OipRepositoryIndex(
    const ModelRegistry& models, bool ready, bool only_ready);

// The versions that are served of a model, oldest first.
std::vector<std::string> OipVersions(const ModelRegistry& models,
                                     const std::string& name);

}  // namespace tern

#endif  // TERN_SERVER_OIP_MODEL_H_
