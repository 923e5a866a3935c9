#include "server/oip_tensors.h"

#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tern {
namespace {

using InputTensor = inference::ModelInferRequest::InferInputTensor;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

static_assert(std::endian::native == std::endian::little,
              "raw contents are copied as they are in memory");

// Strings of BYTES stand after their length in this many bytes.
constexpr size_t kLengthBytes = 4;

std::string RequestId(const ModelInferRequest& request) {
  return absl::StrCat(
      "[request id: ", request.id().empty() ? "<id_unknown>" : request.id(),
      "] ");
}

template <typename Dims>
std::string ShapeText(const Dims& dims) {
  return absl::StrCat("[", absl::StrJoin(dims, ","), "]");
}

std::string QuotedList(const std::vector<std::string>& names) {
  return absl::StrCat(
      "[",
      absl::StrJoin(names, ",",
                    [](std::string* out, const std::string& name) {
                      absl::StrAppend(out, "'", name, "'");
                    }),
      "]");
}

absl::Status CheckInputNames(const ModelInferRequest& request,
                             const std::vector<OipTensor>& tensors) {
  std::set<std::string> given;
  std::vector<std::string> names;
  for (const InputTensor& input : request.inputs()) {
    if (FindTensor(tensors, input.name()) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected inference input '", input.name(),
                       "' for model '", request.model_name(), "'"));
    }
    if (!given.insert(input.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(RequestId(request), "input '", input.name(),
                       "' already exists in request for model '",
                       request.model_name(), "'"));
    }
    names.push_back(input.name());
  }
  std::vector<std::string> missing;
  size_t required = 0;
  for (const OipTensor& tensor : tensors) {
    if (!tensor.required) continue;
    ++required;
    if (!given.contains(tensor.name)) missing.push_back(tensor.name);
  }
  if (missing.empty()) return absl::OkStatus();
  const std::string expected =
      required == tensors.size()
          ? absl::StrCat("expected ", required, " inputs")
          : absl::StrCat("expected number of inputs between ", required,
                         " and ", tensors.size());
  return absl::InvalidArgumentError(absl::StrCat(
      RequestId(request), expected, " but got ", names.size(),
      " inputs for model '", request.model_name(), "'. Got input(s) ",
      QuotedList(names), ", but missing required input(s) ",
      QuotedList(missing), ". Please provide all required input(s)."));
}

bool FitsShape(const OipTensor& tensor, const InputTensor& input) {
  const auto& shape = input.shape();
  for (const int64_t dim : shape) {
    if (dim < 0) return false;
  }
  if (shape.size() == 1) return tensor.dims == std::vector<int64_t>{1};
  if (shape.size() != static_cast<int>(tensor.dims.size()) + 1) return false;
  for (size_t i = 0; i < tensor.dims.size(); ++i) {
    const int64_t dim = shape[static_cast<int>(i) + 1];
    if (tensor.dims[i] == -1 ? dim < 1 : dim != tensor.dims[i]) return false;
  }
  return true;
}

absl::Status CheckInput(const ModelInferRequest& request,
                        const InputTensor& input, const OipTensor& tensor) {
  const bool narrower =
      tensor.datatype == "INT64" && input.datatype() == "INT32";
  if (input.datatype() != tensor.datatype && !narrower) {
    return absl::InvalidArgumentError(absl::StrCat(
        RequestId(request), "inference input '", input.name(),
        "' data-type is '", input.datatype(), "', but model '",
        request.model_name(), "' expects '", tensor.datatype, "'"));
  }
  if (!FitsShape(tensor, input)) {
    std::vector<int64_t> expected = tensor.dims;
    expected.insert(expected.begin(), -1);
    return absl::InvalidArgumentError(absl::StrCat(
        RequestId(request), "unexpected shape for input '", input.name(),
        "' for model '", request.model_name(), "'. Expected ",
        ShapeText(expected), ", got ", ShapeText(input.shape())));
  }
  return absl::OkStatus();
}

absl::Status CheckContents(const ModelInferRequest& request) {
  if (request.raw_input_contents().empty()) return absl::OkStatus();
  for (const InputTensor& input : request.inputs()) {
    if (input.has_contents()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "contents field must not be specified when using "
          "raw_input_contents for '",
          input.name(), "' for model '", request.model_name(), "'"));
    }
  }
  if (request.raw_input_contents_size() != request.inputs_size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "raw_input_contents: expected one for each of ", request.inputs_size(),
        " inputs for model '", request.model_name(), "', found ",
        request.raw_input_contents_size()));
  }
  return absl::OkStatus();
}

// The product of a shape, or nothing where it is beyond what contents hold.
std::optional<size_t> CountElements(const InputTensor& input) {
  constexpr int64_t kMost = int64_t{1} << 31;  // no message is longer
  int64_t count = 1;
  for (const int64_t dim : input.shape()) {
    if (dim > kMost) return std::nullopt;
    count *= dim;
    if (count > kMost) return std::nullopt;
  }
  return static_cast<size_t>(count);
}

absl::Status WrongCount(const ModelInferRequest& request,
                        const InputTensor& input, size_t found,
                        absl::string_view unit) {
  return absl::InvalidArgumentError(absl::StrCat(
      RequestId(request), "unexpected number of ", unit, " ", found,
      " for inference input '", input.name(), "' for model '",
      request.model_name(), "' with shape ", ShapeText(input.shape())));
}

// Splits raw BYTES into its strings.
absl::Status SplitStrings(absl::string_view raw, const std::string& name,
                          std::vector<std::string>& strings) {
  while (!raw.empty()) {
    if (raw.size() < kLengthBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "incorrect string length indicator for inference input '", name,
          "', expecting ", kLengthBytes, " bytes but only ", raw.size(),
          " bytes available"));
    }
    uint32_t length = 0;
    std::memcpy(&length, raw.data(), kLengthBytes);
    raw.remove_prefix(kLengthBytes);
    if (raw.size() < length) {
      return absl::InvalidArgumentError(absl::StrCat(
          "incorrect string length indicator for inference input '", name,
          "', expecting string of length ", length, " but only ", raw.size(),
          " bytes available"));
    }
    strings.emplace_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  return absl::OkStatus();
}

template <typename T>
std::vector<int64_t> Widen(const std::string& raw) {
  std::vector<int64_t> values(raw.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    values[i] = value;
  }
  return values;
}

// Appends the description of an output and returns where its bytes go.
std::string& AddOutput(const std::string& name, const char* datatype,
                       const std::vector<int64_t>& shape,
                       ModelInferResponse& response) {
  auto& output = *response.add_outputs();
  output.set_name(name);
  output.set_datatype(datatype);
  output.mutable_shape()->Add(shape.begin(), shape.end());
  return *response.add_raw_output_contents();
}

template <typename T>
void AssignBytes(absl::Span<const T> values, std::string& raw) {
  raw.assign(reinterpret_cast<const char*>(values.data()),
             values.size() * sizeof(T));
}

}  // namespace

absl::Status CheckOipInputs(const ModelInferRequest& request,
                            const std::vector<OipTensor>& tensors,
                            int max_batch) {
  if (absl::Status status = CheckInputNames(request, tensors); !status.ok()) {
    return status;
  }
  for (const InputTensor& input : request.inputs()) {
    if (absl::Status status =
            CheckInput(request, input, *FindTensor(tensors, input.name()));
        !status.ok()) {
      return status;
    }
    const int64_t batch = input.shape(0);
    if (batch < 1 || batch > max_batch) {
      return absl::InvalidArgumentError(absl::StrCat(
          RequestId(request), "inference request batch-size must be 1 to ",
          max_batch, " for '", request.model_name(), "', got ", batch));
    }
    if (batch != request.inputs(0).shape(0)) {
      return absl::InvalidArgumentError(
          absl::StrCat(RequestId(request), "input '", input.name(),
                       "' batch size does not match other inputs for '",
                       request.model_name(), "'"));
    }
  }
  return CheckContents(request);
}

int FindOipInput(const ModelInferRequest& request, absl::string_view name) {
  for (int i = 0; i < request.inputs_size(); ++i) {
    if (request.inputs(i).name() == name) return i;
  }
  return -1;
}

absl::StatusOr<std::vector<std::string>> ReadOipStrings(
    const ModelInferRequest& request, int input) {
  const InputTensor& tensor = request.inputs(input);
  std::vector<std::string> strings;
  if (request.raw_input_contents().empty()) {
    const auto& contents = tensor.contents().bytes_contents();
    strings.assign(contents.begin(), contents.end());
  } else if (absl::Status status = SplitStrings(
                 request.raw_input_contents(input), tensor.name(), strings);
             !status.ok()) {
    return status;
  }
  if (CountElements(tensor) != strings.size()) {
    return WrongCount(request, tensor, strings.size(), "string elements");
  }
  return strings;
}

absl::StatusOr<std::vector<int64_t>> ReadOipIntegers(
    const ModelInferRequest& request, int input) {
  const InputTensor& tensor = request.inputs(input);
  const bool narrow = tensor.datatype() == "INT32";
  std::vector<int64_t> values;
  if (!request.raw_input_contents().empty()) {
    const std::string& raw = request.raw_input_contents(input);
    if (raw.size() % (narrow ? sizeof(int32_t) : sizeof(int64_t)) != 0) {
      return WrongCount(request, tensor, raw.size(), "bytes");
    }
    values = narrow ? Widen<int32_t>(raw) : Widen<int64_t>(raw);
  } else if (narrow) {
    const auto& contents = tensor.contents().int_contents();
    values.assign(contents.begin(), contents.end());
  } else {
    const auto& contents = tensor.contents().int64_contents();
    values.assign(contents.begin(), contents.end());
  }
  if (CountElements(tensor) != values.size()) {
    return WrongCount(request, tensor, values.size(), "elements");
  }
  return values;
}

void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const std::string> strings,
                  ModelInferResponse& response) {
  std::string& raw = AddOutput(name, "BYTES", shape, response);
  for (const std::string& text : strings) {
    const auto length = static_cast<uint32_t>(text.size());
    raw.append(reinterpret_cast<const char*>(&length), kLengthBytes);
    raw.append(text);
  }
}

void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const float> values,
                  ModelInferResponse& response) {
  AssignBytes(values, AddOutput(name, "FP32", shape, response));
}

void AddOipOutput(const std::string& name, const std::vector<int64_t>& shape,
                  absl::Span<const int32_t> values,
                  ModelInferResponse& response) {
  AssignBytes(values, AddOutput(name, "INT32", shape, response));
}

}  // namespace tern
