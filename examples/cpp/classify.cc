// Labels the texts that it is given, with Tern's C++ client library.
//
//   classify [--server HOST:PORT] TEXT...

#include <cstdio>
#include <cstring>
#include <string>

#include "tern/client.h"

int main(int argc, char** argv) {
  std::string server = "127.0.0.1:8500";
  int first_text = 1;
  if (argc > 2 && std::strcmp(argv[1], "--server") == 0) {
    server = argv[2];
    first_text = 3;
  }
  // Retries by itself; a second is for the whole call.
  const auto client =
      tern::Client::Create(server, {.deadline = absl::Seconds(1)});
  if (!client.ok()) {
    std::fprintf(stderr, "%s\n", client.status().ToString().c_str());
    return 1;
  }
  tern::v1::ClassifyRequest request;
  request.set_top_k(1);
  for (int i = first_text; i < argc; ++i) {
    request.add_inputs()->set_text(argv[i]);
  }
  const auto response = (*client)->Classify(request);
  if (!response.ok()) {
    std::fprintf(stderr, "%s\n", response.status().ToString().c_str());
    return 1;
  }
  for (int i = 0; i < response->results_size(); ++i) {
    const tern::v1::Label& best = response->results(i).labels(0);
    std::printf("%s\t%.4f\t%s\n", best.label().c_str(), best.score(),
                request.inputs(i).text().c_str());
  }
}
