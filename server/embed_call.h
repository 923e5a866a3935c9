// A call of Embed: texts in, vectors out.

#ifndef TERN_SERVER_EMBED_CALL_H_
#define TERN_SERVER_EMBED_CALL_H_

#include "absl/status/statusor.h"
#include "server/call.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class EmbedCall final : public Call {
 public:
  explicit EmbedCall(const CallEnvironment& environment)
      : Call(environment, "Embed") {}

  v1::EmbedRequest& request_message() override { return request_; }
  v1::EmbedResponse& response_message() override { return response_; }

 private:
  absl::Status Encode(Request& request) override;
  void Reply(const Request& request) override;
  v1::Timings& timings() override { return *response_.mutable_timings(); }

  absl::StatusOr<Encoding> EncodeInput(const ServedModel& model, int i) const;

  v1::EmbedRequest request_;
  v1::EmbedResponse response_;
};

}  // namespace tern

#endif  // TERN_SERVER_EMBED_CALL_H_
