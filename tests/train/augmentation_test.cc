// Rewritten copies of examples: what may be replaced, by what, and how the file
// of copies is used again.

#include "train/augmentation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <sstream>

#include "ATen/ATen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tiny_model.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

using ::testing::ElementsAre;

class AugmentationTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "augmentation_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(WriteTinyModel(folder_).ok());
    auto tokenizer = Tokenizer::Load(folder_);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
    cache_ = folder_ + "/augmented.tsv";
    std::remove(cache_.c_str());
    options_.copies = 3;
    options_.candidates = 4;
  }

  Encoding Encode(const std::string& text) const {
    return *tokenizer_->Encode(text, 128);
  }

  int32_t IdOf(const std::string& word) const {
    return static_cast<int32_t>(
        std::find(vocabulary_.begin(), vocabulary_.end(), word) -
        vocabulary_.begin());
  }

  // A model that likes best, in this order, "##a", "!", "q", "r", "s", "t" and
  // "u" everywhere; it notes how often it is asked.
  torch::Tensor Predict(const TokenBatch& batch, const torch::Tensor& rows) {
    torch::Tensor logits =
        at::zeros({rows.size(0), static_cast<int64_t>(vocabulary_.size())});
    float liking = 10;
    for (const char* word : {"##a", "!", "q", "r", "s", "t", "u"}) {
      logits.select(1, IdOf(word)).fill_(liking--);
    }
    for (int64_t i = 0; i < rows.size(0); ++i) {
      EXPECT_EQ(batch.ids[rows[i].item<int64_t>()].item<int64_t>(),
                IdOf("[MASK]"));
    }
    asked_ += static_cast<int>(rows.size(0));
    return logits;
  }

  Dataset Copies(const Dataset& dataset,
                 const std::string& description = "--augment=3") {
    absl::StatusOr<Dataset> copies = Augment(
        dataset, *tokenizer_, vocabulary_,
        [this](const TokenBatch& batch, const torch::Tensor& rows) {
          return Predict(batch, rows);
        },
        options_, description, cache_);
    EXPECT_TRUE(copies.ok()) << copies.status();
    return *std::move(copies);
  }

  const std::vector<std::string> vocabulary_ = TinyVocabulary();
  std::string folder_, cache_;
  std::unique_ptr<Tokenizer> tokenizer_;
  AugmentationOptions options_;
  int asked_ = 0;
};

Dataset RandomTexts(int count, bool pairs) {
  std::mt19937 random(5);
  const auto text = [&] {
    // Letters alone are words of one token, together of several.
    constexpr char kCharacters[] = "abcxyz       ,.'-7\xc3\xa9";
    std::string made;
    for (int length = 1 + random() % 30; length > 0; --length) {
      const size_t i = random() % (sizeof kCharacters - 2);
      made += kCharacters[i] == '\xc3' ? std::string("\xc3\xa9")
                                       : std::string(1, kCharacters[i]);
    }
    return made;
  };
  Dataset dataset;
  dataset.path = "texts.tsv";
  dataset.pairs = pairs;
  for (int i = 0; i < count; ++i) {
    dataset.examples.push_back(
        {text(), pairs ? text() : "", static_cast<float>(i % 2), i + 2});
  }
  return dataset;
}

std::vector<std::string> Texts(const Dataset& dataset) {
  std::vector<std::string> texts;
  for (const Example& example : dataset.examples) {
    texts.push_back(example.text + "|" + example.pair);
  }
  return texts;
}

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST_F(AugmentationTest, WordsOfOneTokenMayBeReplaced) {
  // [CLS] x , z ##z 7 y [SEP]
  EXPECT_THAT(ReplaceableTokens(Encode("x, zz 7 y"), vocabulary_),
              ElementsAre(1, 6));
}

TEST_F(AugmentationTest, AWordThatWasPerhapsCutStays) {
  const Encoding cut = *tokenizer_->Encode("x y zz", 5);  // [CLS] x y z [SEP]
  EXPECT_THAT(ReplaceableTokens(cut, vocabulary_), ElementsAre(1, 2));
}

TEST_F(AugmentationTest, ACopyHasTheTokensOfItsExampleButForReplacedWords) {
  for (const bool pairs : {false, true}) {
    const Dataset dataset = RandomTexts(100, pairs);
    const Dataset copies = Copies(dataset);
    ASSERT_EQ(copies.examples.size(), 300u);
    const auto encode = [&](const Example& example) {
      return pairs ? *tokenizer_->EncodePair(example.text, example.pair, 128)
                   : *tokenizer_->Encode(example.text, 128);
    };
    int replaced = 0, kept = 0;
    for (size_t i = 0; i < copies.examples.size(); ++i) {
      const Example& source = dataset.examples[i / 3];
      const Encoding before = encode(source),
                     after = encode(copies.examples[i]);
      ASSERT_EQ(after.ids.size(), before.ids.size()) << copies.examples[i].text;
      EXPECT_EQ(copies.examples[i].label, source.label);
      EXPECT_EQ(copies.examples[i].line, source.line);
      const std::vector<int> tokens = ReplaceableTokens(before, vocabulary_);
      for (size_t t = 0; t < before.ids.size(); ++t) {
        if (after.ids[t] == before.ids[t]) {
          kept += std::count(tokens.begin(), tokens.end(), t);
          continue;
        }
        EXPECT_EQ(std::count(tokens.begin(), tokens.end(), t), 1);
        EXPECT_THAT(vocabulary_[after.ids[t]],
                    ::testing::AnyOf("q", "r", "s", "t"));
        ++replaced;
      }
    }
    // With probability 0.4; 5 standard deviations.
    const double words = replaced + kept;
    EXPECT_NEAR(replaced / words, 0.4, 5 * std::sqrt(0.24 / words));
    std::remove(cache_.c_str());
  }
}

TEST_F(AugmentationTest, AWordIsNotReplacedByItself) {
  options_.probability = 1;
  options_.copies = 40;
  Dataset dataset;
  dataset.examples.push_back({"r", "", 0, 1});
  std::set<std::string> words;
  for (const Example& copy : Copies(dataset).examples) words.insert(copy.text);
  EXPECT_THAT(words, ElementsAre("q", "s", "t", "u"));
}

TEST_F(AugmentationTest, CopiesAreMadeOnceAndThenRead) {
  const Dataset dataset = RandomTexts(100, true);
  const Dataset made = Copies(dataset);
  const int asked = asked_;
  EXPECT_GT(asked, 0);
  EXPECT_EQ(Texts(Copies(dataset)), Texts(made));
  EXPECT_EQ(asked_, asked);
  // Made with other options, or of another text, they are of no use.
  EXPECT_EQ(Texts(Copies(dataset, "--augment-model=other")), Texts(made));
  EXPECT_EQ(asked_, 2 * asked);
  Dataset edited = dataset;
  edited.examples[50].text += " q";
  EXPECT_NE(Texts(Copies(edited, "--augment-model=other")), Texts(made));
  EXPECT_GE(asked_, 3 * asked);
}

TEST_F(AugmentationTest, AnInterruptedRunGoesOnFromItsLastWholeExample) {
  const Dataset dataset = RandomTexts(100, false);
  const Dataset made = Copies(dataset);
  const std::string whole = Contents(cache_);
  const int asked = asked_;
  std::ofstream(cache_, std::ios::binary | std::ios::trunc)
      << whole.substr(0, whole.size() / 2);
  EXPECT_EQ(Texts(Copies(dataset)), Texts(made));
  EXPECT_EQ(Contents(cache_), whole);
  EXPECT_GT(asked_, asked);
  EXPECT_LT(asked_, 2 * asked);
}

TEST_F(AugmentationTest, OtherSeedsGiveOtherCopies) {
  const Dataset dataset = RandomTexts(100, false);
  const Dataset made = Copies(dataset);
  std::remove(cache_.c_str());
  options_.seed = 2;
  EXPECT_NE(Texts(Copies(dataset)), Texts(made));
}

}  // namespace
}  // namespace tern
