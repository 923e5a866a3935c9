#include "server/oip_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flags/version.h"

namespace tern {
namespace {

// "<project>_<format>", as Triton writes platforms.
constexpr char kPlatform[] = "tern_safetensors";

std::vector<OipTensor> Concatenate(std::vector<OipTensor> a,
                                   const std::vector<OipTensor>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inference::DataType DataTypeOf(absl::string_view datatype) {
  if (datatype == "BYTES") return inference::TYPE_STRING;
  if (datatype == "FP32") return inference::TYPE_FP32;
  if (datatype == "INT32") return inference::TYPE_INT32;
  return inference::TYPE_INT64;
}

void Describe(const std::vector<OipTensor>& tensors,
              google::protobuf::RepeatedPtrField<
                  inference::ModelMetadataResponse::TensorMetadata>& to) {
  for (const OipTensor& tensor : tensors) {
    auto& metadata = *to.Add();
    metadata.set_name(tensor.name);
    metadata.set_datatype(tensor.datatype);
    metadata.add_shape(-1);
    metadata.mutable_shape()->Add(tensor.dims.begin(), tensor.dims.end());
  }
}

void SetStatistic(const ModelTotals::Times& times,
                  inference::StatisticDuration& to) {
  to.set_count(times.count);
  to.set_ns(absl::ToInt64Nanoseconds(times.sum));
}

}  // namespace

OipSignature TextSignature(const BertConfig& config) {
  if (config.task == Task::kQuestionAnswering) {
    return {.inputs = {{"QUESTION", "BYTES", {1}}, {"CONTEXT", "BYTES", {1}}},
            .outputs = {{"ANSWER", "BYTES", {1}},
                        {"SCORE", "FP32", {1}},
                        {"START", "INT32", {1}},
                        {"END", "INT32", {1}},
                        {"NO_ANSWER_SCORE", "FP32", {1}}}};
  }
  if (config.task == Task::kEmbedding) {
    return {.inputs = {{"TEXT", "BYTES", {1}}},
            .outputs = {{"EMBEDDING", "FP32", {config.outputs()}}}};
  }
  OipSignature signature = {
      .inputs = {{"TEXT", "BYTES", {1}}},
      .outputs = {{"LABEL", "BYTES", {1}},
                  {"SCORE", "FP32", {1}},
                  {"LOGITS", "FP32", {config.outputs()}}}};
  if (config.takes_pairs()) {
    signature.inputs.push_back({"TEXT_PAIR", "BYTES", {1}, false});
  }
  return signature;
}

OipSignature TokenSignature(const BertConfig& config) {
  OipSignature signature = {
      .inputs = {{"input_ids", "INT64", {-1}},
                 {"attention_mask", "INT64", {-1}, false},
                 {"token_type_ids", "INT64", {-1}, false}},
      .outputs = {}};
  if (config.task == Task::kQuestionAnswering) {
    signature.outputs = {{"start_logits", "FP32", {-1}},
                         {"end_logits", "FP32", {-1}}};
  } else if (config.task == Task::kEmbedding) {
    signature.outputs = {{"sentence_embedding", "FP32", {config.outputs()}}};
  } else {
    signature.outputs = {{"logits", "FP32", {config.outputs()}}};
  }
  return signature;
}

const OipTensor* FindTensor(const std::vector<OipTensor>& tensors,
                            absl::string_view name) {
  const auto found = std::find_if(
      tensors.begin(), tensors.end(),
      [name](const OipTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

absl::StatusOr<std::shared_ptr<const ServedModel>> FindOipModel(
    const ModelRegistry& models, const std::string& name,
    const std::string& version) {
  auto model = models.Find(name, version);
  if (model.ok()) return model;
  return absl::NotFoundError(absl::StrCat(
      "Request for unknown model: '", name, "' ",
      version.empty() ? "" : absl::StrCat("version ", version, " "),
      "is not found"));
}

inference::ServerMetadataResponse OipServerMetadata() {
  inference::ServerMetadataResponse metadata;
  metadata.set_name("tern");
  metadata.set_version(Version());
  for (const char* extension :
       {"classification", "model_configuration", "statistics"}) {
    metadata.add_extensions(extension);
  }
  return metadata;
}

inference::ModelMetadataResponse OipModelMetadata(
    const ServedModel& model, const std::vector<std::string>& versions) {
  inference::ModelMetadataResponse metadata;
  metadata.set_name(model.name);
  metadata.mutable_versions()->Add(versions.begin(), versions.end());
  metadata.set_platform(kPlatform);
  for (const OipSignature& signature :
       {TextSignature(model.engine->config()),
        TokenSignature(model.engine->config())}) {
    Describe(signature.inputs, *metadata.mutable_inputs());
    Describe(signature.outputs, *metadata.mutable_outputs());
  }
  return metadata;
}

inference::ModelConfig OipModelConfig(const ServedModel& model,
                                      int max_inputs) {
  const BertConfig& bert = model.engine->config();
  const OipSignature texts = TextSignature(bert);
  const OipSignature tokens = TokenSignature(bert);
  inference::ModelConfig config;
  config.set_name(model.name);
  config.set_platform(kPlatform);
  config.set_backend("tern");
  config.set_max_batch_size(max_inputs);
  for (const OipTensor& tensor : Concatenate(texts.inputs, tokens.inputs)) {
    inference::ModelInput& input = *config.add_input();
    input.set_name(tensor.name);
    input.set_data_type(DataTypeOf(tensor.datatype));
    input.mutable_dims()->Add(tensor.dims.begin(), tensor.dims.end());
    input.set_optional(true);  // every one is absent in one form of request
  }
  for (const OipTensor& tensor : Concatenate(texts.outputs, tokens.outputs)) {
    inference::ModelOutput& output = *config.add_output();
    output.set_name(tensor.name);
    output.set_data_type(DataTypeOf(tensor.datatype));
    output.mutable_dims()->Add(tensor.dims.begin(), tensor.dims.end());
  }
  auto& parameters = *config.mutable_parameters();
  parameters["precision"].set_string_value(
      std::string(PrecisionName(model.engine->precision())));
  parameters["variant"].set_string_value(std::string(model.engine->variant()));
  parameters["max_tokens"].set_string_value(absl::StrCat(bert.max_positions));
  if (!bert.labels.empty()) {
    parameters["labels"].set_string_value(absl::StrJoin(bert.labels, ","));
  }
  return config;
}

absl::StatusOr<inference::ModelStatisticsResponse> OipModelStatistics(
    const ModelRegistry& models, const Metrics& metrics,
    const std::string& name, const std::string& version) {
  std::string wanted = version;  // a label's version where it is a label
  if (!name.empty()) {
    const auto model = FindOipModel(models, name, version);
    if (!model.ok()) return model.status();
    if (!version.empty()) wanted = (*model)->version;
  }
  inference::ModelStatisticsResponse response;
  // One view: models may come and go meanwhile.
  const ModelRegistry::Models all = models.All();
  for (size_t i = 0; i < all.size(); ++i) {
    const ServedModel& model = *all[i];
    if (!name.empty() && model.name != name) continue;
    if (!wanted.empty() && model.version != wanted) continue;
    inference::ModelStatistics& statistics = *response.add_model_stats();
    statistics.set_name(model.name);
    statistics.set_version(model.version);
    inference::InferStatistics& stages = *statistics.mutable_inference_stats();
    const bool newest = i + 1 == all.size() || all[i + 1]->name != model.name;
    const ModelTotals totals =
        newest ? metrics.TotalsOf(model.name) : ModelTotals();
    SetStatistic(totals.answered, *stages.mutable_success());
    SetStatistic(totals.failed, *stages.mutable_fail());
    SetStatistic(totals.queue, *stages.mutable_queue());
    SetStatistic(totals.tokenize, *stages.mutable_compute_input());
    SetStatistic(totals.compute, *stages.mutable_compute_infer());
    statistics.set_inference_count(totals.sequences);
    statistics.set_execution_count(totals.batches);
  }
  return response;
}

inference::RepositoryIndexResponse OipRepositoryIndex(
    const ModelRegistry& models, bool ready, bool only_ready) {
  inference::RepositoryIndexResponse index;
  if (only_ready && !ready) return index;
  for (const auto& model : models.All()) {
    auto& entry = *index.add_models();
    entry.set_name(model->name);
    entry.set_version(model->version);
    entry.set_state(ready ? "READY" : "UNAVAILABLE");
    if (!ready) entry.set_reason("the server is shutting down");
  }
  return index;
}

std::vector<std::string> OipVersions(const ModelRegistry& models,
                                     const std::string& name) {
  std::vector<std::string> versions;
  for (const auto& model : models.All()) {
    if (model->name == name) versions.push_back(model->version);
  }
  return versions;
}

}  // namespace tern
