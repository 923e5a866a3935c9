// How fast text becomes token ids and offsets, on one core.
//
// Usage: tern-bench-tokenizer --folder=MODEL_FOLDER --text=FILE [benchmark's]
// FILE holds a text a line. Each pass encodes every line; its token count is
// checked against the first pass's. Reports bytes of text per second.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/strip.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

struct Corpus {
  std::vector<std::string> texts;
  int64_t bytes = 0;
  int64_t tokens = 0;
};

constexpr int kUnlimited = std::numeric_limits<int>::max();

// The tokens of all texts; -1 if one of them cannot be encoded.
int64_t EncodeAll(const Tokenizer& tokenizer,
                  const std::vector<std::string>& texts) {
  int64_t tokens = 0;
  for (const std::string& text : texts) {
    const absl::StatusOr<Encoding> encoding =
        tokenizer.Encode(text, kUnlimited);
    if (!encoding.ok()) return -1;
    benchmark::DoNotOptimize(encoding->offsets.data());
    tokens += static_cast<int64_t>(encoding->ids.size());
  }
  return tokens;
}

void Encode(benchmark::State& state, const Tokenizer& tokenizer,
            const Corpus& corpus) {
  for (auto _ : state) {
    if (EncodeAll(tokenizer, corpus.texts) != corpus.tokens) {
      state.SkipWithError("the token count has changed");
      return;
    }
  }
  state.SetBytesProcessed(state.iterations() * corpus.bytes);
  state.SetItemsProcessed(state.iterations() * corpus.tokens);
}

Corpus JoinedToOneText(const Corpus& corpus) {
  Corpus joined;
  joined.texts.emplace_back();
  for (const std::string& text : corpus.texts) {
    joined.texts[0] += text + "\n";
  }
  joined.bytes = static_cast<int64_t>(joined.texts[0].size());
  return joined;
}

int Run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::string folder, text_path;
  for (int i = 1; i < argc; ++i) {
    absl::string_view value = argv[i];
    if (absl::ConsumePrefix(&value, "--folder=")) {
      folder = std::string(value);
    } else if (absl::ConsumePrefix(&value, "--text=")) {
      text_path = std::string(value);
    } else {
      benchmark::ReportUnrecognizedArguments(argc, argv);
      return 2;
    }
  }
  std::ifstream file(text_path);
  Corpus lines;
  for (std::string line; std::getline(file, line);) {
    lines.bytes += static_cast<int64_t>(line.size());
    lines.texts.push_back(line);
  }
  if (lines.texts.empty()) {
    std::cerr << "tern-bench-tokenizer: --text: expected a file with a text a "
                 "line, found none in '"
              << text_path << "'\n";
    return 2;
  }
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Load(folder);
  if (!tokenizer.ok()) {
    std::cerr << "tern-bench-tokenizer: --folder: " << tokenizer.status()
              << "\n";
    return 2;
  }
  Corpus whole = JoinedToOneText(lines);
  for (Corpus* corpus : {&lines, &whole}) {
    corpus->tokens = EncodeAll(**tokenizer, corpus->texts);
    if (corpus->tokens < 0) {
      std::cerr << "tern-bench-tokenizer: --text: expected UTF-8\n";
      return 2;
    }
  }
  benchmark::RegisterBenchmark("lines", Encode, std::cref(**tokenizer),
                               std::cref(lines));
  benchmark::RegisterBenchmark("one_text", Encode, std::cref(**tokenizer),
                               std::cref(whole));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) { return tern::Run(argc, argv); }
