// gRPC's bytes to a message, with an error that names the field.
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

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

}  // namespace tern

#endif  // TERN_SERVER_WIRE_MESSAGE_H_
