#include "tests/client/fake_server.h"

#include <grpcpp/health_check_service_interface.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tern {
namespace {

v1::Model FakeModel() {
  v1::Model model;
  model.set_name("fake");
  model.set_version("1");
  model.set_task(v1::TASK_SINGLE_LABEL_CLASSIFICATION);
  model.set_precision(v1::PRECISION_TERNARY);
  model.add_labels("short");
  model.add_labels("long");
  model.set_max_tokens(128);
  model.set_layers(6);
  model.set_hidden_size(384);
  model.set_parameters(22700000);
  model.set_file_bytes(5600000);
  model.set_variant("avx2");
  return model;
}

grpc::Status CheckModel(const std::string& name) {
  if (name.empty() || name == "fake") return grpc::Status::OK;
  return {grpc::StatusCode::NOT_FOUND,
          absl::StrCat("model '", name, "' is not served")};
}

// Empty: there is none.
std::string Metadata(const grpc::ServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return "";
  return std::string(found->second.data(), found->second.size());
}

}  // namespace

FakeServer::FakeServer(std::shared_ptr<grpc::ServerCredentials> credentials) {
  grpc::EnableDefaultHealthCheckService(true);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port);
  builder.RegisterService(static_cast<v1::InferenceService::Service*>(this));
  builder.RegisterService(static_cast<v1::ModelService::Service*>(this));
  server_ = builder.BuildAndStart();
  target_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() {
  server_->Shutdown(std::chrono::system_clock::now());
}

void FakeServer::FailNext(std::vector<Failure> failures) {
  std::lock_guard lock(mutex_);
  failures_.assign(failures.begin(), failures.end());
}

void FakeServer::DelayBy(absl::Duration delay) {
  std::lock_guard lock(mutex_);
  delay_ = delay;
}

void FakeServer::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

std::vector<absl::Time> FakeServer::call_times() const {
  std::lock_guard lock(mutex_);
  return call_times_;
}

int FakeServer::max_concurrent_calls() const {
  std::lock_guard lock(mutex_);
  return max_concurrent_calls_;
}

int FakeServer::max_inputs() const {
  std::lock_guard lock(mutex_);
  return max_inputs_;
}

std::string FakeServer::user_agent() const {
  std::lock_guard lock(mutex_);
  return user_agent_;
}

std::string FakeServer::authorization() const {
  std::lock_guard lock(mutex_);
  return authorization_;
}

grpc::Status FakeServer::Begin(grpc::ServerContext* context) {
  std::lock_guard lock(mutex_);
  call_times_.push_back(absl::Now());
  if (failures_.empty()) return grpc::Status::OK;
  const Failure failure = failures_.front();
  failures_.pop_front();
  if (!failure.pushback_ms.empty()) {
    context->AddTrailingMetadata("grpc-retry-pushback-ms", failure.pushback_ms);
  }
  return {failure.code, failure.message};
}

void FakeServer::Delay(grpc::ServerContext* context) {
  absl::Duration delay;
  {
    std::lock_guard lock(mutex_);
    delay = delay_;
    max_concurrent_calls_ =
        std::max(max_concurrent_calls_, ++concurrent_calls_);
  }
  const absl::Time end = absl::Now() + delay;
  while (absl::Now() < end && !context->IsCancelled()) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  std::lock_guard lock(mutex_);
  --concurrent_calls_;
}

grpc::Status FakeServer::Classify(grpc::ServerContext* context,
                                  const v1::ClassifyRequest* request,
                                  v1::ClassifyResponse* response) {
  if (grpc::Status status = Begin(context); !status.ok()) return status;
  if (grpc::Status status = CheckModel(request->model()); !status.ok()) {
    return status;
  }
  Delay(context);
  {
    std::lock_guard lock(mutex_);
    max_inputs_ = std::max(max_inputs_, request->inputs_size());
    user_agent_ = Metadata(*context, "user-agent");
    authorization_ = Metadata(*context, "authorization");
  }
  response->set_model("fake");
  response->set_version("1");
  for (int i = 0; i < request->inputs_size(); ++i) {
    const v1::TextInput& input = request->inputs(i);
    if (input.text() == "refuse me") {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              absl::StrCat("inputs[", i, "].text: refused")};
    }
    const size_t bytes = input.text().size() + input.text_pair().size();
    v1::ClassifyResult& result = *response->add_results();
    v1::Label& label = *result.add_labels();
    label.set_label(bytes > 20 ? "long" : "short");
    label.set_index(bytes > 20 ? 1 : 0);
    label.set_score(static_cast<float>(bytes) / 100);
    if (request->top_k() != 1) result.add_labels()->set_label("other");
    if (request->return_logits()) result.add_logits(0.1f);
    result.set_token_count(static_cast<int>(bytes));
    result.set_truncated(bytes > 200);
  }
  return grpc::Status::OK;
}

grpc::Status FakeServer::Answer(grpc::ServerContext* context,
                                const v1::AnswerRequest* request,
                                v1::AnswerResponse* response) {
  if (grpc::Status status = Begin(context); !status.ok()) return status;
  for (const v1::QuestionInput& input : request->inputs()) {
    v1::AnswerResult& result = *response->add_results();
    const std::string& text = input.context();
    v1::AnswerSpan& span = *result.add_answers();
    span.set_text(text.substr(0, text.find(' ')));
    span.set_score(0.75f);
    span.set_byte_end(static_cast<int>(span.text().size()));
    result.set_no_answer_score(0.25f);
  }
  return grpc::Status::OK;
}

grpc::Status FakeServer::Embed(grpc::ServerContext* context,
                               const v1::EmbedRequest* request,
                               v1::EmbedResponse* response) {
  if (grpc::Status status = Begin(context); !status.ok()) return status;
  if (grpc::Status status = CheckModel(request->model()); !status.ok()) {
    return status;
  }
  response->set_model("fake");
  response->set_version("1");
  const bool raw = request->has_normalize() && !request->normalize();
  for (const v1::EmbedInput& input : request->inputs()) {
    const auto bytes = static_cast<int32_t>(input.text().size());
    v1::EmbedResult& result = *response->add_results();
    result.add_vector(static_cast<float>(bytes));
    result.add_vector(raw ? 1.0f / 6 : 1.0f / 3);
    result.add_vector(raw ? -0.5f : -1.0f);
    result.set_token_count(bytes);
  }
  return grpc::Status::OK;
}

grpc::Status FakeServer::ListModels(grpc::ServerContext*,
                                    const v1::ListModelsRequest*,
                                    v1::ListModelsResponse* response) {
  *response->add_models() = FakeModel();
  return grpc::Status::OK;
}

grpc::Status FakeServer::GetModel(grpc::ServerContext*,
                                  const v1::GetModelRequest* request,
                                  v1::GetModelResponse* response) {
  if (grpc::Status status = CheckModel(request->name()); !status.ok()) {
    return status;
  }
  *response->mutable_model() = FakeModel();
  return grpc::Status::OK;
}

}  // namespace tern
