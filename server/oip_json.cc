#include "server/oip_json.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/json_depth.h"

namespace tern {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using inference::InferParameter;
using nlohmann::json;

constexpr int kMaxNesting = 8;  // of arrays in "data"

absl::Status Expected(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": expected ", what, ", found something else"));
}

// `object[key]` as a string; empty where it is missing.
absl::Status ReadString(const json& object, const char* key,
                        absl::string_view where, std::string& to) {
  const auto found = object.find(key);
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_string()) {
    return Expected(absl::StrCat(where, key), "a string");
  }
  to = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadParameters(
    const json& object, absl::string_view where,
    google::protobuf::Map<std::string, InferParameter>& to) {
  const auto found = object.find("parameters");
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_object()) {
    return Expected(absl::StrCat(where, "parameters"), "an object");
  }
  for (const auto& [name, value] : found->items()) {
    InferParameter& parameter = to[name];
    if (value.is_boolean()) {
      parameter.set_bool_param(value.get<bool>());
    } else if (value.is_number_integer()) {
      parameter.set_int64_param(value.get<int64_t>());
    } else if (value.is_number()) {
      parameter.set_double_param(value.get<double>());
    } else if (value.is_string()) {
      parameter.set_string_param(value.get<std::string>());
    } else {
      return Expected(absl::StrCat(where, "parameters.", name),
                      "a boolean, a number or a string");
    }
  }
  return absl::OkStatus();
}

template <typename T>
void AppendValue(T value, std::string& raw) {
  raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Appends one element of "data". False: it is not of that datatype.
bool AppendElement(const json& element, const std::string& datatype,
                   std::string& raw) {
  if (datatype == "BYTES") {
    if (!element.is_string()) return false;
    const std::string& text = element.get_ref<const std::string&>();
    AppendValue(static_cast<uint32_t>(text.size()), raw);
    raw.append(text);
    return true;
  }
  if (!element.is_number_integer()) return false;
  if (element.is_number_unsigned() &&
      element.get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  const auto value = element.get<int64_t>();
  if (datatype == "INT64") {
    AppendValue(value, raw);
    return true;
  }
  if (value != static_cast<int32_t>(value)) return false;
  AppendValue(static_cast<int32_t>(value), raw);
  return true;
}

// Appends what "data" has, arrays in arrays being one after the other.
bool AppendData(const json& data, const std::string& datatype, int nesting,
                std::string& raw) {
  if (!data.is_array() || nesting > kMaxNesting) return false;
  for (const json& element : data) {
    if (element.is_array() ? !AppendData(element, datatype, nesting + 1, raw)
                           : !AppendElement(element, datatype, raw)) {
      return false;
    }
  }
  return true;
}

// Moves the contents of an input from the JSON, or from the bytes after it.
absl::Status ReadContents(
    const json& tensor, const std::string& where,
    const inference::ModelInferRequest::InferInputTensor& input,
    absl::string_view& binary, std::string& raw) {
  const auto size = input.parameters().find("binary_data_size");
  if (size != input.parameters().end()) {
    const int64_t bytes = size->second.int64_param();
    if (bytes < 0 || static_cast<uint64_t>(bytes) > binary.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, "parameters.binary_data_size: expected at most the ",
          binary.size(), " bytes that are left of the body, found ", bytes));
    }
    raw = std::string(binary.substr(0, bytes));
    binary.remove_prefix(bytes);
    return absl::OkStatus();
  }
  const std::string& datatype = input.datatype();
  if (datatype != "BYTES" && datatype != "INT64" && datatype != "INT32") {
    return absl::OkStatus();  // no model has such an input, and will say so
  }
  const auto data = tensor.find("data");
  if (data == tensor.end() || !AppendData(*data, datatype, 1, raw)) {
    return Expected(absl::StrCat(where, "data"),
                    absl::StrCat("an array of ", datatype));
  }
  return absl::OkStatus();
}

absl::Status ReadInput(const json& tensor, const std::string& where,
                       absl::string_view& binary,
                       inference::ModelInferRequest& request) {
  if (!tensor.is_object()) return Expected(where, "an object");
  auto& input = *request.add_inputs();
  for (const absl::Status& status :
       {ReadString(tensor, "name", where, *input.mutable_name()),
        ReadString(tensor, "datatype", where, *input.mutable_datatype()),
        ReadParameters(tensor, where, *input.mutable_parameters())}) {
    if (!status.ok()) return status;
  }
  const auto shape = tensor.find("shape");
  if (shape == tensor.end() || !shape->is_array()) {
    return Expected(absl::StrCat(where, "shape"), "an array of integers");
  }
  for (const json& dim : *shape) {
    if (!dim.is_number_integer()) {
      return Expected(absl::StrCat(where, "shape"), "an array of integers");
    }
    input.add_shape(dim.get<int64_t>());
  }
  return ReadContents(tensor, where, input, binary,
                      *request.add_raw_input_contents());
}

absl::Status ReadOutput(const json& tensor, const std::string& where,
                        inference::ModelInferRequest& request,
                        OipBinaryOutputs& binary_outputs) {
  if (!tensor.is_object()) return Expected(where, "an object");
  auto& output = *request.add_outputs();
  for (const absl::Status& status :
       {ReadString(tensor, "name", where, *output.mutable_name()),
        ReadParameters(tensor, where, *output.mutable_parameters())}) {
    if (!status.ok()) return status;
  }
  const auto binary = output.parameters().find("binary_data");
  if (binary != output.parameters().end()) {
    (binary->second.bool_param() ? binary_outputs.binary : binary_outputs.json)
        .insert(output.name());
  }
  return absl::OkStatus();
}

// Calls `read` with each element of an array of objects that may be missing.
template <typename Read>
absl::Status ReadEach(const json& object, const char* key, Read read) {
  const auto found = object.find(key);
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_array()) return Expected(key, "an array");
  for (size_t i = 0; i < found->size(); ++i) {
    absl::Status status = read((*found)[i], absl::StrCat(key, "[", i, "]."));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

template <typename T>
json ValuesOf(const std::string& raw) {
  json values = json::array();
  for (size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, raw.data() + at, sizeof(T));
    values.push_back(value);
  }
  return values;
}

json StringsOf(const std::string& raw) {
  json strings = json::array();
  for (size_t at = 0; at < raw.size();) {
    uint32_t length = 0;
    std::memcpy(&length, raw.data() + at, sizeof(length));
    strings.push_back(raw.substr(at + sizeof(length), length));
    at += sizeof(length) + length;
  }
  return strings;
}

// The value of a field, or its element `i` of a repeated one.
json ValueOf(const Message& message, const FieldDescriptor& field,
             std::optional<int> i) {
  const Reflection& from = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToPlainJson(i ? from.GetRepeatedMessage(message, &field, *i)
                           : from.GetMessage(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return i ? from.GetRepeatedString(message, &field, *i)
               : from.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (i ? from.GetRepeatedEnum(message, &field, *i)
                : from.GetEnum(message, &field))
          ->name();
    case FieldDescriptor::CPPTYPE_BOOL:
      return i ? from.GetRepeatedBool(message, &field, *i)
               : from.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_INT32:
      return i ? from.GetRepeatedInt32(message, &field, *i)
               : from.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return i ? from.GetRepeatedInt64(message, &field, *i)
               : from.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return i ? from.GetRepeatedUInt64(message, &field, *i)
               : from.GetUInt64(message, &field);
    default:
      return nullptr;  // the metadata's messages have no other types
  }
}

}  // namespace

absl::Status ParseOipBody(absl::string_view body, size_t json_bytes,
                          inference::ModelInferRequest& request,
                          OipBinaryOutputs& binary_outputs) {
  if (json_bytes > body.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Inference-Header-Content-Length: expected at most the ",
                     body.size(), " bytes of the body, found ", json_bytes));
  }
  absl::string_view binary = body.substr(json_bytes);
  const absl::string_view text = body.substr(0, json_bytes);
  if (absl::Status depth = CheckJsonDepth(text); !depth.ok()) return depth;
  const json object = json::parse(text.begin(), text.end(), nullptr,
                                  /*allow_exceptions=*/false);
  if (!object.is_object()) return Expected("body", "a JSON object");
  for (const absl::Status& status :
       {ReadString(object, "id", "", *request.mutable_id()),
        ReadParameters(object, "", *request.mutable_parameters()),
        ReadEach(object, "inputs",
                 [&](const json&tensor, const std::string&where) {
                   return ReadInput(tensor, where, binary, request);
                 }),
        ReadEach(object, "outputs",
                 [&](const json&tensor, const std::string&where) {
                   return ReadOutput(tensor, where, request, binary_outputs);
                 })}) {
    if (!status.ok()) return status;
  }
  if (!binary.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("body: expected no bytes but those of its inputs' "
                     "binary_data_size, found ",
                     binary.size(), " more"));
  }
  const auto by_default = request.parameters().find("binary_data_output");
  binary_outputs.by_default = by_default != request.parameters().end() &&
                              by_default->second.bool_param();
  return absl::OkStatus();
}

OipBody WriteOipBody(const inference::ModelInferResponse& response,
                     const OipBinaryOutputs& binary_outputs) {
  json object = {{"model_name", response.model_name()},
                 {"model_version", response.model_version()},
                 {"outputs", json::array()}};
  if (!response.id().empty()) object["id"] = response.id();
  std::string binary;
  for (int i = 0; i < response.outputs_size(); ++i) {
    const auto& output = response.outputs(i);
    const std::string& raw = response.raw_output_contents(i);
    json tensor = {{"name", output.name()},
                   {"datatype", output.datatype()},
                   {"shape", output.shape()}};
    if (binary_outputs.binary.contains(output.name()) ||
        (binary_outputs.by_default &&
         !binary_outputs.json.contains(output.name()))) {
      tensor["parameters"] = {{"binary_data_size", raw.size()}};
      binary += raw;
    } else {
      tensor["data"] = output.datatype() == "BYTES"  ? StringsOf(raw)
                       : output.datatype() == "FP32" ? ValuesOf<float>(raw)
                                                     : ValuesOf<int32_t>(raw);
    }
    object["outputs"].push_back(std::move(tensor));
  }
  OipBody body = {.bytes = ToText(object)};
  body.json_bytes = body.bytes.size();
  body.bytes += binary;
  return body;
}

json ToPlainJson(const Message& message) {
  json object = json::object();
  std::vector<const FieldDescriptor*> fields;
  const Reflection& from = *message.GetReflection();
  from.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    json& to = object[field->name()];
    if (!field->is_repeated()) {
      to = ValueOf(message, *field, std::nullopt);
      continue;
    }
    to = field->is_map() ? json::object() : json::array();
    for (int i = 0; i < from.FieldSize(message, field); ++i) {
      json value = ValueOf(message, *field, i);
      if (field->is_map()) {
        to[value["key"].get<std::string>()] = std::move(value["value"]);
      } else {
        to.push_back(std::move(value));
      }
    }
  }
  return object;
}

std::string ToText(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace tern
