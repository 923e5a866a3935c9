#include "server/answer_call.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status_mapping.h"

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
// Answers of a response, each input's best apart. With what else is in it, less
// than the 4 MiB that gRPC's clients take by default: a hundred overlapping
// spans of a context could have a hundred times its length.
constexpr size_t kMaxAnswerBytes = 7 << 19;

}  // namespace

absl::Status AnswerCall::Encode(Request& request) {
  if (absl::Status status = CheckInputCount(request_.inputs_size());
      !status.ok()) {
    return status;
  }
  if (absl::Status status =
          ChooseModel(ModelUse::kAnswer, request_.model(), request_.version());
      !status.ok()) {
    return status;
  }
  if (absl::Status status = ReadParameters(request.model->engine->config());
      !status.ok()) {
    return status;
  }
  for (int i = 0; i < request_.inputs_size(); ++i) {
    if (absl::Status status = EncodeInput(request, i); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status AnswerCall::ReadParameters(const BertConfig& config) {
  const auto or_default = [](int value, int otherwise) {
    return value == 0 ? otherwise : value;
  };
  const int longest = config.max_positions;
  n_best_ = or_default(request_.n_best(), 1);
  max_answer_tokens_ =
      or_default(request_.max_answer_tokens(), kDefaultAnswerTokens);
  window_tokens_ = or_default(request_.max_window_tokens(),
                              std::min(kDefaultWindowTokens, longest));
  doc_stride_ = or_default(request_.doc_stride(),
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

absl::Status AnswerCall::EncodeInput(Request& request, int i) {
  const v1::QuestionInput& input = request_.inputs(i);
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

void AnswerCall::Reply(const Request& request) {
  response_.set_model(request.model->name);
  response_.set_version(request.model->version);
  size_t sequence = 0;
  for (int i = 0; i < request_.inputs_size(); ++i) {
    std::vector<AnswerWindow> windows;
    for (int w = 0; w < window_counts_[i]; ++w, ++sequence) {
      windows.push_back(
          {&request.sequences[sequence], request.logits[sequence]});
    }
    AddResult(request_.inputs(i).context(), windows);
  }
}

absl::Status AnswerCall::CheckTokens(const Tokenizer& tokenizer, int i) const {
  const v1::QuestionInput& input = request_.inputs(i);
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

void AnswerCall::AddResult(absl::string_view context,
                           const std::vector<AnswerWindow>& windows) {
  v1::AnswerResult& result = *response_.add_results();
  const RankedAnswers ranked =
      RankAnswers(windows, n_best_, max_answer_tokens_);
  for (const ScoredSpan& span : ranked.best) {
    const auto [begin, end] = span.bytes;
    v1::AnswerSpan answer;
    answer.set_text(std::string(context.substr(begin, end - begin)));
    answer.set_score(span.score);
    answer.set_logit(span.logit);
    answer.set_byte_start(begin);
    answer.set_byte_end(end);
    const int code_point_start = CountCodePoints(context.substr(0, begin));
    answer.set_code_point_start(code_point_start);
    answer.set_code_point_end(code_point_start +
                              CountCodePoints(answer.text()));
    const size_t bytes = answer.ByteSizeLong();
    if (!result.answers().empty() && answer_bytes_ + bytes > kMaxAnswerBytes) {
      break;
    }
    answer_bytes_ += bytes;
    *result.add_answers() = std::move(answer);
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

}  // namespace tern
