// The program of script/verify batch-invariance.
//
//   batch-invariance ADDRESS... : the first server answers every text alone,
//   then each is asked by the crowd. Exits 0 only without a difference.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "tests/end_to_end/batch_invariance.h"
#include "tests/end_to_end/random_texts.h"

ABSL_FLAG(std::string, model, "", "Served model.");
ABSL_FLAG(int, texts, 2000, "Different texts.");
ABSL_FLAG(int, requests, 10000, "Requests of the crowd to each server.");
ABSL_FLAG(int, clients, 32, "Clients in the crowd.");

int main(int argc, char** argv) {
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  const std::vector<std::string> targets(arguments.begin() + 1,
                                         arguments.end());
  if (targets.empty()) {
    std::fprintf(stderr, "batch-invariance: expected a server's address\n");
    return 2;
  }
  const std::string model = absl::GetFlag(FLAGS_model);
  const auto texts = tern::RandomTexts(absl::GetFlag(FLAGS_texts), 1);
  const auto alone = tern::ClassifyAlone(targets[0], model, texts);
  if (!alone.ok()) {
    std::fprintf(stderr, "batch-invariance: %s\n",
                 alone.status().ToString().c_str());
    return 1;
  }
  tern::Crowd crowd;
  crowd.clients = absl::GetFlag(FLAGS_clients);
  crowd.requests = absl::GetFlag(FLAGS_requests);
  int64_t differences = 0;
  for (const std::string& target : targets) {
    const auto report =
        tern::ClassifyInCrowd(target, model, texts, *alone, crowd);
    if (!report.ok()) {
      std::fprintf(stderr, "batch-invariance: %s\n",
                   report.status().ToString().c_str());
      return 1;
    }
    std::printf("%s: %d requests, %lld inputs, %lld differences\n",
                target.c_str(), crowd.requests,
                static_cast<long long>(report->inputs),
                static_cast<long long>(report->differences));
    if (report->differences > 0) std::puts(report->first_difference.c_str());
    differences += report->differences;
  }
  return differences == 0 ? 0 : 1;
}
