// An inference of the Open Inference Protocol: tensors in, tensors out.
//
// Texts are translated to a call of Classify, Answer or Embed, and its reply to
// tensors; token ids go to the queue as they are.

#ifndef TERN_SERVER_OIP_CALL_H_
#define TERN_SERVER_OIP_CALL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "inference/grpc_inference_service.pb.h"
#include "server/call.h"
#include "server/oip_model.h"

namespace tern {

class OipCall final : public Call {
 public:
  explicit OipCall(const CallEnvironment& environment)
      : Call(environment, "ModelInfer") {}

  inference::ModelInferRequest& request_message() override { return request_; }
  inference::ModelInferResponse& response_message() override {
    return response_;
  }

  size_t RequestMemory() override;
  absl::Status Encode(Request& request) override;
  void Reply(const Request& request) override;
  v1::Timings& timings() override { return timings_; }

 private:
  // What is asked of an output.
  struct Output {
    std::string name;
    int64_t class_count = 0;  // 0: the tensor itself
  };

  absl::Status ReadParameters(Request& request);
  absl::Status ReadOutputs(const OipSignature& signature, Task task);
  absl::Status EncodeTexts(Request& request);
  absl::Status EncodeQuestions(Request& request);
  absl::Status EncodeForEmbedding(Request& request);
  absl::Status EncodeTokens(Request& request);

  void ReplyLabels(const Request& request, const Output& output);
  void ReplyClasses(const Request& request, const Output& output);
  void ReplyAnswers(const v1::AnswerResponse& answers, const Output& output);
  void ReplyTokenLogits(const Request& request, const Output& output);
  void ReplyEmbeddings(const Request& request, const Output& output);

  // [N], or [N, 1] if the texts came so.
  std::vector<int64_t> TextShape() const;

  inference::ModelInferRequest request_;
  inference::ModelInferResponse response_;
  v1::Timings timings_;
  std::unique_ptr<Call> translated_;  // none for token ids
  std::vector<Output> outputs_;
};

}  // namespace tern

#endif  // TERN_SERVER_OIP_CALL_H_
