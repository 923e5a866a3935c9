#include "server/classify_call.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/classify.h"

namespace tern {

absl::Status ClassifyCall::Encode(Request& request) {
  if (absl::Status status = CheckInputCount(request_.inputs_size());
      !status.ok()) {
    return status;
  }
  if (request_.top_k() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k: expected at least 0, found ", request_.top_k()));
  }
  if (absl::Status status = ChooseModel(ModelUse::kClassify, request_.model(),
                                        request_.version());
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

absl::StatusOr<Encoding> ClassifyCall::EncodeInput(const ServedModel& model,
                                                   int i) const {
  const v1::TextInput& input = request_.inputs(i);
  const BertConfig& config = model.engine->config();
  if (absl::Status status = CheckNotEmpty(input.text(), i, "text");
      !status.ok()) {
    return status;
  }
  if (input.has_text_pair()) {
    if (!config.takes_pairs()) {
      return absl::InvalidArgumentError(
          absl::StrCat(FieldName(i, "text_pair"), ": expected none, since ",
                       "model '", model.name, "' takes single texts"));
    }
    if (absl::Status status = CheckNotEmpty(input.text_pair(), i, "text_pair");
        !status.ok()) {
      return status;
    }
  }
  auto encoding =
      input.has_text_pair()
          ? model.tokenizer->EncodePair(input.text(), input.text_pair(),
                                        config.max_positions)
          : model.tokenizer->Encode(input.text(), config.max_positions);
  return CheckTruncation(std::move(encoding), request_.truncation(), i,
                         config.max_positions);
}

void ClassifyCall::Reply(const Request& request) {
  response_.set_model(request.model->name);
  response_.set_version(request.model->version);
  const BertConfig& config = request.model->engine->config();
  for (size_t s = 0; s < request.sequences.size(); ++s) {
    const std::vector<float>& logits = request.logits[s];
    v1::ClassifyResult& result = *response_.add_results();
    for (const LabelScore& label :
         RankLabels(config.task, logits, request_.top_k())) {
      v1::Label& to = *result.add_labels();
      to.set_label(config.labels[label.index]);
      to.set_score(label.score);
      to.set_index(label.index);
    }
    if (request_.return_logits()) {
      result.mutable_logits()->Add(logits.begin(), logits.end());
    }
    result.set_token_count(
        static_cast<int32_t>(request.sequences[s].ids.size()));
    result.set_truncated(request.sequences[s].truncated);
  }
}

}  // namespace tern
