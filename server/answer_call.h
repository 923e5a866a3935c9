// A call of Answer: questions about contexts in, spans of the contexts out.

#ifndef TERN_SERVER_ANSWER_CALL_H_
#define TERN_SERVER_ANSWER_CALL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/call.h"
#include "tokenizer/answer.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class AnswerCall final : public Call {
 public:
  explicit AnswerCall(const CallEnvironment& environment)
      : Call(environment, "Answer") {}

  v1::AnswerRequest& request_message() override { return request_; }
  v1::AnswerResponse& response_message() override { return response_; }

 private:
  absl::Status Encode(Request& request) override;
  void Reply(const Request& request) override;
  v1::Timings& timings() override { return *response_.mutable_timings(); }

  // Puts defaults in place of zeros.
  absl::Status ReadParameters(const BertConfig& config);
  absl::Status EncodeInput(Request& request, int i);
  // Checks, before any window is made, that the windows of this input are not
  // too many on top of those before it.
  absl::Status CheckTokens(const Tokenizer& tokenizer, int i) const;
  void AddResult(absl::string_view context,
                 const std::vector<AnswerWindow>& windows);

  v1::AnswerRequest request_;
  v1::AnswerResponse response_;
  int n_best_ = 0;
  int max_answer_tokens_ = 0;
  int window_tokens_ = 0;
  int doc_stride_ = 0;
  int64_t request_tokens_ = 0;      // in the windows so far
  std::vector<int> window_counts_;  // of each input
  size_t answer_bytes_ = 0;         // in the response so far
};

}  // namespace tern

#endif  // TERN_SERVER_ANSWER_CALL_H_
