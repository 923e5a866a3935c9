// Checks that an answer does not depend on who shares the batch: the same text
// gives the same bits alone and amid a crowd.

#ifndef TERN_TESTS_END_TO_END_BATCH_INVARIANCE_H_
#define TERN_TESTS_END_TO_END_BATCH_INVARIANCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

struct Crowd {
  int clients = 32;  // each with a connection and a thread of its own
  int requests = 10000;
  int max_inputs = 8;  // each request has 1 to this many, drawn at random
  uint32_t seed = 1;
};

struct CrowdReport {
  int64_t inputs = 0;
  int64_t differences = 0;  // inputs answered otherwise than alone
  std::string first_difference;
};

// The answer to each text, labels, scores and raw logits, as the bytes of its
// message; one call after the other, one text each.
absl::StatusOr<std::vector<std::string>> ClassifyAlone(
    const std::string& target, const std::string& model,
    const std::vector<std::string>& texts);

// Sends the texts in a crowd of requests and compares: alone[i] is the answer
// to texts[i]. Errors: those of the first failed call.
absl::StatusOr<CrowdReport> ClassifyInCrowd(
    const std::string& target, const std::string& model,
    const std::vector<std::string>& texts,
    const std::vector<std::string>& alone, const Crowd& crowd);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_BATCH_INVARIANCE_H_
