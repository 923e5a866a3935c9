#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kUnlimited = 1 << 30;

// A model folder with a small vocabulary, gone with the test.
class Folder {
 public:
  explicit Folder(const std::vector<std::string>& tokens) {
    path_ = std::filesystem::path(testing::TempDir()) /
            ("tern_tokenizer_" + std::to_string(++count_));
    std::filesystem::create_directories(path_);
    std::string lines;
    for (const std::string& token : tokens) lines += token + "\n";
    Write("vocab.txt", lines);
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  void Write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  std::string path() const { return path_.string(); }

 private:
  static inline int count_ = 0;
  std::filesystem::path path_;
};

// What a test says about a token: its text in the vocabulary and its span.
struct Piece {
  std::string token;
  int begin;
  int end;
  friend bool operator==(const Piece&, const Piece&) = default;
  friend void PrintTo(const Piece& piece, std::ostream* out) {
    *out << piece.token << "[" << piece.begin << "," << piece.end << ")";
  }
};

class TokenizerTest : public testing::Test {
 protected:
  const std::vector<std::string> tokens_ = {"[PAD]",
                                            "[UNK]",
                                            "[CLS]",
                                            "[SEP]",
                                            "[MASK]",
                                            "un",
                                            "##aff",
                                            "##able",
                                            "want",
                                            "##ed",
                                            "the",
                                            "Want",
                                            "a",
                                            "##a",
                                            "e",
                                            "##e",
                                            "cafe",
                                            "i",
                                            "##i",
                                            "ss",
                                            "\xC3\xA9",
                                            "!",
                                            "[",
                                            "]",
                                            "mask",
                                            ",",
                                            "\xE4\xB8\xAD",
                                            "\xE6\x96\x87",
                                            "\xCE\xB1",
                                            "##\xCE\xB1",
                                            "##\xCF\x83",
                                            "\xEF\xAC\x81",
                                            "##\xE1\x85\xA1",
                                            "\xE1\x84\x80",
                                            "##\xE1\x86\xA8",
                                            "\xE3\x80\xAE",
                                            "##\xE3\x80\xAE",
                                            "##\xF0\x9D\x85\xA5",
                                            "i\xCC\x87",
                                            "="};

  std::unique_ptr<Tokenizer> Load(const std::string& config = "") {
    const Folder folder(tokens_);
    if (!config.empty()) folder.Write("tokenizer_config.json", config);
    auto tokenizer = Tokenizer::Load(folder.path());
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return *std::move(tokenizer);
  }

  std::vector<Piece> Describe(const Encoding& encoding) const {
    std::vector<Piece> pieces;
    for (size_t i = 0; i < encoding.ids.size(); ++i) {
      pieces.push_back({tokens_.at(encoding.ids[i]), encoding.offsets[i].begin,
                        encoding.offsets[i].end});
    }
    return pieces;
  }

  // The tokens of `text` without [CLS] and [SEP].
  std::vector<Piece> Encode(const Tokenizer& tokenizer,
                            const std::string& text) const {
    const auto encoding = tokenizer.Encode(text, kUnlimited);
    EXPECT_TRUE(encoding.ok()) << encoding.status();
    std::vector<Piece> pieces = Describe(*encoding);
    EXPECT_EQ(pieces.front(), (Piece{"[CLS]", 0, 0}));
    EXPECT_EQ(pieces.back(), (Piece{"[SEP]", 0, 0}));
    return {pieces.begin() + 1, pieces.end() - 1};
  }

  std::vector<int32_t> TokenIds(const std::string& words) const {
    std::vector<int32_t> ids;
    std::istringstream stream(words);
    for (std::string word; stream >> word;) {
      ids.push_back(std::find(tokens_.begin(), tokens_.end(), word) -
                    tokens_.begin());
    }
    return ids;
  }
};

constexpr char kCased[] = R"({"do_lower_case": false})";

TEST_F(TokenizerTest, SplitsWordsIntoLongestPieces) {
  EXPECT_THAT(Encode(*Load(), "unaffable wanted"),
              ElementsAre(Piece{"un", 0, 2}, Piece{"##aff", 2, 5},
                          Piece{"##able", 5, 9}, Piece{"want", 10, 14},
                          Piece{"##ed", 14, 16}));
}

TEST_F(TokenizerTest, MakesAWholeWordUnknownIfOnePieceIs) {
  EXPECT_THAT(Encode(*Load(), "wantedx the"),
              ElementsAre(Piece{"[UNK]", 0, 7}, Piece{"the", 8, 11}));
}

TEST_F(TokenizerTest, LowersCaseOnlyIfTheVocabularyIsUncased) {
  EXPECT_THAT(Encode(*Load(), "Want WANT"),
              ElementsAre(Piece{"want", 0, 4}, Piece{"want", 5, 9}));
  EXPECT_THAT(Encode(*Load(kCased), "Want WANT"),
              ElementsAre(Piece{"Want", 0, 4}, Piece{"[UNK]", 5, 9}));
}

TEST_F(TokenizerTest, StripsComposedAndCombiningAccents) {
  // Cafe with e acute as one and as two code points: 5 and 6 bytes.
  EXPECT_THAT(Encode(*Load(), "Caf\xC3\xA9 Cafe\xCC\x81"),
              ElementsAre(Piece{"cafe", 0, 5}, Piece{"cafe", 6, 10}));
  EXPECT_THAT(Encode(*Load(),
                     "e\xCC\x81"
                     "a"),
              ElementsAre(Piece{"e", 0, 1}, Piece{"##a", 3, 4}));
}

TEST_F(TokenizerTest, KeepsAccentsIfAsked) {
  EXPECT_THAT(
      Encode(*Load(R"({"do_lower_case": true, "strip_accents": false})"),
             "\xC3\x89"),
      ElementsAre(Piece{"\xC3\xA9", 0, 2}));
  EXPECT_THAT(
      Encode(*Load(R"({"do_lower_case": false, "strip_accents": true})"),
             "\xC3\xA9"),
      ElementsAre(Piece{"e", 0, 2}));
}

TEST_F(TokenizerTest, GivesEachJamoTheSpanOfItsSyllable) {
  // U+AC01 decomposes into three letters.
  EXPECT_THAT(
      Encode(*Load(), " \xEA\xB0\x81"),
      ElementsAre(Piece{"\xE1\x84\x80", 1, 4}, Piece{"##\xE1\x85\xA1", 1, 4},
                  Piece{"##\xE1\x86\xA8", 1, 4}));
}

TEST_F(TokenizerTest, AlignsReorderedMarksByPosition) {
  // A Hangul tone mark (class 224), then a musical stem (class 216), both kept:
  // they change places, and the first in order takes the first's span.
  EXPECT_THAT(Encode(*Load(), "a\xE3\x80\xAE\xF0\x9D\x85\xA5"),
              ElementsAre(Piece{"a", 0, 1}, Piece{"##\xF0\x9D\x85\xA5", 1, 4},
                          Piece{"##\xE3\x80\xAE", 4, 8}));
}

TEST_F(TokenizerTest, MapsDottedCapitalIAndFinalSigmaAsPerCharacter) {
  EXPECT_THAT(Encode(*Load(), "\xC4\xB0"), ElementsAre(Piece{"i", 0, 2}));
  EXPECT_THAT(
      Encode(*Load(R"({"do_lower_case": true, "strip_accents": false})"),
             "\xC4\xB0"),
      ElementsAre(Piece{"i\xCC\x87", 0, 2}));
  // Alpha and capital sigma at a word's end: never the final form.
  EXPECT_THAT(Encode(*Load(), "\xCE\x91\xCE\xA3"),
              ElementsAre(Piece{"\xCE\xB1", 0, 2}, Piece{"##\xCF\x83", 2, 4}));
}

TEST_F(TokenizerTest, KeepsLigatures) {
  EXPECT_THAT(Encode(*Load(), "\xEF\xAC\x81"),
              ElementsAre(Piece{"\xEF\xAC\x81", 0, 3}));
}

TEST_F(TokenizerTest, MakesEachChineseCharacterAWord) {
  EXPECT_THAT(Encode(*Load(),
                     "a\xE4\xB8\xAD\xE6\x96\x87"
                     "a"),
              ElementsAre(Piece{"a", 0, 1}, Piece{"\xE4\xB8\xAD", 1, 4},
                          Piece{"\xE6\x96\x87", 4, 7}, Piece{"a", 7, 8}));
  EXPECT_THAT(Encode(*Load(R"({"tokenize_chinese_chars": false})"),
                     "\xE4\xB8\xAD\xE6\x96\x87"),
              ElementsAre(Piece{"[UNK]", 0, 6}));
}

TEST_F(TokenizerTest, DropsControlCharactersWithinAWord) {
  EXPECT_THAT(Encode(*Load(), std::string("w\x01"
                                          "an\0t\xE2\x80\x8B"
                                          "ed",
                                          11)),
              ElementsAre(Piece{"want", 0, 6}, Piece{"##ed", 9, 11}));
  EXPECT_THAT(Encode(*Load(), "\x7F\xEF\xBF\xBD\xEE\x80\x80"), IsEmpty());
}

TEST_F(TokenizerTest, SplitsAtUnicodeSpaces) {
  EXPECT_THAT(Encode(*Load(),
                     "a\xC2\xA0"
                     "a\xE3\x80\x80"
                     "a\ta"),
              ElementsAre(Piece{"a", 0, 1}, Piece{"a", 3, 4}, Piece{"a", 7, 8},
                          Piece{"a", 9, 10}));
}

TEST_F(TokenizerTest, MakesEachPunctuationCharacterAWord) {
  EXPECT_THAT(Encode(*Load(), "a!,a="),
              ElementsAre(Piece{"a", 0, 1}, Piece{"!", 1, 2}, Piece{",", 2, 3},
                          Piece{"a", 3, 4}, Piece{"=", 4, 5}));
  // "Not equal" decomposes into an equals sign and a mark.
  EXPECT_THAT(
      Encode(*Load(),
             "a\xE2\x89\xA0"
             "a"),
      ElementsAre(Piece{"a", 0, 1}, Piece{"=", 1, 4}, Piece{"a", 4, 5}));
}

TEST_F(TokenizerTest, KeepsSpecialTokensInTheTextWhole) {
  EXPECT_THAT(Encode(*Load(), "a[MASK]a [SEP]"),
              ElementsAre(Piece{"a", 0, 1}, Piece{"[MASK]", 1, 7},
                          Piece{"a", 7, 8}, Piece{"[SEP]", 9, 14}));
  EXPECT_THAT(
      Encode(*Load(), "[mask][MASK"),
      ElementsAre(Piece{"[", 0, 1}, Piece{"mask", 1, 5}, Piece{"]", 5, 6},
                  Piece{"[", 6, 7}, Piece{"mask", 7, 11}));
}

TEST_F(TokenizerTest, KeepsConfiguredTokensWhole) {
  EXPECT_THAT(Encode(*Load(R"({"never_split": ["Want"]})"), "aWanta want"),
              ElementsAre(Piece{"a", 0, 1}, Piece{"Want", 1, 5},
                          Piece{"a", 5, 6}, Piece{"want", 7, 11}));
  // Words end before it, though its letters are a word's.
  EXPECT_THAT(Encode(*Load(R"({"never_split": ["Want"]})"), "wantWanted a a a"),
              ElementsAre(Piece{"want", 0, 4}, Piece{"Want", 4, 8},
                          Piece{"[UNK]", 8, 10}, Piece{"a", 11, 12},
                          Piece{"a", 13, 14}, Piece{"a", 15, 16}));
  EXPECT_THAT(Encode(*Load(R"({"additional_special_tokens": ["un", "unaff"],
                               "added_tokens_decoder": {"6":
                                 {"content": "unaff", "special": true}}})"),
                     "unaffun"),
              ElementsAre(Piece{"##aff", 0, 5}, Piece{"un", 5, 7}));
}

TEST_F(TokenizerTest, MakesWordsOfMoreThanAHundredCharactersUnknown) {
  const auto tokenizer = Load();
  EXPECT_THAT(Encode(*tokenizer, std::string(100, 'a')), SizeIs(100));
  EXPECT_THAT(Encode(*tokenizer, std::string(101, 'a')),
              ElementsAre(Piece{"[UNK]", 0, 101}));
  // The limit counts characters after normalization, not bytes.
  std::string alphas;
  for (int i = 0; i < 100; ++i) alphas += "\xCE\x91\xCC\x81";
  EXPECT_THAT(Encode(*tokenizer, alphas), SizeIs(100));
  EXPECT_THAT(Encode(*tokenizer, alphas + "a"),
              ElementsAre(Piece{"[UNK]", 0, 401}));
}

TEST_F(TokenizerTest, GivesAWordTheSameTokensWhereverItStands) {
  // Words of up to eight bytes have a way of their own, which needs eight bytes
  // of text; so have words that a character outside ASCII follows.
  const auto tokenizer = Load();
  for (const std::string word : {"the", "WANT", "thea", "cafe"}) {
    std::vector<Piece> expected = Encode(*tokenizer, word);
    for (const char* after : {"", " ", "!", " a a a a a", "!!!!!!!!!", "\x01",
                              "\xE4\xB8\xAD", "[MASK]", "\xCC\x81 a a a"}) {
      std::vector<Piece> found = Encode(*tokenizer, word + after);
      ASSERT_GE(found.size(), expected.size());
      found.resize(expected.size(), {"", 0, 0});
      // A stripped accent belongs to no token.
      EXPECT_EQ(found, expected) << word << after;
    }
  }
}

TEST_F(TokenizerTest, EncodesEmptyTexts) {
  const auto tokenizer = Load();
  EXPECT_THAT(Encode(*tokenizer, ""), IsEmpty());
  EXPECT_THAT(Encode(*tokenizer, " \n\xCC\x81"), IsEmpty());
  const auto pair = tokenizer->EncodePair("", "", 3);
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->ids, TokenIds("[CLS] [SEP] [SEP]"));
  EXPECT_FALSE(pair->truncated);
}

TEST_F(TokenizerTest, CutsATextToTheTokensAllowed) {
  const auto tokenizer = Load();
  const auto cut = tokenizer->Encode("a e i a", 5);
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->ids, TokenIds("[CLS] a e i [SEP]"));
  EXPECT_TRUE(cut->truncated);
  EXPECT_EQ(cut->pair_begin, 5);

  const auto whole = tokenizer->Encode("a e i a", 6);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->ids, TokenIds("[CLS] a e i a [SEP]"));
  EXPECT_FALSE(whole->truncated);
}

TEST_F(TokenizerTest, MarksThePairByTypeIds) {
  const auto pair = Load()->EncodePair("a e", "i", kUnlimited);
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->ids, TokenIds("[CLS] a e [SEP] i [SEP]"));
  EXPECT_THAT(pair->type_ids, ElementsAre(0, 0, 0, 0, 1, 1));
  EXPECT_EQ(pair->pair_begin, 4);
  EXPECT_EQ(pair->offsets[4], (TextSpan{0, 1}));
}

TEST_F(TokenizerTest, CutsTheLongerTextOfAPairFirst) {
  const auto tokenizer = Load();
  const auto ids = [&](const std::string& text, const std::string& pair,
                       int max_tokens) {
    const auto encoding = tokenizer->EncodePair(text, pair, max_tokens);
    EXPECT_TRUE(encoding.ok() && encoding->truncated);
    return encoding->ids;
  };
  EXPECT_EQ(ids("a", "e e e e", 6), TokenIds("[CLS] a [SEP] e e [SEP]"));
  EXPECT_EQ(ids("a a a a", "e", 6), TokenIds("[CLS] a a [SEP] e [SEP]"));
  // An odd token goes to the longer text; to the second of equally long ones.
  EXPECT_EQ(ids("a a a a", "e e e", 6), TokenIds("[CLS] a a [SEP] e [SEP]"));
  EXPECT_EQ(ids("a a a", "e e e e", 6), TokenIds("[CLS] a [SEP] e e [SEP]"));
  EXPECT_EQ(ids("a a a", "e e e", 6), TokenIds("[CLS] a [SEP] e e [SEP]"));
  EXPECT_EQ(ids("a a a", "e e e", 3), TokenIds("[CLS] [SEP] [SEP]"));
}

TEST_F(TokenizerTest, CoversALongContextByOverlappingWindows) {
  const auto windows = Load()->EncodeWindows("a", "e i a e i", 7, 1);
  ASSERT_TRUE(windows.ok()) << windows.status();
  ASSERT_THAT(*windows, SizeIs(2));
  EXPECT_EQ((*windows)[0].ids, TokenIds("[CLS] a [SEP] e i a [SEP]"));
  EXPECT_EQ((*windows)[1].ids, TokenIds("[CLS] a [SEP] a e i [SEP]"));
  EXPECT_EQ((*windows)[1].offsets[3], (TextSpan{4, 5}));
  EXPECT_EQ((*windows)[1].pair_begin, 3);
  EXPECT_FALSE((*windows)[0].truncated);
}

TEST_F(TokenizerTest, KeepsOneWindowIfTheContextFits) {
  const auto windows = Load()->EncodeWindows("a", "e i", 6, 2);
  ASSERT_TRUE(windows.ok()) << windows.status();
  ASSERT_THAT(*windows, SizeIs(1));
  EXPECT_EQ((*windows)[0].ids, TokenIds("[CLS] a [SEP] e i [SEP]"));
  const auto empty = Load()->EncodeWindows("a a a", "", 6, 2);
  ASSERT_TRUE(empty.ok());
  ASSERT_THAT(*empty, SizeIs(1));
  EXPECT_EQ((*empty)[0].ids, TokenIds("[CLS] a a a [SEP] [SEP]"));
}

TEST_F(TokenizerTest, CutsAQuestionThatLeavesNoRoomForTheContext) {
  const auto windows = Load()->EncodeWindows("a a a a", "e i e", 6, 1);
  ASSERT_TRUE(windows.ok()) << windows.status();
  ASSERT_THAT(*windows, SizeIs(2));
  EXPECT_EQ((*windows)[0].ids, TokenIds("[CLS] a [SEP] e i [SEP]"));
  EXPECT_EQ((*windows)[1].ids, TokenIds("[CLS] a [SEP] i e [SEP]"));
  EXPECT_TRUE((*windows)[0].truncated && (*windows)[1].truncated);
}

TEST_F(TokenizerTest, NamesTheByteOfInvalidUtf8) {
  const auto tokenizer = Load();
  const auto status = tokenizer->Encode("the ca\xFF", kUnlimited).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at byte 6"));

  const auto pair = tokenizer->EncodePair("a", "\xE4\xB8", kUnlimited).status();
  EXPECT_EQ(pair.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(pair.message()), HasSubstr("pair"));
  EXPECT_THAT(std::string(pair.message()), HasSubstr("at byte 0"));

  // Past the tokens that are kept, too.
  EXPECT_FALSE(tokenizer->Encode("a a a a \x80", 3).ok());
  EXPECT_FALSE(tokenizer->EncodeWindows("a", "\xED\xA0\x80", 384, 128).ok());
}

TEST_F(TokenizerTest, RejectsALimitTooSmallForItsSpecialTokens) {
  const auto tokenizer = Load();
  EXPECT_TRUE(tokenizer->Encode("a", 2).ok());
  EXPECT_FALSE(tokenizer->Encode("a", 1).ok());
  EXPECT_FALSE(tokenizer->EncodePair("a", "a", 2).ok());
  EXPECT_TRUE(tokenizer->EncodeWindows("a", "e", 14, 10).ok());
  EXPECT_FALSE(tokenizer->EncodeWindows("a", "e", 13, 10).ok());
  EXPECT_FALSE(tokenizer->EncodeWindows("a", "e", 384, -1).ok());
}

absl::Status LoadStatus(const Folder& folder) {
  return Tokenizer::Load(folder.path()).status();
}

TEST(TokenizerLoadTest, NamesAMissingVocabulary) {
  const auto status = Tokenizer::Load("no/such/folder").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no/such/folder/vocab.txt"));
}

TEST(TokenizerLoadTest, NamesAMissingSpecialToken) {
  const auto status = LoadStatus(Folder({"[UNK]", "[CLS]", "a"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("[SEP]"));
}

TEST(TokenizerLoadTest, NamesADuplicateLine) {
  const auto status =
      LoadStatus(Folder({"[UNK]", "[CLS]", "[SEP]", "a", "b", "a"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 6"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("on line 4"));
}

TEST(TokenizerLoadTest, RejectsAVocabularyThatIsNotText) {
  EXPECT_EQ(LoadStatus(Folder({"[UNK]", "[CLS]", "[SEP]", "\xFF"})).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(LoadStatus(Folder({})).code(), absl::StatusCode::kInvalidArgument);
}

TEST(TokenizerLoadTest, ReadsWindowsLineEnds) {
  const Folder folder({"[UNK]\r", "[CLS]\r", "[SEP]\r", "a\r"});
  const auto tokenizer = Tokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocabulary_size(), 4);
  EXPECT_THAT((*tokenizer)->Encode("a", 8)->ids, ElementsAre(1, 3, 2));
}

TEST(TokenizerLoadTest, NamesTheMalformedKeyOfAConfig) {
  const Folder folder({"[UNK]", "[CLS]", "[SEP]", "a"});
  const auto message = [&](const std::string& config) {
    folder.Write("tokenizer_config.json", config);
    const absl::Status status = LoadStatus(folder);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config;
    return std::string(status.message());
  };
  EXPECT_THAT(message("{"), HasSubstr("malformed JSON"));
  EXPECT_THAT(message("[]"), HasSubstr("array"));
  EXPECT_THAT(message(R"({"do_lower_case": 1})"), HasSubstr("do_lower_case"));
  EXPECT_THAT(message(R"({"unk_token": "[NONE]"})"), HasSubstr("[NONE]"));
  EXPECT_THAT(message(R"({"never_split": "a"})"), HasSubstr("never_split"));
  EXPECT_THAT(message(R"({"never_split": ["b"]})"), HasSubstr("'b'"));
  EXPECT_THAT(message(R"({"do_lower_case": )" + std::string(1'000'000, '[') +
                      std::string(1'000'000, ']') + "}"),
              HasSubstr("found array"));
  EXPECT_THAT(message(R"({"mask_token": {"content": "a", "lstrip": true}})"),
              HasSubstr("lstrip"));
  EXPECT_THAT(message(R"({"added_tokens_decoder": {"-1": "a"}})"),
              HasSubstr("added_tokens_decoder"));
}

TEST(TokenizerLoadTest, RefusesWhatIsNoRegularFile) {
  for (const char* name : {"vocab.txt", "tokenizer_config.json"}) {
    const Folder folder({"[UNK]", "[CLS]", "[SEP]", "a"});
    const std::string path = folder.path() + "/" + name;
    std::filesystem::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);  // which has no writer
    const auto status = LoadStatus(folder);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(path + ": expected a regular file"));
  }
}

TEST(TokenizerLoadTest, RefusesAddedTokensThatNothingDescribes) {
  const Folder folder({"[UNK]", "[CLS]", "[SEP]", "a"});
  folder.Write("added_tokens.json", R"({"a": 3, "<b>": 4})");
  const auto status = LoadStatus(folder);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("added_tokens.json: '<b>', 4: expected it in vocab.txt "
                        "or in tokenizer_config.json's"));
  folder.Write("tokenizer_config.json",
               R"({"added_tokens_decoder": {"4": {"content": "<b>"}}})");
  EXPECT_EQ(LoadStatus(folder), absl::OkStatus());
}

TEST(TokenizerLoadTest, KeepsExtraSpecialTokensWhole) {
  const Folder folder({"[UNK]", "[CLS]", "[SEP]", "a", "<b>"});
  for (const char* tokens : {R"(["<b>"])", R"({"b_token": "<b>"})"}) {
    folder.Write("tokenizer_config.json",
                 R"({"extra_special_tokens": )" + std::string(tokens) + "}");
    const auto tokenizer = Tokenizer::Load(folder.path());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_THAT((*tokenizer)->Encode("a<b>a", 8)->ids,
                ElementsAre(1, 3, 4, 3, 2));
  }
}

TEST(TokenizerLoadTest, CountsAddedTokensPastTheVocabulary) {
  const Folder folder({"[UNK]", "[CLS]", "[SEP]", "a"});
  folder.Write("tokenizer_config.json",
               R"({"added_tokens_decoder": {"4": {"content": "<b>"}}})");
  const auto tokenizer = Tokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocabulary_size(), 5);
  EXPECT_THAT((*tokenizer)->Encode("a<b>a", 8)->ids,
              ElementsAre(1, 3, 4, 3, 2));
}

}  // namespace
}  // namespace tern
