// A call of Classify: texts in, ranked labels out.

#ifndef TERN_SERVER_CLASSIFY_CALL_H_
#define TERN_SERVER_CLASSIFY_CALL_H_

#include "absl/status/statusor.h"
#include "server/call.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class ClassifyCall final : public Call {
 public:
  explicit ClassifyCall(const CallEnvironment& environment)
      : Call(environment, "Classify") {}

  v1::ClassifyRequest& request_message() override { return request_; }
  v1::ClassifyResponse& response_message() override { return response_; }

 private:
  absl::Status Encode(Request& request) override;
  void Reply(const Request& request) override;
  v1::Timings& timings() override { return *response_.mutable_timings(); }

  absl::StatusOr<Encoding> EncodeInput(const ServedModel& model, int i) const;

  v1::ClassifyRequest request_;
  v1::ClassifyResponse response_;
};

}  // namespace tern

#endif  // TERN_SERVER_CLASSIFY_CALL_H_
