#include "server/oip_call.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/pooling.h"
#include "server/answer_call.h"
#include "server/classify.h"
#include "server/classify_call.h"
#include "server/embed_call.h"
#include "server/oip_tensors.h"

namespace tern {
namespace {

// Where a question answerer gives no logit: a position that its mask hides.
constexpr float kHiddenLogit = std::numeric_limits<float>::lowest();

// How many tokens of a row the mask shows.
// Errors: INVALID_ARGUMENT where they are not the first ones, at least one.
absl::StatusOr<int64_t> CountShown(absl::Span<const int64_t> mask,
                                   int64_t row) {
  const auto hidden = std::find(mask.begin(), mask.end(), 0);
  const auto ones = std::count(mask.begin(), mask.end(), 1);
  if (ones == 0 || ones != hidden - mask.begin() ||
      ones + std::count(hidden, mask.end(), 0) !=
          static_cast<int64_t>(mask.size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "attention_mask: expected ones, then zeros (padding on the right), "
        "found otherwise in row ",
        row));
  }
  return ones;
}

absl::Status CheckToken(absl::string_view name, int64_t value, int64_t bound,
                        int64_t row, int64_t column) {
  if (0 <= value && value < bound) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": expected 0 to ", bound - 1, ", found ", value,
                   " at [", row, ",", column, "]"));
}

// The values of an input, or `missing` for each token where it is not given.
absl::StatusOr<std::vector<int64_t>> ReadOrFill(
    const inference::ModelInferRequest& request, absl::string_view name,
    size_t count, int64_t missing) {
  const int input = FindOipInput(request, name);
  if (input == -1) return std::vector<int64_t>(count, missing);
  auto values = ReadOipIntegers(request, input);
  if (values.ok() && values->size() != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": expected the shape of input_ids, found [",
                     request.inputs(input).shape(0), ",",
                     request.inputs(input).shape(1), "]"));
  }
  return values;
}

}  // namespace

// SpaceUsedLong() is not for messages with maps where this is compiled for
// ThreadSanitizer and the library is not.
size_t OipCall::RequestMemory() {
  constexpr size_t kParameter = 256;  // of a map: its node, key and value
  size_t bytes = request_.ByteSizeLong() +
                 kParameter * request_.parameters_size() +
                 sizeof(std::string) * request_.raw_input_contents_size();
  for (const auto& input : request_.inputs()) {
    bytes += sizeof(input) + kParameter * input.parameters_size() +
             sizeof(int64_t) * input.shape_size() +
             input.contents().SpaceUsedLong();
  }
  for (const auto& output : request_.outputs()) {
    bytes += sizeof(output) + kParameter * output.parameters_size();
  }
  return bytes;
}

absl::Status OipCall::Encode(Request& request) {
  auto model = FindOipModel(environment().models, request_.model_name(),
                            request_.model_version());
  if (!model.ok()) return model.status();
  request.model = *std::move(model);
  const BertConfig& config = request.model->engine->config();

  const OipSignature tokens = TokenSignature(config);
  const bool has_tokens =
      std::any_of(request_.inputs().begin(), request_.inputs().end(),
                  [&](const auto& input) {
                    return FindTensor(tokens.inputs, input.name()) != nullptr;
                  });
  const OipSignature signature = has_tokens ? tokens : TextSignature(config);
  for (const absl::Status& status :
       {CheckOipInputs(request_, signature.inputs, environment().max_inputs),
        ReadOutputs(signature, config.task), ReadParameters(request)}) {
    if (!status.ok()) return status;
  }
  if (has_tokens) return EncodeTokens(request);
  switch (config.task) {
    case Task::kQuestionAnswering:
      return EncodeQuestions(request);
    case Task::kEmbedding:
      return EncodeForEmbedding(request);
    default:
      return EncodeTexts(request);
  }
}

absl::Status OipCall::ReadParameters(Request& request) {
  const auto timeout = request_.parameters().find("timeout");
  if (timeout == request_.parameters().end()) return absl::OkStatus();
  const inference::InferParameter& value = timeout->second;
  const int64_t microseconds =
      value.has_uint64_param()
          ? static_cast<int64_t>(std::min<uint64_t>(
                value.uint64_param(), std::numeric_limits<int64_t>::max()))
          : value.int64_param();
  if ((!value.has_int64_param() && !value.has_uint64_param()) ||
      microseconds < 0) {
    return absl::InvalidArgumentError(
        "parameter 'timeout': expected an integer of microseconds, 0 for "
        "none");
  }
  if (microseconds > 0) {
    request.deadline =
        environment().clock.Now() + absl::Microseconds(microseconds);
  }
  return absl::OkStatus();
}

absl::Status OipCall::ReadOutputs(const OipSignature& signature, Task task) {
  for (const auto& requested : request_.outputs()) {
    const OipTensor* tensor = FindTensor(signature.outputs, requested.name());
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected inference output '", requested.name(),
                       "' for model '", request_.model_name(), "'"));
    }
    if (std::any_of(outputs_.begin(), outputs_.end(), [&](const Output& other) {
          return other.name == requested.name();
        })) {
      return absl::InvalidArgumentError(absl::StrCat(
          "output '", requested.name(), "' for model '", request_.model_name(),
          "': expected once, found it again"));
    }
    Output output = {.name = requested.name()};
    const auto classes = requested.parameters().find("classification");
    if (classes != requested.parameters().end()) {
      output.class_count = classes->second.int64_param();
      if (output.class_count < 1 || tensor->datatype != "FP32" ||
          task == Task::kQuestionAnswering || task == Task::kEmbedding) {
        return absl::InvalidArgumentError(absl::StrCat(
            "output '", requested.name(), "' for model '",
            request_.model_name(),
            "': expected a classification of at least 1 class, of logits or "
            "scores"));
      }
    }
    outputs_.push_back(std::move(output));
  }
  if (outputs_.empty()) {
    for (const OipTensor& tensor : signature.outputs) {
      outputs_.push_back({.name = tensor.name});
    }
  }
  return absl::OkStatus();
}

absl::Status OipCall::EncodeTexts(Request& request) {
  auto call = std::make_unique<ClassifyCall>(environment());
  call->set_model(request.model);
  v1::ClassifyRequest& classify = call->request_message();
  classify.set_model(request.model->name);
  classify.set_version(request.model->version);
  auto texts = ReadOipStrings(request_, FindOipInput(request_, "TEXT"));
  if (!texts.ok()) return texts.status();
  for (std::string& text : *texts) {
    classify.add_inputs()->set_text(std::move(text));
  }
  if (const int pair = FindOipInput(request_, "TEXT_PAIR"); pair != -1) {
    auto pairs = ReadOipStrings(request_, pair);
    if (!pairs.ok()) return pairs.status();
    for (size_t i = 0; i < pairs->size(); ++i) {
      classify.mutable_inputs(static_cast<int>(i))
          ->set_text_pair(std::move((*pairs)[i]));
    }
  }
  translated_ = std::move(call);
  return translated_->Encode(request);
}

absl::Status OipCall::EncodeQuestions(Request& request) {
  auto call = std::make_unique<AnswerCall>(environment());
  call->set_model(request.model);
  v1::AnswerRequest& answer = call->request_message();
  answer.set_model(request.model->name);
  answer.set_version(request.model->version);
  auto questions = ReadOipStrings(request_, FindOipInput(request_, "QUESTION"));
  if (!questions.ok()) return questions.status();
  auto contexts = ReadOipStrings(request_, FindOipInput(request_, "CONTEXT"));
  if (!contexts.ok()) return contexts.status();
  for (size_t i = 0; i < questions->size(); ++i) {
    v1::QuestionInput& input = *answer.add_inputs();
    input.set_question(std::move((*questions)[i]));
    input.set_context(std::move((*contexts)[i]));
  }
  translated_ = std::move(call);
  return translated_->Encode(request);
}

absl::Status OipCall::EncodeForEmbedding(Request& request) {
  auto call = std::make_unique<EmbedCall>(environment());
  call->set_model(request.model);
  v1::EmbedRequest& embed = call->request_message();
  embed.set_model(request.model->name);
  embed.set_version(request.model->version);
  auto texts = ReadOipStrings(request_, FindOipInput(request_, "TEXT"));
  if (!texts.ok()) return texts.status();
  for (std::string& text : *texts)
    embed.add_inputs()->set_text(std::move(text));
  translated_ = std::move(call);
  return translated_->Encode(request);
}

absl::Status OipCall::EncodeTokens(Request& request) {
  const BertConfig& config = request.model->engine->config();
  const int ids_input = FindOipInput(request_, "input_ids");
  const auto ids = ReadOipIntegers(request_, ids_input);
  if (!ids.ok()) return ids.status();
  const auto mask = ReadOrFill(request_, "attention_mask", ids->size(), 1);
  if (!mask.ok()) return mask.status();
  const auto types = ReadOrFill(request_, "token_type_ids", ids->size(), 0);
  if (!types.ok()) return types.status();

  const int64_t columns = request_.inputs(ids_input).shape(1);
  for (int64_t row = 0; row < request_.inputs(ids_input).shape(0); ++row) {
    const auto shown =
        CountShown(absl::MakeSpan(*mask).subspan(row * columns, columns), row);
    if (!shown.ok()) return shown.status();
    if (*shown > config.max_positions) {
      return absl::InvalidArgumentError(
          absl::StrCat("input_ids: expected at most ", config.max_positions,
                       " tokens, found ", *shown, " in row ", row));
    }
    Encoding& sequence = request.sequences.emplace_back();
    for (int64_t column = 0; column < *shown; ++column) {
      const int64_t id = (*ids)[row * columns + column];
      const int64_t type = (*types)[row * columns + column];
      for (const absl::Status& status :
           {CheckToken("input_ids", id, config.vocabulary_size, row, column),
            CheckToken("token_type_ids", type,
                       std::max(1, config.type_vocabulary_size), row,
                       column)}) {
        if (!status.ok()) return status;
      }
      sequence.ids.push_back(static_cast<int32_t>(id));
      sequence.type_ids.push_back(static_cast<int32_t>(type));
    }
  }
  return absl::OkStatus();
}

void OipCall::Reply(const Request& request) {
  response_.set_model_name(request.model->name);
  response_.set_model_version(request.model->version);
  response_.set_id(request_.id());
  const Task task = request.model->engine->config().task;
  const bool answers = task == Task::kQuestionAnswering;
  if (translated_ != nullptr && answers) translated_->Reply(request);
  for (const Output& output : outputs_) {
    if (output.class_count > 0) {
      ReplyClasses(request, output);
    } else if (task == Task::kEmbedding) {
      ReplyEmbeddings(request, output);
    } else if (!answers) {
      ReplyLabels(request, output);
    } else if (translated_ != nullptr) {
      ReplyAnswers(static_cast<const v1::AnswerResponse&>(
                       translated_->response_message()),
                   output);
    } else {
      ReplyTokenLogits(request, output);
    }
  }
}

void OipCall::ReplyLabels(const Request& request, const Output& output) {
  const BertConfig& config = request.model->engine->config();
  std::vector<std::string> labels;
  std::vector<float> scores, all_logits;
  for (const std::vector<float>& logits : request.logits) {
    const LabelScore best = RankLabels(config.task, logits, 1).front();
    labels.push_back(config.labels[best.index]);
    scores.push_back(best.score);
    all_logits.insert(all_logits.end(), logits.begin(), logits.end());
  }
  if (output.name == "LABEL") {
    AddOipOutput(output.name, TextShape(), absl::MakeConstSpan(labels),
                 response_);
  } else if (output.name == "SCORE") {
    AddOipOutput(output.name, TextShape(), absl::MakeConstSpan(scores),
                 response_);
  } else {
    AddOipOutput(output.name,
                 {static_cast<int64_t>(labels.size()), config.outputs()},
                 absl::MakeConstSpan(all_logits), response_);
  }
}

void OipCall::ReplyClasses(const Request& request, const Output& output) {
  const BertConfig& config = request.model->engine->config();
  const int64_t count = std::min<int64_t>(output.class_count, config.outputs());
  std::vector<std::string> classes;
  for (const std::vector<float>& logits : request.logits) {
    for (const LabelScore& label :
         RankLabels(config.task, logits, static_cast<int>(count))) {
      classes.push_back(absl::StrCat(
          std::to_string(output.name == "SCORE" ? label.score
                                                : logits[label.index]),
          ":", label.index, ":", config.labels[label.index]));
    }
  }
  AddOipOutput(output.name,
               {static_cast<int64_t>(request.logits.size()), count},
               absl::MakeConstSpan(classes), response_);
}

void OipCall::ReplyAnswers(const v1::AnswerResponse& answers,
                           const Output& output) {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> positions;
  for (const v1::AnswerResult& result : answers.results()) {
    // A context without tokens has no spans: the empty answer.
    const v1::AnswerSpan best =
        result.answers().empty() ? v1::AnswerSpan() : result.answers(0);
    texts.push_back(best.text());
    scores.push_back(output.name == "SCORE" ? best.score()
                                            : result.no_answer_score());
    positions.push_back(output.name == "START" ? best.code_point_start()
                                               : best.code_point_end());
  }
  if (output.name == "ANSWER") {
    AddOipOutput(output.name, TextShape(), absl::MakeConstSpan(texts),
                 response_);
  } else if (output.name == "START" || output.name == "END") {
    AddOipOutput(output.name, TextShape(), absl::MakeConstSpan(positions),
                 response_);
  } else {
    AddOipOutput(output.name, TextShape(), absl::MakeConstSpan(scores),
                 response_);
  }
}

void OipCall::ReplyTokenLogits(const Request& request, const Output& output) {
  const int64_t columns =
      request_.inputs(FindOipInput(request_, "input_ids")).shape(1);
  const auto rows = static_cast<int64_t>(request.logits.size());
  const int which = output.name == "start_logits" ? 0 : 1;
  std::vector<float> logits(rows * columns, kHiddenLogit);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float>& from = request.logits[row];
    for (size_t token = 0; 2 * token < from.size(); ++token) {
      logits[row * columns + token] = from[2 * token + which];
    }
  }
  AddOipOutput(output.name, {rows, columns}, absl::MakeConstSpan(logits),
               response_);
}

void OipCall::ReplyEmbeddings(const Request& request, const Output& output) {
  const BertConfig& config = request.model->engine->config();
  std::vector<float> vectors;
  for (const std::vector<float>& vector : request.logits) {
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    if (config.embedding.normalize) {
      NormalizeEmbedding(absl::MakeSpan(vectors).last(vector.size()));
    }
  }
  AddOipOutput(output.name,
               {static_cast<int64_t>(request.logits.size()), config.outputs()},
               absl::MakeConstSpan(vectors), response_);
}

std::vector<int64_t> OipCall::TextShape() const {
  const auto& shape = request_.inputs(0).shape();
  return {shape.begin(), shape.end()};
}

}  // namespace tern
