// One call of Classify, Answer or Embed, whichever protocol brought it.
//
// Start() checks the request, encodes its texts and queues it, on the thread
// that received it, and returns; a worker's `done` turns the logits into the
// reply. A protocol's handler fills in request_message() before, and sends
// response_message() after.
//
// One thread at a time, but for Abandon().

#ifndef TERN_SERVER_CALL_H_
#define TERN_SERVER_CALL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "server/call_log.h"
#include "server/clock.h"
#include "server/load_meter.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/request.h"
#include "server/scheduler.h"
#include "server/trace_context.h"
#include "tern/v1/inference_service.pb.h"
#include "tokenizer/tokenizer.h"

namespace tern {

// What calls need of the server; it outlives them.
struct CallEnvironment {
  int max_inputs;  // per call
  const Clock& clock;
  const ModelRegistry& models;
  Scheduler& scheduler;
  Metrics& metrics;
  CallLog& log;
  // The metadata key that names a call's tenant; empty: all are one tenant.
  absl::string_view tenant_key = {};
  // Whose reports go along with the ends of calls; null: none.
  LoadMeter* load_meter = nullptr;
};

class Call {
 public:
  using Done = std::function<void(const absl::Status&)>;

  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  virtual google::protobuf::Message& request_message() = 0;
  // Complete when `done` has been told OK.
  virtual google::protobuf::Message& response_message() = 0;

  // What the request message takes in memory.
  virtual size_t RequestMemory() { return request_message().SpaceUsedLong(); }

  // Says who calls, before Start(): the value of the metadata tenant_key().
  absl::string_view tenant_key() const { return environment_.tenant_key; }
  void set_tenant(absl::string_view tenant);
  // Says, before Start(), whose trace the call belongs to.
  void set_traceparent(absl::string_view traceparent) {
    trace_ = ParseTraceparent(traceparent);
  }

  // Whether the queue has room for a call of this tenant whose message is that
  // long: asked before the work of reading it.
  // Errors: RESOURCE_EXHAUSTED, UNAVAILABLE.
  absl::Status CheckRoom(size_t message_bytes) const {
    return environment_.scheduler.CheckRoom(
        request_->tenant, static_cast<int64_t>(message_bytes));
  }

  // The bytes of a load report that goes along with the end of this call; empty
  // for none.
  std::string LoadReport() const {
    LoadMeter* const meter = environment_.load_meter;
    return meter == nullptr ? "" : meter->Report(environment_.clock.Now());
  }

  // Begins the call, or refuses it as `ready` says: there is room for it, and
  // its message could be read. `done` is called exactly once, on this thread or
  // a worker's, perhaps before this returns, with
  //   `ready` if it is an error; INVALID_ARGUMENT naming the field; NOT_FOUND
  //   for a model that is not served; what the scheduler refuses;
  //   CANCELLED or DEADLINE_EXCEEDED if it was abandoned; INTERNAL.
  void Start(const absl::Status& ready, absl::Time deadline, Done done);

  // Says that nobody awaits the answer any more, which may call `done`.
  // Thread-safe.
  void Abandon(Awaited reason) {
    environment_.scheduler.Abandon(request_, reason);
  }

  // What Start() does with a request; public for calls of other protocols,
  // which translate to this one's and back.
  //
  // Checks the request, chooses its model and encodes its texts.
  virtual absl::Status Encode(Request& request) = 0;
  // Chooses the model for Encode(), which then does not look for it.
  void set_model(std::shared_ptr<const ServedModel> model) {
    request_->model = std::move(model);
  }
  // Fills in the response, except for the timings.
  virtual void Reply(const Request& request) = 0;
  virtual v1::Timings& timings() = 0;

 protected:
  Call(const CallEnvironment& environment, absl::string_view method)
      : environment_(environment),
        method_(method),
        arrived_at_(environment.clock.Now()) {}

  const CallEnvironment& environment() const { return environment_; }
  absl::Status ChooseModel(ModelUse use, const std::string& name,
                           const std::string& version);
  absl::Status CheckInputCount(int inputs) const;

 private:
  void End(const absl::Status& status);
  absl::Status MakeReply();
  void Finish(const absl::Status& status);

  const CallEnvironment environment_;
  const absl::string_view method_;
  const absl::Time arrived_at_;
  const std::shared_ptr<Request> request_ = std::make_shared<Request>();
  std::optional<TraceContext> trace_;
  StageTimes times_;
  Done done_;
};

// What Encode() implementations say of a field that is wrong.
// The name of a field of an input, as error messages say it.
std::string FieldName(int input, absl::string_view field);
absl::Status CheckNotEmpty(absl::string_view text, int input,
                           absl::string_view field);
// Passes on what the tokenizer made of an input's text of at most `max_tokens`.
// Errors: its own, naming the field; INVALID_ARGUMENT for one that was cut
// although `truncation` refuses that.
absl::StatusOr<Encoding> CheckTruncation(absl::StatusOr<Encoding> encoding,
                                         v1::Truncation truncation, int input,
                                         int max_tokens);
absl::Status CheckRange(absl::string_view field, int value, int least,
                        int most);

}  // namespace tern

#endif  // TERN_SERVER_CALL_H_
