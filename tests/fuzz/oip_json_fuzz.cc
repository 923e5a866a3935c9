// Any bytes as the body of an inference over HTTP; the first byte is the size
// of its JSON, in 255ths.

#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "google/protobuf/stubs/logging.h"
#include "server/oip_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static google::protobuf::LogHandler* const quiet =
      google::protobuf::SetLogHandler(nullptr);
  (void)quiet;
  if (size < 1) return 0;
  const absl::string_view body(reinterpret_cast<const char*>(data + 1),
                               size - 1);
  inference::ModelInferRequest request;
  tern::OipBinaryOutputs binary_outputs;
  if (!tern::ParseOipBody(body, body.size() * data[0] / 255, request,
                          binary_outputs)
           .ok()) {
    return 0;
  }
  // A request's tensors have the form of a reply's.
  inference::ModelInferResponse response;
  response.set_model_name(request.model_name());
  response.set_id(request.id());
  (void)tern::WriteOipBody(response, binary_outputs);
  (void)tern::ToText(tern::ToPlainJson(request));
  return 0;
}
