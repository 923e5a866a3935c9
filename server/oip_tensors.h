// Tensors of the Open Inference Protocol: elements out of requests, elements
// into responses.
//
// Contents of a request may be raw or typed; those of a response are raw.
// Errors are in Triton's words.

#ifndef TERN_SERVER_OIP_TENSORS_H_
#define TERN_SERVER_OIP_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/grpc_inference_service.pb.h"
#include "server/oip_model.h"

namespace tern {

// Checks the inputs against the tensors that they may be: names, those that
// are required, datatypes (INT32 is taken for INT64), shapes and equal batch
// sizes, 1 to `max_batch` each. A dimension of 1 may be left out at the end:
// [N] for [N, 1].
absl::Status CheckOipInputs(const inference::ModelInferRequest& request,
                            const std::vector<OipTensor>& tensors,
                            int max_batch);

// The index of the input of that name, or -1.
int FindOipInput(const inference::ModelInferRequest& request,
                 absl::string_view name);

// The elements of an input whose shape was checked.
// Errors: INVALID_ARGUMENT where the contents do not have as many.
absl::StatusOr<std::vector<std::string>> ReadOipStrings(
    const inference::ModelInferRequest& request, int input);
absl::StatusOr<std::vector<int64_t>> ReadOipIntegers(
    const inference::ModelInferRequest& request, int input);

// Appends an output with its elements.
void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const std::string> strings,
                  inference::ModelInferResponse& response);
void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const float> values,
                  inference::ModelInferResponse& response);
void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const int32_t> values,
                  inference::ModelInferResponse& response);

}  // namespace tern

#endif  // TERN_SERVER_OIP_TENSORS_H_
