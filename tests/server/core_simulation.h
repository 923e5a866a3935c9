// The server at saturation on more cores than this machine has: the real
// scheduler, on a virtual clock, between simulated clients, handlers and
// workers. Each client sends its next request when it has its answer.
//
// What is simulated: cores are shared evenly by what runs on them; a batch
// takes a time for itself and one for each token; a call takes a time for gRPC
// and tokenizer, half of it before it is queued and half with its reply;
// batches that run at once share the memory's bandwidth. What is not: batches
// that spread over idle cores, locks (but the report says what the scheduler's
// own calls took), a network.

#ifndef TERN_TESTS_SERVER_CORE_SIMULATION_H_
#define TERN_TESTS_SERVER_CORE_SIMULATION_H_

#include <cstdint>
#include <limits>
#include <vector>

namespace tern {

struct SimulatedMachine {
  int cores = 1;
  // Of one core.
  double seconds_per_batch = 0;
  double seconds_per_token = 0;
  double seconds_per_call = 0;
  // Read from memory for each batch, whatever its size: the weights.
  double bytes_per_batch = 0;
  double bytes_per_second = std::numeric_limits<double>::infinity();
};

struct SimulatedLoad {
  int clients = 1;
  std::vector<int> lengths = {};  // tokens of the requests, in turns; not empty
  int64_t requests = 0;           // answered ones; the first tenth is warm-up
  int max_batch_tokens = 1024;
};

struct CoreReport {
  double requests_per_second = 0;
  double p50_seconds = 0, p99_seconds = 0;
  double tokens_per_batch = 0;
  // Really spent, on this machine, in the scheduler's calls.
  double scheduler_seconds_per_request = 0;
};

CoreReport SimulateCores(const SimulatedMachine& machine,
                         const SimulatedLoad& load);

}  // namespace tern

#endif  // TERN_TESTS_SERVER_CORE_SIMULATION_H_
