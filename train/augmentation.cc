#include "train/augmentation.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <system_error>
#include <utility>

#include "ATen/ATen.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "train/batches.h"
#include "train/fingerprint.h"
#include "train/progress_bar.h"

namespace tern {
namespace {

// Whose places are predicted together.
constexpr size_t kExamplesPerChunk = 64;
constexpr int kSequencesPerBatch = 32;

bool IsWord(absl::string_view token) {
  return !token.empty() &&
         std::all_of(token.begin(), token.end(),
                     [](unsigned char c) { return absl::ascii_isalpha(c); });
}

// A token to be replaced by the `choice`-th best word for its place.
struct Replacement {
  int token = 0;
  uint64_t choice = 0;
};

// What is to become of one example.
struct Plan {
  Encoding encoding;
  std::vector<std::vector<Replacement>> copies;
};

// An event of this probability, by the same rule on any machine.
bool Draw(std::mt19937_64& random, double probability) {
  return static_cast<double>(random() >> 11) * 0x1p-53 < probability;
}

Plan MakePlan(Encoding encoding, const std::vector<int>& tokens,
              const AugmentationOptions& options, size_t example) {
  std::mt19937_64 random(MixSeeds(options.seed, example));
  Plan plan;
  plan.encoding = std::move(encoding);
  for (int copy = 0; copy < options.copies; ++copy) {
    std::vector<Replacement>& replacements = plan.copies.emplace_back();
    for (int token : tokens) {
      if (Draw(random, options.probability)) {
        replacements.push_back({token, random()});
      }
    }
  }
  return plan;
}

// The ids of the best words for a place, best first.
using Candidates = std::vector<int32_t>;

// By plan and token.
using CandidateMap = std::map<std::pair<size_t, int>, Candidates>;

class Augmenter {
 public:
  Augmenter(const Dataset& dataset, const Tokenizer& tokenizer,
            const std::vector<std::string>& vocabulary,
            const WordPredictor& predict, const AugmentationOptions& options)
      : dataset_(dataset),
        tokenizer_(tokenizer),
        vocabulary_(vocabulary),
        predict_(predict),
        options_(options) {
    const auto mask = std::find(vocabulary.begin(), vocabulary.end(), "[MASK]");
    if (mask != vocabulary.end()) {
      mask_id_ = static_cast<int32_t>(mask - vocabulary.begin());
    }
    not_a_word_ = at::empty({static_cast<int64_t>(vocabulary.size())});
    for (size_t id = 0; id < vocabulary.size(); ++id) {
      not_a_word_.data_ptr<float>()[id] =
          IsWord(vocabulary[id]) ? 0 : -std::numeric_limits<float>::infinity();
    }
  }

  // Copies of the examples [begin, end), example by example.
  absl::StatusOr<std::vector<Example>> Copies(size_t begin, size_t end) const {
    if (mask_id_ < 0) {
      return absl::InvalidArgumentError(
          "the vocabulary of --augment-model has no [MASK]");
    }
    std::vector<Plan> plans;
    for (size_t i = begin; i < end; ++i) {
      const Example& example = dataset_.examples[i];
      absl::StatusOr<Encoding> encoding =
          dataset_.pairs ? tokenizer_.EncodePair(example.text, example.pair,
                                                 options_.max_tokens)
                         : tokenizer_.Encode(example.text, options_.max_tokens);
      if (!encoding.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat(dataset_.path, ":", example.line, ": ",
                         encoding.status().message()));
      }
      const std::vector<int> tokens = ReplaceableTokens(*encoding, vocabulary_);
      plans.push_back(MakePlan(*std::move(encoding), tokens, options_, i));
    }
    const CandidateMap candidates = Predict(plans);
    std::vector<Example> copies;
    for (size_t i = 0; i < plans.size(); ++i) {
      for (const std::vector<Replacement>& replacements : plans[i].copies) {
        copies.push_back(Rewrite(dataset_.examples[begin + i], i, plans[i],
                                 replacements, candidates));
      }
    }
    return copies;
  }

 private:
  // The best words for each token that any copy replaces.
  CandidateMap Predict(const std::vector<Plan>& plans) const {
    CandidateMap candidates;
    for (size_t i = 0; i < plans.size(); ++i) {
      for (const auto& replacements : plans[i].copies) {
        for (const Replacement& r : replacements) candidates[{i, r.token}];
      }
    }
    std::vector<Sequence> sequences;
    std::vector<std::pair<size_t, int>> places;
    for (const auto& [place, unused] : candidates) {
      const Encoding& encoding = plans[place.first].encoding;
      Sequence& sequence = sequences.emplace_back();
      sequence.ids = encoding.ids;
      sequence.ids[place.second] = mask_id_;
      sequence.type_ids = encoding.type_ids;
      places.push_back(place);
    }
    for (const std::vector<int>& indices :
         PlanByLength(sequences, kSequencesPerBatch)) {
      const TokenBatch batch =
          MakeTokenBatch(sequences, indices, Task::kSingleLabel);
      torch::Tensor rows =
          at::empty({static_cast<int64_t>(indices.size())}, at::kLong);
      for (size_t s = 0; s < indices.size(); ++s) {
        rows.data_ptr<int64_t>()[s] =
            batch.starts[s] + places[indices[s]].second;
      }
      // One more, since the word itself may be among them.
      const torch::Tensor best =
          std::get<1>((predict_(batch, rows) + not_a_word_)
                          .topk(std::min<int64_t>(options_.candidates + 1,
                                                  not_a_word_.size(0))));
      for (size_t s = 0; s < indices.size(); ++s) {
        const auto& place = places[indices[s]];
        candidates[place] =
            Choose(best[s].contiguous(),
                   plans[place.first].encoding.ids[place.second]);
      }
    }
    return candidates;
  }

  // The words of `best`, an [candidates + 1] I64, that are not `own`.
  Candidates Choose(const torch::Tensor& best, int32_t own) const {
    Candidates chosen;
    for (int64_t i = 0; i < best.size(0); ++i) {
      const int32_t id = static_cast<int32_t>(best.data_ptr<int64_t>()[i]);
      if (id == own || !IsWord(vocabulary_[id])) continue;
      if (static_cast<int>(chosen.size()) < options_.candidates) {
        chosen.push_back(id);
      }
    }
    return chosen;
  }

  Example Rewrite(const Example& example, size_t index, const Plan& plan,
                  const std::vector<Replacement>& replacements,
                  const CandidateMap& candidates) const {
    Example copy = example;
    // From the last on, so that the offsets of the others stay.
    for (auto r = replacements.rbegin(); r != replacements.rend(); ++r) {
      const Candidates& words = candidates.at({index, r->token});
      if (words.empty()) continue;
      const TextSpan span = plan.encoding.offsets[r->token];
      std::string& text =
          r->token < plan.encoding.pair_begin ? copy.text : copy.pair;
      text.replace(span.begin, span.end - span.begin,
                   vocabulary_[words[r->choice % words.size()]]);
    }
    return copy;
  }

  const Dataset& dataset_;
  const Tokenizer& tokenizer_;
  const std::vector<std::string>& vocabulary_;
  const WordPredictor& predict_;
  const AugmentationOptions& options_;
  int32_t mask_id_ = -1;
  torch::Tensor not_a_word_;  // [vocabulary] 0 for words, else -inf
};

// A line of the cache is the source's line number, the text and the pair.
std::string CacheLine(const Example& example) {
  return absl::StrCat(example.line, "\t", example.text, "\t", example.pair,
                      "\n");
}

// The whole lines of the cache below its head, which must be `head`; none where
// that is another.
std::vector<std::string> CachedLines(const std::string& path,
                                     const std::string& head) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line) || line != head) return {};
  std::vector<std::string> lines;
  while (std::getline(file, line) && !file.eof()) lines.push_back(line);
  return lines;
}

// Reads cached copies of the dataset's first examples. Only as many as are of
// whole examples.
std::vector<Example> CachedCopies(const std::string& path,
                                  const std::string& head,
                                  const Dataset& dataset, int copies) {
  std::vector<Example> examples;
  for (const std::string& line : CachedLines(path, head)) {
    const size_t source = examples.size() / copies;
    const std::vector<std::string> fields = absl::StrSplit(line, '\t');
    int number = 0;
    if (source >= dataset.examples.size() || fields.size() != 3 ||
        !absl::SimpleAtoi(fields[0], &number) ||
        number != dataset.examples[source].line) {
      break;
    }
    Example& example = examples.emplace_back(dataset.examples[source]);
    example.text = fields[1];
    example.pair = fields[2];
  }
  examples.resize(examples.size() / copies * copies);
  return examples;
}

// Rewrites the cache with its head and `examples`, to be appended to. Where
// that fails the old one stays, and the stream says so.
std::ofstream OpenCache(const std::string& path, const std::string& head,
                        const std::vector<Example>& examples) {
  const std::string made = path + ".new";
  std::ofstream file(made, std::ios::binary | std::ios::trunc);
  file << head << '\n';
  for (const Example& example : examples) file << CacheLine(example);
  if (!file.flush()) return file;
  std::error_code error;
  std::filesystem::rename(made, path, error);
  if (error) file.setstate(std::ios::failbit);
  return file;
}

}  // namespace

std::vector<int> ReplaceableTokens(const Encoding& encoding,
                                   const std::vector<std::string>& vocabulary) {
  std::vector<int> tokens;
  const int count = static_cast<int>(encoding.ids.size());
  for (int i = 0; i < count; ++i) {
    if (i + 1 == count) break;  // [SEP]
    const TextSpan next = encoding.offsets[i + 1];
    // A cut may have taken the rest of the last word.
    const bool goes_on =
        absl::StartsWith(vocabulary[encoding.ids[i + 1]], "##") ||
        (encoding.truncated && next.begin == next.end);
    if (IsWord(vocabulary[encoding.ids[i]]) && !goes_on) tokens.push_back(i);
  }
  return tokens;
}

absl::StatusOr<Dataset> Augment(const Dataset& dataset,
                                const Tokenizer& tokenizer,
                                const std::vector<std::string>& vocabulary,
                                const WordPredictor& predict,
                                const AugmentationOptions& options,
                                const std::string& description,
                                const std::string& cache_path) {
  const std::string head = absl::StrCat("# tern-train ", description,
                                        " texts=", Fingerprint(dataset));
  Dataset augmented;
  augmented.path = cache_path;
  augmented.pairs = dataset.pairs;
  augmented.examples = CachedCopies(cache_path, head, dataset, options.copies);
  std::ofstream cache = OpenCache(cache_path, head, augmented.examples);
  const Augmenter augmenter(dataset, tokenizer, vocabulary, predict, options);
  const size_t total = dataset.examples.size();
  size_t done = augmented.examples.size() / options.copies;
  const auto check = [&] {
    if (cache.flush()) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat(cache_path, ": cannot be written"));
  };
  absl::Status status = check();
  if (!status.ok()) return status;
  ProgressBar bar("augment", "examples", static_cast<int64_t>(done),
                  static_cast<int64_t>(total));
  while (done < total) {
    const size_t end = std::min(total, done + kExamplesPerChunk);
    absl::StatusOr<std::vector<Example>> copies = augmenter.Copies(done, end);
    if (!copies.ok()) return copies.status();
    for (const Example& copy : *copies) cache << CacheLine(copy);
    status = check();
    if (!status.ok()) return status;
    std::move(copies->begin(), copies->end(),
              std::back_inserter(augmented.examples));
    done = end;
    bar.Show(static_cast<int64_t>(done), "");
  }
  return augmented;
}

}  // namespace tern
