// Sends all texts of a source, many to a call and several calls at a time, and
// hands the answers on in the order of the texts.
//
// Memory is bounded: at most kMaxCalls calls of at most kMaxInputs inputs live
// at once. A call is sent as soon as the source would have to wait for more.

#ifndef TERN_CLIENT_BULK_CALLS_H_
#define TERN_CLIENT_BULK_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/progress.h"
#include "client/text_source.h"

namespace tern {

// The i of "inputs[i]" in a server's message about one input.
std::optional<size_t> RefusedInput(absl::string_view message);

// Request and Response are those of Classify, Answer or Embed.
template <typename Request, typename Response>
class BulkCalls {
 public:
  static constexpr int kMaxInputs = 32;
  static constexpr size_t kMaxCallBytes = 1 << 20;  // a longer input goes alone
  static constexpr size_t kMaxCalls = 4;

  struct Steps {
    Request request;  // everything but the inputs
    std::function<void(const Text&, Request&)> add_input;
    std::function<absl::StatusOr<Response>(const Request&)> call;
    // response.results(i) belongs to texts[i].
    std::function<absl::Status(const std::vector<Text>& texts,
                               const Response& response)>
        deliver;
  };

  explicit BulkCalls(Steps steps) : steps_(std::move(steps)) {}

  // Errors: the first one in the order of the texts, of the source, a call or
  // `deliver`; one that concerns an input begins with its place. All texts
  // before it are delivered.
  absl::Status Run(TextSource& source) {
    bool more = true;
    while (more) {
      Call call;
      call.request = steps_.request;
      const absl::StatusOr<bool> collected = Collect(source, call);
      more = collected.value_or(false);
      if (!call.texts.empty()) Start(std::move(call));
      while (!calls_.empty() &&
             (!more || calls_.size() == kMaxCalls || !source.Ready())) {
        if (absl::Status status = DeliverOldest(); !status.ok()) return status;
        progress_.Update(delivered_, source.bytes());
      }
      if (!collected.ok()) return collected.status();
    }
    return absl::OkStatus();
  }

 private:
  struct Call {
    std::vector<Text> texts;
    Request request;
    std::future<absl::StatusOr<Response>> response;
  };

  // Fills `call` with what the source has ready, at least one text; false at
  // the end of the source.
  absl::StatusOr<bool> Collect(TextSource& source, Call& call) {
    do {
      Text text;
      const absl::StatusOr<bool> found = source.Next(text);
      if (!found.ok() || !*found) return found;
      steps_.add_input(text, call.request);
      call.texts.push_back(std::move(text));
    } while (call.request.inputs_size() < kMaxInputs &&
             call.request.ByteSizeLong() < kMaxCallBytes && source.Ready());
    return true;
  }

  void Start(Call call) {
    calls_.push_back(std::move(call));
    Call& started = calls_.back();  // stays where it is until delivered
    started.response = std::async(std::launch::async, [this, &started] {
      return steps_.call(started.request);
    });
  }

  absl::Status DeliverOldest() {
    Call& call = calls_.front();
    absl::StatusOr<Response> response = call.response.get();
    absl::Status refusal;
    if (!response.ok()) {
      const std::optional<size_t> refused =
          RefusedInput(response.status().message());
      if (!refused.has_value() || *refused >= call.texts.size()) {
        return response.status();
      }
      refusal = absl::Status(response.status().code(),
                             absl::StrCat(call.texts[*refused].place, ": ",
                                          response.status().message()));
      if (*refused == 0) return refusal;
      // The texts before the refused one are owed their answers.
      call.texts.resize(*refused);
      call.request.mutable_inputs()->DeleteSubrange(
          static_cast<int>(*refused),
          call.request.inputs_size() - static_cast<int>(*refused));
      response = steps_.call(call.request);
      if (!response.ok()) return response.status();
    }
    if (static_cast<size_t>(response->results_size()) != call.texts.size()) {
      return absl::InternalError(
          absl::StrCat("the server returned ", response->results_size(),
                       " results for ", call.texts.size(), " inputs"));
    }
    if (absl::Status status = steps_.deliver(call.texts, *response);
        !status.ok()) {
      return status;
    }
    delivered_ += static_cast<int64_t>(call.texts.size());
    calls_.pop_front();
    return refusal;
  }

  const Steps steps_;
  std::deque<Call> calls_;  // under way, oldest first
  int64_t delivered_ = 0;
  Progress progress_;
};

}  // namespace tern

#endif  // TERN_CLIENT_BULK_CALLS_H_
