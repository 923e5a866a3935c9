// gRPC's bytes to a message, with an error that names the field, and back.
//
// Left to itself gRPC answers INTERNAL for a string that is not UTF-8 and does
// not say which; a caller with a thousand texts would like to know.

#ifndef TERN_SERVER_WIRE_MESSAGE_H_
#define TERN_SERVER_WIRE_MESSAGE_H_

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace tern {

// Errors: INVALID_ARGUMENT naming the first string that is not valid UTF-8,
// e.g. `inputs[3].text`, or saying that the bytes are no such message;
// CANCELLED for a call that its client ended before it had sent the message.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message& message);

// Errors: those of CheckLength.
absl::Status SerializeMessage(const google::protobuf::Message& message,
                              grpc::ByteBuffer& bytes);

// Whether gRPC can send the message: over a longer one of a stream it aborts
// the process.
// Errors: INTERNAL for 2 GiB, since clients try again after RESOURCE_EXHAUSTED.
absl::Status CheckLength(const google::protobuf::Message& message);

}  // namespace tern

#endif  // TERN_SERVER_WIRE_MESSAGE_H_
