#include "server/wire_message.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/unknown_field_set.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// gRPC counts bytes in an int. A little less, for what a stream puts around its
// responses.
constexpr size_t kMaxMessageBytes = (size_t{1} << 31) - 1024;

// The first string in the bytes of such a message that is not valid UTF-8, as
// "inputs[3].text: ...", or OK. Reads the fields as unknown ones, which are
// bytes whatever the type says.
absl::Status CheckStrings(const std::string& bytes,
                          const Descriptor& descriptor,
                          const std::string& prefix) {
  UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return absl::OkStatus();
  std::map<int, int> seen;  // occurrences of each field so far
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    const FieldDescriptor* known = descriptor.FindFieldByNumber(field.number());
    if (known == nullptr ||
        field.type() != UnknownField::TYPE_LENGTH_DELIMITED) {
      continue;
    }
    std::string name = absl::StrCat(prefix, known->name());
    if (known->is_repeated()) {
      absl::StrAppend(&name, "[", seen[field.number()]++, "]");
    }
    const std::string& value = field.length_delimited();
    if (known->type() == FieldDescriptor::TYPE_STRING) {
      const size_t bad = FindInvalidUtf8(value);
      if (bad == absl::string_view::npos) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": expected UTF-8, found an invalid byte 0x",
          absl::Hex(static_cast<unsigned char>(value[bad]), absl::kZeroPad2),
          " at byte ", bad));
    }
    if (known->type() == FieldDescriptor::TYPE_MESSAGE) {
      absl::Status status =
          CheckStrings(value, *known->message_type(), absl::StrCat(name, "."));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

std::string ToString(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!bytes.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

}  // namespace

absl::Status ParseMessage(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message& message) {
  if (!bytes.Valid()) {
    return absl::CancelledError("the call ended before its message came");
  }
  grpc::ByteBuffer copy = bytes;  // shares the bytes; reading uses it up
  if (grpc::GenericDeserialize<grpc::ProtoBufferReader,
                               google::protobuf::Message>(&copy, &message)
          .ok()) {
    // Fields that we do not know are kept at thirty times their bytes.
    message.DiscardUnknownFields();
    return absl::OkStatus();
  }
  const Descriptor& descriptor = *message.GetDescriptor();
  absl::Status status = CheckStrings(ToString(bytes), descriptor, "");
  if (!status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(
      "expected a ", descriptor.full_name(), ", found bytes that are none"));
}

absl::Status SerializeMessage(const google::protobuf::Message& message,
                              grpc::ByteBuffer& bytes) {
  if (absl::Status status = CheckLength(message); !status.ok()) return status;
  bool owned = false;
  const grpc::Status status = grpc::GenericSerialize<grpc::ProtoBufferWriter,
                                                     google::protobuf::Message>(
      message, &bytes, &owned);
  return status.ok() ? absl::OkStatus()
                     : absl::InternalError(status.error_message());
}

absl::Status CheckLength(const google::protobuf::Message& message) {
  const size_t bytes = message.ByteSizeLong();
  if (bytes <= kMaxMessageBytes) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(message.GetDescriptor()->full_name(), ": expected at most ",
                   kMaxMessageBytes, " bytes, found ", bytes));
}

}  // namespace tern
