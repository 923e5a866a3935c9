#include "server/inference_service.h"

#include <memory>

#include "server/answer_call.h"
#include "server/call_reactor.h"
#include "server/classify_call.h"
#include "server/embed_call.h"

namespace tern {

grpc::ServerUnaryReactor* InferenceService::Classify(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(std::make_unique<ClassifyCall>(environment_),
                   environment_.clock, context, request, response);
}

grpc::ServerUnaryReactor* InferenceService::Answer(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(std::make_unique<AnswerCall>(environment_),
                   environment_.clock, context, request, response);
}

grpc::ServerUnaryReactor* InferenceService::Embed(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(std::make_unique<EmbedCall>(environment_),
                   environment_.clock, context, request, response);
}

}  // namespace tern
