#include "server/inference_service.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/classify.h"
#include "server/request.h"
#include "server/status_mapping.h"
#include "server/wire_message.h"
#include "tokenizer/answer.h"

namespace tern {
namespace {

constexpr int kMaxNBest = 100;
constexpr int kDefaultAnswerTokens = 30;
constexpr int kDefaultWindowTokens = 384;
constexpr int kDefaultDocStride = 128;
// A window is [CLS] question [SEP] context [SEP]: a token of the question and
// one of the context beyond the stride at least.
constexpr int kWindowOverhead = 5;
// Tokens of a request, windows counted in full: a long context, read with a
// stride of nearly the window, would otherwise take memory without bound.
constexpr int64_t kMaxRequestTokens = 1 << 20;
// A client whose deadline passes cancels the call, and this may arrive before
// our own timer, which started when the call came, says the same.
constexpr absl::Duration kDeadlineTolerance = absl::Milliseconds(100);

void SetDuration(absl::Duration from, google::protobuf::Duration& to) {
  to.set_seconds(absl::IDivDuration(from, absl::Seconds(1), &from));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(from)));
}

// The name of a field of an input, as error messages say it.
std::string FieldName(int input, absl::string_view field) {
  return absl::StrCat("inputs[", input, "].", field);
}

absl::Status CheckNotEmpty(absl::string_view text, int input,
                           absl::string_view field) {
  if (!text.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      FieldName(input, field), ": expected a text, found an empty one"));
}

absl::Status CheckRange(absl::string_view field, int value, int least,
                        int most) {
  if (least <= value && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected ", least, " to ", most, ", found ", value));
}

absl::string_view RejectionReason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return "invalid";
    case absl::StatusCode::kNotFound:
      return "not_found";
    case absl::StatusCode::kResourceExhausted:
      return "queue_full";
    case absl::StatusCode::kDeadlineExceeded:
      return "expired";
    case absl::StatusCode::kCancelled:
      return "cancelled";
    case absl::StatusCode::kUnavailable:
      return "shutting_down";
    default:
      return "other";
  }
}

// What calls need of the server.
struct Environment {
  const InferenceService::Options& options;
  const Clock& clock;
  const ModelRegistry& models;
  Scheduler& scheduler;
  Metrics& metrics;
};

// One call from its arrival to its reply. Deletes itself when gRPC is done
// with it.
class Call : public grpc::ServerUnaryReactor {
 public:
  // Runs on a thread of gRPC; the call may have ended when this returns.
  void Start(const grpc::ByteBuffer& bytes) {
    absl::Status status = ParseMessage(bytes, proto());
    if (status.ok()) status = Encode(*request_);
    times_.tokenize = environment_.clock.Now() - arrived_at_;
    if (status.ok()) {
      request_->deadline = Deadline();
      request_->done = [this](const absl::Status& status) { End(status); };
      status = environment_.scheduler.Push(request_);
      if (status.ok()) return;  // `this` is the workers' now
    }
    environment_.metrics.CountRejected(RejectionReason(status.code()));
    Finish(status);
  }

 protected:
  Call(const Environment& environment, grpc::CallbackServerContext* context,
       grpc::ByteBuffer* response_bytes, absl::string_view method)
      : environment_(environment),
        context_(context),
        response_bytes_(response_bytes),
        method_(method),
        arrived_at_(environment.clock.Now()) {}

  // Checks the request, chooses its model and encodes its texts.
  virtual absl::Status Encode(Request& request) = 0;
  // Fills in the reply, except for the timings.
  virtual void Reply(const Request& request) = 0;
  virtual google::protobuf::Message& proto() = 0;
  virtual google::protobuf::Message& response() = 0;
  virtual v1::Timings& timings() = 0;

  absl::Status ChooseModel(ModelUse use, const std::string& name,
                           const std::string& version) {
    auto model = environment_.models.FindFor(use, name, version);
    if (!model.ok()) return model.status();
    request_->model = *std::move(model);
    return absl::OkStatus();
  }

  absl::Status CheckInputCount(int inputs) const {
    return CheckRange("inputs", inputs, 1, environment_.options.max_inputs);
  }

 private:
  // Runs on the thread that ended the request.
  void End(const absl::Status& status) {
    if (request_->started_at != absl::Time()) {
      times_.queue = request_->started_at - request_->queued_at;
      times_.compute = request_->ended_at - request_->started_at;
    } else {
      times_.queue = request_->ended_at - request_->queued_at;
    }
    if (status.ok()) Reply(*request_);
    Finish(status);
  }

  void Finish(const absl::Status& status) {
    times_.total = environment_.clock.Now() - arrived_at_;
    if (status.ok()) {
      SetDuration(times_.tokenize, *timings().mutable_tokenize());
      SetDuration(times_.queue, *timings().mutable_queue());
      SetDuration(times_.compute, *timings().mutable_compute());
      SetDuration(times_.total, *timings().mutable_total());
      *response_bytes_ = SerializeMessage(response());
    }
    if (const auto delay = RetryDelay(status); delay.has_value()) {
      context_->AddTrailingMetadata(
          "grpc-retry-pushback-ms",
          absl::StrCat(absl::ToInt64Milliseconds(
              absl::Ceil(*delay, absl::Milliseconds(1)))));
    }
    environment_.metrics.ObserveCall(method_, request_->model.get(),
                                     status.code(), times_);
    ServerUnaryReactor::Finish(ToGrpcStatus(status));
  }

  // gRPC's deadline on our clock.
  absl::Time Deadline() const {
    const auto deadline = context_->deadline();
    if (deadline == std::chrono::system_clock::time_point::max()) {
      return absl::InfiniteFuture();
    }
    return environment_.clock.Now() +
           absl::FromChrono(deadline - std::chrono::system_clock::now());
  }

  void OnCancel() override {
    const bool expired =
        environment_.clock.Now() + kDeadlineTolerance >= Deadline();
    request_->awaited = expired ? Awaited::kExpired : Awaited::kCancelled;
  }

  void OnDone() override { delete this; }

  const Environment environment_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_bytes_;
  const absl::string_view method_;
  const absl::Time arrived_at_;
  StageTimes times_;
  const std::shared_ptr<Request> request_ = std::make_shared<Request>();
};

class ClassifyCall final : public Call {
 public:
  ClassifyCall(const Environment& environment,
               grpc::CallbackServerContext* context,
               grpc::ByteBuffer* response_bytes)
      : Call(environment, context, response_bytes, "Classify") {}

 private:
  absl::Status Encode(Request& request) override {
    if (absl::Status status = CheckInputCount(proto_.inputs_size());
        !status.ok()) {
      return status;
    }
    if (proto_.top_k() < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("top_k: expected at least 0, found ", proto_.top_k()));
    }
    if (absl::Status status =
            ChooseModel(ModelUse::kClassify, proto_.model(), proto_.version());
        !status.ok()) {
      return status;
    }
    for (int i = 0; i < proto_.inputs_size(); ++i) {
      auto encoding = EncodeInput(*request.model, i);
      if (!encoding.ok()) return encoding.status();
      request.sequences.push_back(*std::move(encoding));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Encoding> EncodeInput(const ServedModel& model, int i) const {
    const v1::TextInput& input = proto_.inputs(i);
    const BertConfig& config = model.engine->config();
    if (absl::Status status = CheckNotEmpty(input.text(), i, "text");
        !status.ok()) {
      return status;
    }
    if (input.has_text_pair()) {
      if (config.type_vocabulary_size < 2) {
        return absl::InvalidArgumentError(
            absl::StrCat(FieldName(i, "text_pair"), ": expected none, since ",
                         "model '", model.name, "' takes single texts"));
      }
      if (absl::Status status =
              CheckNotEmpty(input.text_pair(), i, "text_pair");
          !status.ok()) {
        return status;
      }
    }
    auto encoding =
        input.has_text_pair()
            ? model.tokenizer->EncodePair(input.text(), input.text_pair(),
                                          config.max_positions)
            : model.tokenizer->Encode(input.text(), config.max_positions);
    if (!encoding.ok())
      return Annotate(encoding.status(), FieldName(i, "text"));
    if (encoding->truncated && proto_.truncation() == v1::TRUNCATION_REFUSE) {
      return absl::InvalidArgumentError(absl::StrCat(
          FieldName(i, "text"), ": expected at most ", config.max_positions,
          " tokens, found more; TRUNCATION_LONGEST_FIRST cuts it"));
    }
    return encoding;
  }

  void Reply(const Request& request) override {
    response_.set_model(request.model->name);
    response_.set_version(request.model->version);
    const BertConfig& config = request.model->engine->config();
    for (size_t s = 0; s < request.sequences.size(); ++s) {
      const std::vector<float>& logits = request.logits[s];
      v1::ClassifyResult& result = *response_.add_results();
      for (const LabelScore& label :
           RankLabels(config.task, logits, proto_.top_k())) {
        v1::Label& to = *result.add_labels();
        to.set_label(config.labels[label.index]);
        to.set_score(label.score);
        to.set_index(label.index);
      }
      if (proto_.return_logits()) {
        result.mutable_logits()->Add(logits.begin(), logits.end());
      }
      result.set_token_count(
          static_cast<int32_t>(request.sequences[s].ids.size()));
      result.set_truncated(request.sequences[s].truncated);
    }
  }

  google::protobuf::Message& proto() override { return proto_; }
  google::protobuf::Message& response() override { return response_; }
  v1::Timings& timings() override { return *response_.mutable_timings(); }

  v1::ClassifyRequest proto_;
  v1::ClassifyResponse response_;
};

class AnswerCall final : public Call {
 public:
  AnswerCall(const Environment& environment,
             grpc::CallbackServerContext* context,
             grpc::ByteBuffer* response_bytes)
      : Call(environment, context, response_bytes, "Answer") {}

 private:
  absl::Status Encode(Request& request) override {
    if (absl::Status status = CheckInputCount(proto_.inputs_size());
        !status.ok()) {
      return status;
    }
    if (absl::Status status =
            ChooseModel(ModelUse::kAnswer, proto_.model(), proto_.version());
        !status.ok()) {
      return status;
    }
    if (absl::Status status = ReadParameters(request.model->engine->config());
        !status.ok()) {
      return status;
    }
    for (int i = 0; i < proto_.inputs_size(); ++i) {
      if (absl::Status status = EncodeInput(request, i); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  // Puts defaults in place of zeros.
  absl::Status ReadParameters(const BertConfig& config) {
    const auto or_default = [](int value, int otherwise) {
      return value == 0 ? otherwise : value;
    };
    const int longest = config.max_positions;
    n_best_ = or_default(proto_.n_best(), 1);
    max_answer_tokens_ =
        or_default(proto_.max_answer_tokens(), kDefaultAnswerTokens);
    window_tokens_ = or_default(proto_.max_window_tokens(),
                                std::min(kDefaultWindowTokens, longest));
    doc_stride_ = or_default(proto_.doc_stride(),
                             std::min(kDefaultDocStride, window_tokens_ / 2));
    for (const absl::Status& status :
         {CheckRange("n_best", n_best_, 1, kMaxNBest),
          CheckRange("max_answer_tokens", max_answer_tokens_, 1,
                     std::max(longest, kDefaultAnswerTokens)),
          CheckRange("max_window_tokens", window_tokens_, kWindowOverhead + 1,
                     longest),
          CheckRange("doc_stride", doc_stride_, 1,
                     window_tokens_ - kWindowOverhead)}) {
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status EncodeInput(Request& request, int i) {
    const v1::QuestionInput& input = proto_.inputs(i);
    for (const absl::Status& status :
         {CheckNotEmpty(input.question(), i, "question"),
          CheckNotEmpty(input.context(), i, "context")}) {
      if (!status.ok()) return status;
    }
    if (absl::Status status = CheckTokens(*request.model->tokenizer, i);
        !status.ok()) {
      return status;
    }
    auto windows = request.model->tokenizer->EncodeWindows(
        input.question(), input.context(), window_tokens_, doc_stride_);
    if (!windows.ok()) {
      return Annotate(windows.status(), absl::StrCat("inputs[", i, "]"));
    }
    window_counts_.push_back(static_cast<int>(windows->size()));
    for (Encoding& window : *windows) {
      request_tokens_ += static_cast<int64_t>(window.ids.size());
      request.sequences.push_back(std::move(window));
    }
    return absl::OkStatus();
  }

  void Reply(const Request& request) override {
    response_.set_model(request.model->name);
    response_.set_version(request.model->version);
    size_t sequence = 0;
    for (int i = 0; i < proto_.inputs_size(); ++i) {
      std::vector<AnswerWindow> windows;
      for (int w = 0; w < window_counts_[i]; ++w, ++sequence) {
        windows.push_back(
            {&request.sequences[sequence], request.logits[sequence]});
      }
      AddResult(proto_.inputs(i).context(), windows);
    }
  }

  // Checks, before any window is made, that the windows of this input are not
  // too many on top of those before it.
  absl::Status CheckTokens(const Tokenizer& tokenizer, int i) const {
    const v1::QuestionInput& input = proto_.inputs(i);
    const auto question = tokenizer.Encode(input.question(), window_tokens_);
    if (!question.ok()) {
      return Annotate(question.status(), FieldName(i, "question"));
    }
    const int question_tokens = static_cast<int>(question->ids.size()) - 2;
    // What a window has for the context, and how far one is from the next.
    const int room =
        std::max(window_tokens_ - 3 - question_tokens, doc_stride_ + 1);
    const int step = room - doc_stride_;
    const auto in_windows = [&](size_t context_tokens) {
      return static_cast<int64_t>(context_tokens / step + 1) * window_tokens_;
    };
    // Tokens are rarely more than bytes; count them only if that is too many.
    int64_t tokens = in_windows(input.context().size());
    if (request_tokens_ + tokens > kMaxRequestTokens) {
      const auto context =
          tokenizer.Encode(input.context(), std::numeric_limits<int>::max());
      if (!context.ok()) {
        return Annotate(context.status(), FieldName(i, "context"));
      }
      tokens = in_windows(context->ids.size());
    }
    if (request_tokens_ + tokens <= kMaxRequestTokens) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        FieldName(i, "context"), ": expected at most ", kMaxRequestTokens,
        " tokens in all windows of a request, found about ",
        request_tokens_ + tokens));
  }

  void AddResult(absl::string_view context,
                 const std::vector<AnswerWindow>& windows) {
    v1::AnswerResult& result = *response_.add_results();
    const RankedAnswers ranked =
        RankAnswers(windows, n_best_, max_answer_tokens_);
    for (const ScoredSpan& span : ranked.best) {
      const auto [begin, end] = span.bytes;
      v1::AnswerSpan& answer = *result.add_answers();
      answer.set_text(std::string(context.substr(begin, end - begin)));
      answer.set_score(span.score);
      answer.set_logit(span.logit);
      answer.set_byte_start(begin);
      answer.set_byte_end(end);
      const int code_point_start = CountCodePoints(context.substr(0, begin));
      answer.set_code_point_start(code_point_start);
      answer.set_code_point_end(code_point_start +
                                CountCodePoints(answer.text()));
    }
    result.set_no_answer_score(ranked.no_answer_score);
    result.set_no_answer_logit(ranked.no_answer_logit);
    result.set_window_count(static_cast<int32_t>(windows.size()));
    int token_count = 0;
    for (const AnswerWindow& window : windows) {
      token_count += static_cast<int>(window.encoding->ids.size());
      if (window.encoding->truncated) result.set_truncated(true);
    }
    result.set_token_count(token_count);
  }

  google::protobuf::Message& proto() override { return proto_; }
  google::protobuf::Message& response() override { return response_; }
  v1::Timings& timings() override { return *response_.mutable_timings(); }

  v1::AnswerRequest proto_;
  v1::AnswerResponse response_;
  int n_best_ = 0;
  int max_answer_tokens_ = 0;
  int window_tokens_ = 0;
  int doc_stride_ = 0;
  int64_t request_tokens_ = 0;      // in the windows so far
  std::vector<int> window_counts_;  // of each input
};

}  // namespace

InferenceService::InferenceService(const Options& options, const Clock* clock,
                                   const ModelRegistry* models,
                                   Scheduler* scheduler, Metrics* metrics)
    : options_(options),
      clock_(clock),
      models_(models),
      scheduler_(scheduler),
      metrics_(metrics) {}

grpc::ServerUnaryReactor* InferenceService::Classify(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  auto* call = new ClassifyCall(
      {options_, *clock_, *models_, *scheduler_, *metrics_}, context, response);
  call->Start(*request);
  return call;
}

grpc::ServerUnaryReactor* InferenceService::Answer(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  auto* call = new AnswerCall(
      {options_, *clock_, *models_, *scheduler_, *metrics_}, context, response);
  call->Start(*request);
  return call;
}

}  // namespace tern
