#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/text_encoder.h"
#include "tokenizer/tokenizer_config.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace tern {
namespace {

constexpr int kSpecialInSingle = 2;  // [CLS] text [SEP]
constexpr int kSpecialInPair = 3;    // [CLS] text [SEP] pair [SEP]
constexpr size_t kAll = std::numeric_limits<size_t>::max();

absl::Status CheckText(absl::string_view name, absl::string_view text) {
  constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": expected at most ", kMaxBytes, " bytes, found ", text.size()));
  }
  const size_t invalid = FindInvalidUtf8(text);
  if (invalid == absl::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": expected UTF-8, found an invalid sequence at byte ", invalid));
}

absl::Status CheckMaxTokens(int max_tokens, int64_t at_least) {
  if (max_tokens >= at_least) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "max_tokens: expected at least ", at_least, ", found ", max_tokens));
}

// How many tokens are kept of each text of a pair.
struct PairSizes {
  size_t first;
  size_t second;
};

// As if the longer text lost its last token until both fit into `room`; of two
// equally long ones the first.
PairSizes TruncateLongestFirst(PairSizes sizes, size_t room) {
  if (sizes.first + sizes.second <= room) return sizes;
  const size_t smaller_half = room / 2;
  const size_t larger_half = room - smaller_half;
  if (sizes.first <= sizes.second) {
    return sizes.first <= smaller_half
               ? PairSizes{sizes.first, room - sizes.first}
               : PairSizes{smaller_half, larger_half};
  }
  return sizes.second <= smaller_half
             ? PairSizes{room - sizes.second, sizes.second}
             : PairSizes{larger_half, smaller_half};
}

}  // namespace

class Tokenizer::Impl {
 public:
  struct SpecialIds {
    int32_t unknown;
    int32_t classify;   // [CLS], before the first text
    int32_t separator;  // [SEP], after each text
  };

  Impl(Vocabulary vocabulary, SpecialTokens special_tokens,
       const NormalizationRules& rules, const SpecialIds& ids, int size)
      : encoder_(std::move(vocabulary), std::move(special_tokens), rules,
                 ids.unknown),
        ids_(ids),
        vocabulary_size_(size) {}

  Encoding EncodeSingle(absl::string_view text, size_t max_tokens) const {
    Tokens tokens;
    Reserve(text.size(), max_tokens, tokens);
    tokens.Add(ids_.classify, {});
    const size_t enough = max_tokens - 1;  // leaves room for [SEP]
    encoder_.Append(text, enough, tokens);
    Encoding encoding;
    encoding.truncated = tokens.size() > enough;
    if (encoding.truncated) tokens.Resize(enough);
    tokens.Add(ids_.separator, {});
    encoding.type_ids.assign(tokens.size(), 0);
    encoding.pair_begin = static_cast<int32_t>(tokens.size());
    encoding.ids = std::move(tokens.ids);
    encoding.offsets = std::move(tokens.offsets);
    return encoding;
  }

  Tokens EncodeText(absl::string_view text) const {
    Tokens tokens;
    Reserve(text.size(), kAll, tokens);
    encoder_.Append(text, kAll, tokens);
    return tokens;
  }

  // [CLS] first[0, first_size) [SEP] second[begin, end) [SEP]
  Encoding Join(const Tokens& first, size_t first_size, const Tokens& second,
                size_t begin, size_t end) const {
    Tokens tokens;
    const size_t size = first_size + (end - begin) + kSpecialInPair;
    tokens.ids.reserve(size);
    tokens.offsets.reserve(size);
    const auto append = [&tokens](const Tokens& from, size_t begin,
                                  size_t end) {
      tokens.ids.insert(tokens.ids.end(), from.ids.begin() + begin,
                        from.ids.begin() + end);
      tokens.offsets.insert(tokens.offsets.end(), from.offsets.begin() + begin,
                            from.offsets.begin() + end);
    };
    tokens.Add(ids_.classify, {});
    append(first, 0, first_size);
    tokens.Add(ids_.separator, {});
    Encoding encoding;
    encoding.pair_begin = static_cast<int32_t>(tokens.size());
    append(second, begin, end);
    tokens.Add(ids_.separator, {});
    encoding.type_ids.assign(size, 1);
    std::fill_n(encoding.type_ids.begin(), encoding.pair_begin, 0);
    encoding.ids = std::move(tokens.ids);
    encoding.offsets = std::move(tokens.offsets);
    return encoding;
  }

  int vocabulary_size() const { return vocabulary_size_; }

 private:
  // English has about four bytes a token; other text may grow the vectors.
  static void Reserve(size_t text_bytes, size_t max_tokens, Tokens& tokens) {
    const size_t expected =
        std::min(text_bytes / 4 + 16, std::min(max_tokens, kAll - 1) + 1);
    tokens.ids.reserve(expected);
    tokens.offsets.reserve(expected);
  }

  TextEncoder encoder_;
  SpecialIds ids_;
  int vocabulary_size_;
};

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(
    const std::string& folder) {
  absl::StatusOr<Vocabulary> vocabulary =
      Vocabulary::Load(folder + "/vocab.txt");
  if (!vocabulary.ok()) return vocabulary.status();
  absl::StatusOr<TokenizerConfig> config =
      ReadTokenizerConfig(folder + "/tokenizer_config.json");
  if (!config.ok()) return config.status();

  // In the order of precedence: an added token may redefine its id.
  std::map<std::string, int32_t> special_ids = config->added_tokens;
  const auto find = [&](const std::string& token) {
    const auto added = special_ids.find(token);
    return added != special_ids.end() ? added->second : vocabulary->Find(token);
  };
  std::vector<std::string> required = {config->unk_token, config->cls_token,
                                       config->sep_token};
  required.insert(required.end(), config->other_special_tokens.begin(),
                  config->other_special_tokens.end());
  for (const std::string& token : required) {
    const int32_t id = find(token);
    if (id < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, "/vocab.txt: expected the special token '",
                       token, "', it is not there"));
    }
    special_ids[token] = id;
  }
  // Old folders do not say how such a token is matched, and Tern does not
  // guess.
  const auto undescribed = ReadAddedTokens(folder + "/added_tokens.json");
  if (!undescribed.ok()) return undescribed.status();
  for (const auto& [token, id] : *undescribed) {
    if (find(token) == id) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(folder, "/added_tokens.json: '", token, "', ", id,
                     ": expected it in vocab.txt or in tokenizer_config.json's "
                     "'added_tokens_decoder'"));
  }
  // Serving never pads or masks: a vocabulary may do without these two.
  for (const std::string& token : {config->pad_token, config->mask_token}) {
    if (find(token) >= 0) special_ids[token] = find(token);
  }

  absl::StatusOr<SpecialTokens> special_tokens =
      SpecialTokens::Build(special_ids);
  if (!special_tokens.ok()) return special_tokens.status();
  const NormalizationRules rules = {
      .lowercase = config->do_lower_case,
      .strip_accents = config->strip_accents,
      .split_ideographs = config->tokenize_chinese_chars};
  const Impl::SpecialIds ids = {.unknown = special_ids[config->unk_token],
                                .classify = special_ids[config->cls_token],
                                .separator = special_ids[config->sep_token]};
  int size = vocabulary->size();
  for (const auto& [token, id] : special_ids) size = std::max(size, id + 1);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<const Impl>(
      *std::move(vocabulary), *std::move(special_tokens), rules, ids, size)));
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}

Tokenizer::~Tokenizer() = default;

absl::StatusOr<Encoding> Tokenizer::Encode(absl::string_view text,
                                           int max_tokens) const {
  absl::Status status = CheckMaxTokens(max_tokens, kSpecialInSingle);
  if (status.ok()) status = CheckText("text", text);
  if (!status.ok()) return status;
  return impl_->EncodeSingle(text, max_tokens);
}

absl::StatusOr<Encoding> Tokenizer::EncodePair(absl::string_view text,
                                               absl::string_view pair,
                                               int max_tokens) const {
  absl::Status status = CheckMaxTokens(max_tokens, kSpecialInPair);
  if (status.ok()) status = CheckText("text", text);
  if (status.ok()) status = CheckText("pair", pair);
  if (!status.ok()) return status;
  const Tokens first = impl_->EncodeText(text);
  const Tokens second = impl_->EncodeText(pair);
  const size_t room = max_tokens - kSpecialInPair;
  const PairSizes kept =
      TruncateLongestFirst({first.size(), second.size()}, room);
  Encoding encoding = impl_->Join(first, kept.first, second, 0, kept.second);
  encoding.truncated = first.size() + second.size() > room;
  return encoding;
}

absl::StatusOr<std::vector<Encoding>> Tokenizer::EncodeWindows(
    absl::string_view question, absl::string_view context, int max_tokens,
    int stride) const {
  if (stride < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("stride: expected at least 0, found ", stride));
  }
  absl::Status status =
      CheckMaxTokens(max_tokens, int64_t{kSpecialInPair} + stride + 1);
  if (status.ok()) status = CheckText("question", question);
  if (status.ok()) status = CheckText("context", context);
  if (!status.ok()) return status;
  const Tokens first = impl_->EncodeText(question);
  const Tokens second = impl_->EncodeText(context);

  const size_t room = max_tokens - kSpecialInPair;
  const bool all_fits = first.size() + second.size() <= room;
  const size_t question_size =
      all_fits ? first.size() : std::min(first.size(), room - (stride + 1));
  const size_t window_size = room - question_size;
  std::vector<Encoding> windows;
  for (size_t begin = 0;; begin += window_size - stride) {
    const size_t end = std::min(begin + window_size, second.size());
    windows.push_back(impl_->Join(first, question_size, second, begin, end));
    windows.back().truncated = question_size < first.size();
    if (end == second.size()) return windows;
  }
}

int Tokenizer::vocabulary_size() const { return impl_->vocabulary_size(); }

}  // namespace tern
