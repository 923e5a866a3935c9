#include "server/model_service.h"

#include <string>

#include "server/status_mapping.h"

namespace tern {
namespace {

v1::Task ToProto(Task task) {
  switch (task) {
    case Task::kSingleLabel:
      return v1::TASK_SINGLE_LABEL_CLASSIFICATION;
    case Task::kMultiLabel:
      return v1::TASK_MULTI_LABEL_CLASSIFICATION;
    case Task::kRegression:
      return v1::TASK_REGRESSION;
    case Task::kQuestionAnswering:
      return v1::TASK_QUESTION_ANSWERING;
    case Task::kEmbedding:
      return v1::TASK_EMBEDDING;
  }
  return v1::TASK_UNSPECIFIED;
}

v1::Precision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return v1::PRECISION_FP32;
    case Precision::kInt8:
      return v1::PRECISION_INT8;
    case Precision::kTernary:
      return v1::PRECISION_TERNARY;
  }
  return v1::PRECISION_UNSPECIFIED;
}

}  // namespace

v1::Model ToProto(const ServedModel& model) {
  const Engine& engine = *model.engine;
  const BertConfig& config = engine.config();
  v1::Model to;
  to.set_name(model.name);
  to.set_version(model.version);
  to.set_task(ToProto(config.task));
  to.set_precision(ToProto(engine.precision()));
  to.mutable_labels()->Add(config.labels.begin(), config.labels.end());
  to.set_max_tokens(config.task == Task::kEmbedding
                        ? config.embedding.max_tokens
                        : config.max_positions);
  to.set_layers(config.layers);
  to.set_hidden_size(config.hidden_size);
  to.set_parameters(engine.parameters());
  to.set_file_bytes(engine.file_bytes());
  to.set_variant(std::string(engine.variant()));
  return to;
}

grpc::ServerUnaryReactor* ModelService::ListModels(
    grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
    v1::ListModelsResponse* response) {
  for (const auto& model : models_->All()) {
    *response->add_models() = ToProto(*model);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::GetModel(
    grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
    v1::GetModelResponse* response) {
  const auto model = models_->Find(request->name(), request->version());
  if (model.ok()) *response->mutable_model() = ToProto(**model);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(model.status()));
  return reactor;
}

}  // namespace tern
