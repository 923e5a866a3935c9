#include "tokenizer/tokenizer_config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "files/regular_file.h"

namespace tern {
namespace {

using Json = nlohmann::json;

constexpr int32_t kMaxAddedId = 1 << 24;

// Reads the keys of one config; remembers the first error.
class ConfigReader {
 public:
  ConfigReader(std::string path, const Json& json)
      : path_(std::move(path)), json_(json) {}

  // Sets `value` if `key` is present and not null.
  void ReadBool(const char* key, bool& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) return Fail(key, "true or false", *found);
    value = found->get<bool>();
  }

  void ReadToken(const char* key, std::string& value) {
    const Json* found = Find(key);
    if (found != nullptr) ReadToken(key, *found, value);
  }

  void ReadTokens(const char* key, std::vector<std::string>& values) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    // extra_special_tokens may have a name for each: only values are tokens.
    if (!found->is_array() && !found->is_object()) {
      return Fail(key, "a list of tokens", *found);
    }
    for (const Json& item : *found) {
      std::string value;
      ReadToken(key, item, value);
      values.push_back(std::move(value));
    }
  }

  void ReadAddedTokens(const char* key, std::map<std::string, int32_t>& ids) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_object()) return Fail(key, "an object by token id", *found);
    for (const auto& [text, token] : found->items()) {
      int32_t id;
      if (!absl::SimpleAtoi(text, &id) || id < 0 || id > kMaxAddedId) {
        return Fail(key, absl::StrCat("ids from 0 to ", kMaxAddedId), text);
      }
      std::string content;
      ReadToken(key, token, content);
      ids[content] = id;
    }
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  // A token is a string, or an object that says how to match it.
  void ReadToken(const char* key, const Json& token, std::string& value) {
    const Json* content = &token;
    if (token.is_object()) {
      for (const char* option :
           {"lstrip", "rstrip", "single_word", "normalized"}) {
        if (token.value(option, Json(false)) != Json(false)) {
          return Fail(key, absl::StrCat("tokens with \"", option, "\": false"),
                      token);
        }
      }
      const auto found = token.find("content");
      if (found == token.end()) return Fail(key, "\"content\"", token);
      content = &*found;
    }
    if (!content->is_string() || content->get_ref<const std::string&>().empty())
      return Fail(key, "a token", token);
    value = content->get<std::string>();
  }

  void Fail(const char* key, absl::string_view expected, const Json& found) {
    if (!status_.ok()) return;
    // Not what is nested: dump() goes as deep as that.
    const std::string text =
        found.is_structured()
            ? found.type_name()
            : found.dump(-1, ' ', false, Json::error_handler_t::replace);
    status_ = absl::InvalidArgumentError(
        absl::StrCat(path_, " '", key, "': expected ", expected, ", found ",
                     text.substr(0, 200)));
  }

  std::string path_;
  const Json& json_;
  absl::Status status_;
};

absl::StatusOr<Json> ReadObject(const std::string& path) {
  constexpr int64_t kMaxBytes = 16 << 20;
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxBytes);
  if (!text.ok()) return text.status();
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected a JSON object, found ",
                   json.is_discarded() ? "malformed JSON" : json.type_name()));
}

}  // namespace

absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& path) {
  TokenizerConfig config;
  const absl::StatusOr<Json> json = ReadObject(path);
  if (absl::IsNotFound(json.status())) return config;
  if (!json.ok()) return json.status();
  ConfigReader reader(path, *json);
  reader.ReadBool("do_lower_case", config.do_lower_case);
  config.strip_accents = config.do_lower_case;
  reader.ReadBool("strip_accents", config.strip_accents);
  reader.ReadBool("tokenize_chinese_chars", config.tokenize_chinese_chars);
  reader.ReadToken("unk_token", config.unk_token);
  reader.ReadToken("sep_token", config.sep_token);
  reader.ReadToken("pad_token", config.pad_token);
  reader.ReadToken("cls_token", config.cls_token);
  reader.ReadToken("mask_token", config.mask_token);
  reader.ReadTokens("additional_special_tokens", config.other_special_tokens);
  reader.ReadTokens("extra_special_tokens", config.other_special_tokens);
  reader.ReadTokens("never_split", config.other_special_tokens);
  reader.ReadAddedTokens("added_tokens_decoder", config.added_tokens);
  if (!reader.status().ok()) return reader.status();
  return config;
}

absl::StatusOr<std::map<std::string, int32_t>> ReadAddedTokens(
    const std::string& path) {
  std::map<std::string, int32_t> ids;
  const absl::StatusOr<Json> json = ReadObject(path);
  if (absl::IsNotFound(json.status())) return ids;
  if (!json.ok()) return json.status();
  for (const auto& [token, id] : json->items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > kMaxAddedId) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": expected ids from 0 to ", kMaxAddedId));
    }
    ids[token] = id.get<int32_t>();
  }
  return ids;
}

}  // namespace tern
