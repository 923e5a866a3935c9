// The Open Inference Protocol's messages as JSON, for its REST form.
//
// An inference's body is JSON and, by the extension binary_tensor_data, the
// contents of some tensors as bytes after it.

#ifndef TERN_SERVER_OIP_JSON_H_
#define TERN_SERVER_OIP_JSON_H_

#include <cstddef>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "inference/grpc_inference_service.pb.h"
#include "nlohmann/json.hpp"

namespace tern {

// Which outputs come as bytes.
struct OipBinaryOutputs {
  bool by_default = false;
  std::set<std::string> binary, json;  // those that say so themselves
};

// Reads a body whose first `json_bytes` are JSON.
// Errors: INVALID_ARGUMENT naming the key, what was expected and found.
absl::Status ParseOipBody(absl::string_view body, size_t json_bytes,
                          inference::ModelInferRequest& request,
                          OipBinaryOutputs& binary_outputs);

struct OipBody {
  std::string bytes;
  size_t json_bytes = 0;  // at its start; the rest is outputs as bytes
};
OipBody WriteOipBody(const inference::ModelInferResponse& response,
                     const OipBinaryOutputs& binary_outputs);

// A message with its fields' own names, and 64-bit integers as numbers, as
// Triton and KServe write theirs. Fields without a value are left out.
nlohmann::json ToPlainJson(const google::protobuf::Message& message);

// Text of `value`, whatever bytes its strings have.
std::string ToText(const nlohmann::json& value);

}  // namespace tern

#endif  // TERN_SERVER_OIP_JSON_H_
