#include "server/embed_call.h"

#include <utility>
#include <vector>

#include "model/pooling.h"

namespace tern {

absl::Status EmbedCall::Encode(Request& request) {
  if (absl::Status status = CheckInputCount(request_.inputs_size());
      !status.ok()) {
    return status;
  }
  if (absl::Status status =
          ChooseModel(ModelUse::kEmbed, request_.model(), request_.version());
      !status.ok()) {
    return status;
  }
  for (int i = 0; i < request_.inputs_size(); ++i) {
    auto encoding = EncodeInput(*request.model, i);
    if (!encoding.ok()) return encoding.status();
    request.sequences.push_back(*std::move(encoding));
  }
  return absl::OkStatus();
}

absl::StatusOr<Encoding> EmbedCall::EncodeInput(const ServedModel& model,
                                                int i) const {
  const std::string& text = request_.inputs(i).text();
  const int max_tokens = model.engine->config().embedding.max_tokens;
  if (absl::Status status = CheckNotEmpty(text, i, "text"); !status.ok()) {
    return status;
  }
  return CheckTruncation(model.tokenizer->Encode(text, max_tokens),
                         request_.truncation(), i, max_tokens);
}

void EmbedCall::Reply(const Request& request) {
  response_.set_model(request.model->name);
  response_.set_version(request.model->version);
  const bool normalize =
      request_.has_normalize()
          ? request_.normalize()
          : request.model->engine->config().embedding.normalize;
  for (size_t s = 0; s < request.sequences.size(); ++s) {
    v1::EmbedResult& result = *response_.add_results();
    auto& vector = *result.mutable_vector();
    vector.Add(request.logits[s].begin(), request.logits[s].end());
    if (normalize) {
      NormalizeEmbedding(absl::MakeSpan(vector.mutable_data(), vector.size()));
    }
    result.set_token_count(
        static_cast<int32_t>(request.sequences[s].ids.size()));
    result.set_truncated(request.sequences[s].truncated);
  }
}

}  // namespace tern
