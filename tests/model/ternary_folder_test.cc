#include "model/ternary_folder.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/ternarize.h"
#include "model/config.h"
#include "model/folder_conversion.h"
#include "model/half.h"
#include "model/inspect_folder.h"
#include "model/tensor_names.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPooler[] = "bert.pooler.dense.weight";
constexpr char kWords[] = "bert.embeddings.word_embeddings.weight";

template <typename T>
Tensor ViewOf(DType dtype, std::vector<int64_t> shape,
              const std::vector<T>& values) {
  return {dtype,
          std::move(shape),
          {reinterpret_cast<const uint8_t*>(values.data()),
           values.size() * sizeof(T)}};
}

class TernaryFolderTest : public ::testing::Test {
 protected:
  const std::string root_ = ::testing::TempDir() + "ternary_folder_test";
  const std::string plain_ = root_ + "/plain";
  const std::string ternary_ = root_ + "/ternary";

  TernaryFolderTest() { fs::create_directories(root_); }
  ~TernaryFolderTest() override { fs::remove_all(root_); }

  // A file with one ternary matrix, as someone may have written it.
  std::unique_ptr<Safetensors> FileWith(const std::vector<uint8_t>& codes,
                                        std::vector<int64_t> shape,
                                        const std::vector<float>& scales) {
    const std::string path = root_ + "/one.safetensors";
    EXPECT_TRUE(WriteSafetensors(
                    path,
                    {{"w", ViewOf(DType::kU8, std::move(shape), codes)},
                     {"w_scale",
                      ViewOf(DType::kF32, {static_cast<int64_t>(scales.size())},
                             scales)}},
                    {})
                    .ok());
    return *Safetensors::Open(path);
  }

  std::unique_ptr<Safetensors> Open(const std::string& folder) {
    return *Safetensors::Open(folder + "/model.safetensors");
  }
};

TEST_F(TernaryFolderTest, LowestBitsComeFirst) {
  const std::vector<int8_t> t = {-1, 0, 1, 0, 1,    // row 0
                                 1,  1, 1, 1, -1};  // row 1
  // Codes 0 1 2 1 | 2 1 1 1 and 2 2 2 2 | 0 1 1 1; the filling is code 1.
  EXPECT_THAT(EncodeTernary(t, 2, 5),
              ElementsAre(0b01100100, 0b01010110, 0b10101010, 0b01010100));
}

TEST_F(TernaryFolderTest, DecodingUndoesEncodingAtEveryWidth) {
  for (int k = 1; k <= 70; ++k) {
    std::vector<int8_t> t(3 * k);
    for (size_t i = 0; i < t.size(); ++i) t[i] = (i * i + k) % 3 - 1;
    const std::vector<uint8_t> codes = EncodeTernary(t, 3, k);
    std::vector<int8_t> back(t.size());
    for (int row = 0; row < 3; ++row) {
      DecodeTernary(codes.data() + row * TernaryRowBytes(k), k,
                    back.data() + row * k);
    }
    EXPECT_EQ(back, t) << k;
  }
}

TEST_F(TernaryFolderTest, ReadsAMatrixWithoutCopyingItsCodes) {
  const auto file =
      FileWith(EncodeTernary({-1, 0, 1, 1, 0, -1}, 2, 3), {2, 1}, {0.5f});
  const TernaryMatrix w = ReadTernaryMatrix(*file, "w", 2, 3).value();
  EXPECT_EQ(w.n, 2);
  EXPECT_EQ(w.k, 3);
  EXPECT_EQ(w.scale, 0.5f);
  EXPECT_EQ(w.codes, file->tensors().at("w").bytes.data());
  EXPECT_THAT(ReadTernaryAsFloats(*file, "w", 2, 3).value(),
              ElementsAre(-0.5f, 0, 0.5f, 0.5f, 0, -0.5f));
}

TEST_F(TernaryFolderTest, NamesThePlaceOfAnInvalidCode) {
  std::vector<uint8_t> codes = EncodeTernary(std::vector<int8_t>(24), 3, 8);
  // Bytes of row 1 begin at 2. Its codes 6 and 7 are bad; the first is named.
  codes[3] |= 0b11110000;
  const auto file = FileWith(codes, {3, 2}, {1.0f});
  const absl::Status status = ReadTernaryMatrix(*file, "w", 3, 8).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'w': expected a code of 0, 1 or 2 at [1, 6], "
                        "found 3"));
}

TEST_F(TernaryFolderTest, FindsAnInvalidCodeAtEveryPlace) {
  constexpr int kWidth = 9;
  for (int p = 0; p < 2 * kWidth; ++p) {
    std::vector<uint8_t> codes =
        EncodeTernary(std::vector<int8_t>(2 * kWidth), 2, kWidth);
    codes[p / kWidth * 3 + p % kWidth / 4] |= 0b11 << (2 * (p % kWidth % 4));
    const auto file = FileWith(codes, {2, 3}, {1.0f});
    EXPECT_THAT(
        std::string(
            ReadTernaryMatrix(*file, "w", 2, kWidth).status().message()),
        HasSubstr(absl::StrCat("[", p / kWidth, ", ", p % kWidth, "]")));
  }
}

TEST_F(TernaryFolderTest, RefusesAFillingThatIsNotZero) {
  std::vector<uint8_t> codes = EncodeTernary({1, 1, 1}, 1, 3);
  codes[0] ^= 0b01 << 6;
  const auto file = FileWith(codes, {1, 1}, {1.0f});
  EXPECT_THAT(
      std::string(ReadTernaryMatrix(*file, "w", 1, 3).status().message()),
      HasSubstr("expected code 1 after the row's end at [0, 3], found 0"));
}

TEST_F(TernaryFolderTest, RefusesBadScalesAndShapes) {
  const std::vector<uint8_t> codes = EncodeTernary({1, 1, 1, 1}, 2, 2);
  const auto negative = FileWith(codes, {2, 1}, {-1.0f});
  EXPECT_THAT(
      std::string(ReadTernaryMatrix(*negative, "w", 2, 2).status().message()),
      HasSubstr("tensor 'w_scale': expected a scale of at least 0 at index 0"));
  const auto two = FileWith(codes, {2, 1}, {1.0f, 2.0f});
  EXPECT_THAT(
      std::string(ReadTernaryMatrix(*two, "w", 2, 2).status().message()),
      HasSubstr("tensor 'w_scale': expected [1], file has [2]"));
  EXPECT_THAT(
      std::string(ReadTernaryMatrix(*two, "w", 2, 8).status().message()),
      HasSubstr("tensor 'w': expected [2, 2], file has [2, 1]"));
  EXPECT_THAT(ReadTernaryRows(*two, "w", 2, 2)->scales, ElementsAre(1, 2));
}

TEST_F(TernaryFolderTest, WhatIsTernaryIsSaidByName) {
  EXPECT_EQ(StorageOf(kWords), Storage::kTernaryPerRow);
  EXPECT_EQ(StorageOf(kPooler), Storage::kTernaryPerMatrix);
  for (const char* linear :
       {"attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "intermediate.dense", "output.dense"}) {
    const std::string name = absl::StrCat("bert.encoder.layer.3.", linear);
    EXPECT_EQ(StorageOf(name + ".weight"), Storage::kTernaryPerMatrix);
    EXPECT_EQ(StorageOf(name + ".bias"), Storage::kFloat);
  }
  for (const char* name :
       {"bert.encoder.layer.0.output.LayerNorm.weight",
        "bert.embeddings.token_type_embeddings.weight",
        "bert.embeddings.LayerNorm.weight", "classifier.weight",
        "qa_outputs.weight", "bert.pooler.dense.bias"}) {
    EXPECT_EQ(StorageOf(name), Storage::kFloat) << name;
  }
}

TEST_F(TernaryFolderTest, TheSamePartsOfADistilBertAreTernary) {
  EXPECT_EQ(StorageOf("distilbert.embeddings.word_embeddings.weight"),
            Storage::kTernaryPerRow);
  EXPECT_EQ(StorageOf("pre_classifier.weight"), Storage::kTernaryPerMatrix);
  for (const char* linear :
       {"attention.q_lin", "attention.k_lin", "attention.v_lin",
        "attention.out_lin", "ffn.lin1", "ffn.lin2"}) {
    const std::string name =
        absl::StrCat("distilbert.transformer.layer.3.", linear);
    EXPECT_EQ(StorageOf(name + ".weight"), Storage::kTernaryPerMatrix) << name;
    EXPECT_EQ(StorageOf(name + ".bias"), Storage::kFloat) << name;
  }
  for (const char* name :
       {"distilbert.transformer.layer.0.sa_layer_norm.weight",
        "distilbert.transformer.layer.0.output_layer_norm.weight",
        "distilbert.embeddings.LayerNorm.weight", "classifier.weight",
        "qa_outputs.weight", "pre_classifier.bias"}) {
    EXPECT_EQ(StorageOf(name), Storage::kFloat) << name;
  }
}

TEST_F(TernaryFolderTest, PositionEmbeddingsAreHalfAsWide) {
  for (const char* family : {"bert", "distilbert", "mobilebert"}) {
    EXPECT_EQ(StorageOf(absl::StrCat(family,
                                     ".embeddings.position_embeddings.weight")),
              Storage::kHalf);
  }
}

TEST_F(TernaryFolderTest, EveryLinearOfAMobileBertIsTernary) {
  EXPECT_EQ(StorageOf("mobilebert.embeddings.word_embeddings.weight"),
            Storage::kTernaryPerRow);
  for (const char* linear :
       {"mobilebert.embeddings.embedding_transformation",
        "mobilebert.encoder.layer.3.bottleneck.input.dense",
        "mobilebert.encoder.layer.3.bottleneck.attention.dense",
        "mobilebert.encoder.layer.3.attention.self.query",
        "mobilebert.encoder.layer.3.ffn.2.output.dense",
        "mobilebert.encoder.layer.3.output.bottleneck.dense",
        "mobilebert.pooler.dense"}) {
    EXPECT_EQ(StorageOf(absl::StrCat(linear, ".weight")),
              Storage::kTernaryPerMatrix)
        << linear;
  }
  for (const char* name :
       {"mobilebert.encoder.layer.0.bottleneck.input.LayerNorm.weight",
        "mobilebert.encoder.layer.0.output.bottleneck.LayerNorm.weight",
        "mobilebert.embeddings.LayerNorm.weight",
        "mobilebert.embeddings.embedding_transformation.bias"}) {
    EXPECT_EQ(StorageOf(name), Storage::kFloat) << name;
  }
}

TEST_F(TernaryFolderTest, TernarizesEveryMatrixByTwn) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  ASSERT_TRUE(TernarizeFolder(plain_, ternary_).ok());
  const ModelFolder from = OpenFolder(plain_).value();
  const ModelFolder to = OpenFolder(ternary_).value();
  EXPECT_TRUE(to.config.ternary);
  EXPECT_EQ(to.config.labels, from.config.labels);

  int ternary = 0;
  for (const ExpectedTensor& tensor : from.tensors) {
    const std::vector<float> w = ReadAsFloats(from, tensor).value();
    const std::vector<float> found = ReadAsFloats(to, tensor).value();
    if (tensor.storage == Storage::kHalf) {
      for (size_t i = 0; i < w.size(); ++i) {
        ASSERT_EQ(found[i], HalfToFloat(FloatToHalf(w[i]))) << tensor.name;
      }
      continue;
    }
    if (!tensor.ternary()) {
      EXPECT_EQ(found, w) << tensor.name;
      continue;
    }
    ++ternary;
    const size_t groups = tensor.name == kWords ? tensor.shape[0] : 1;
    const size_t size = w.size() / groups;
    for (size_t g = 0; g < groups; ++g) {
      std::vector<int8_t> t(size);
      const float scale = TernarizeTwn(w.data() + g * size, size, t.data());
      for (size_t i = 0; i < size; ++i) {
        ASSERT_EQ(found[g * size + i], scale * t[i]) << tensor.name;
      }
    }
  }
  EXPECT_EQ(ternary, 1 + 2 * 6 + 1);  // words, two layers, pooler
}

TEST_F(TernaryFolderTest, TernaryFolderHoldsTwoBitsAWeightAndChecksums) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  ASSERT_TRUE(TernarizeFolder(plain_, ternary_).ok());
  const auto file = Open(ternary_);
  const Tensor& codes = file->tensors().at(kPooler);
  EXPECT_EQ(codes.dtype, DType::kU8);
  EXPECT_THAT(codes.shape, ElementsAre(64, 16));
  EXPECT_THAT(file->tensors().at(ScaleName(kPooler)).shape, ElementsAre(1));
  EXPECT_THAT(file->tensors().at(ScaleName(kWords)).shape,
              ElementsAre(static_cast<int64_t>(TinyVocabulary().size())));
  EXPECT_TRUE(file->VerifyChecksums().ok());
  EXPECT_TRUE(fs::exists(ternary_ + "/vocab.txt"));
  EXPECT_TRUE(fs::exists(ternary_ + "/tokenizer_config.json"));
}

TEST_F(TernaryFolderTest, ReportsErrorsAndZeros) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  std::vector<TernarizedTensor> report;
  int last_done = -1;
  ASSERT_TRUE(TernarizeFolder(
                  plain_, ternary_,
                  [&](int done, int total) {
                    EXPECT_EQ(done, last_done + 1);
                    EXPECT_EQ(total, 41);
                    last_done = done;
                  },
                  &report)
                  .ok());
  EXPECT_EQ(last_done, 41);
  ASSERT_EQ(report.size(), 14u);
  for (const TernarizedTensor& tensor : report) {
    // Uniform weights: |w| is uniform on [0, a], so 0.35 of them fall below
    // delta = 0.35 a; scale = 0.675 a; the squared error is a^2 (0.35^3 / 3 +
    // 0.65^3 / 12) of a^2 / 3, 0.1115 of it.
    EXPECT_NEAR(1.0 * tensor.zeros / tensor.weights, 0.35, 0.03) << tensor.name;
    EXPECT_NEAR(tensor.squared_error / tensor.squared_norm, 0.1115, 0.02)
        << tensor.name;
  }
}

TEST_F(TernaryFolderTest, TernarizesOnlyOnce) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  ASSERT_TRUE(TernarizeFolder(plain_, ternary_).ok());
  const absl::Status status = TernarizeFolder(ternary_, root_ + "/again");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_FALSE(fs::exists(root_ + "/again"));
}

TEST_F(TernaryFolderTest, NeverOverwritesAFolder) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  const absl::Status status = TernarizeFolder(plain_, plain_);
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_FALSE(OpenFolder(plain_)->config.ternary);

  fs::create_directories(ternary_);  // empty
  EXPECT_TRUE(TernarizeFolder(plain_, ternary_ + "/").ok());
  EXPECT_TRUE(OpenFolder(ternary_)->config.ternary);
}

TEST_F(TernaryFolderTest, FailureLeavesNothingBehind) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  fs::remove(plain_ + "/vocab.txt");
  const absl::Status status = TernarizeFolder(plain_, ternary_);
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  int entries = 0;
  for (const auto& entry : fs::directory_iterator(root_)) {
    EXPECT_EQ(entry.path().filename(), "plain");
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

TEST_F(TernaryFolderTest, ConvertsBackToFloats) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  ASSERT_TRUE(TernarizeFolder(plain_, ternary_).ok());
  const std::string floats = root_ + "/floats";
  ASSERT_TRUE(ConvertFolder(ternary_, floats, DType::kF32).ok());
  const ModelFolder from = OpenFolder(ternary_).value();
  const ModelFolder to = OpenFolder(floats).value();
  EXPECT_FALSE(to.config.ternary);
  EXPECT_EQ(to.file->tensors().size(), from.tensors.size());
  for (const ExpectedTensor& tensor : from.tensors) {
    EXPECT_EQ(ReadAsFloats(to, tensor).value(),
              ReadAsFloats(from, tensor).value());
  }
}

TEST_F(TernaryFolderTest, ConvertsToHalves) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  const ModelFolder from = OpenFolder(plain_).value();
  // Largest relative rounding error: half a unit of 11 and of 8 bits. Weights
  // below F16's normal range are rounded to multiples of 2^-24.
  const std::pair<DType, float> cases[] = {{DType::kF16, 0x1p-11f},
                                           {DType::kBF16, 0x1p-8f}};
  for (const auto& [dtype, error] : cases) {
    const std::string halves = absl::StrCat(root_, "/", DTypeName(dtype));
    ASSERT_TRUE(ConvertFolder(plain_, halves, dtype).ok());
    const ModelFolder to = OpenFolder(halves).value();
    for (const ExpectedTensor& tensor : from.tensors) {
      EXPECT_EQ(to.file->tensors().at(tensor.name).dtype, dtype);
      const std::vector<float> w = ReadAsFloats(from, tensor).value();
      const std::vector<float> found = ReadAsFloats(to, tensor).value();
      for (size_t i = 0; i < w.size(); ++i) {
        ASSERT_NEAR(found[i], w[i], error * std::fabs(w[i]) + 0x1p-25f);
      }
    }
  }
}

TEST_F(TernaryFolderTest, RefusesFloatsTooLargeForHalves) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  const auto file = Open(plain_);
  std::map<std::string, Tensor> tensors = file->tensors();
  const std::vector<float> bias = {0, 70000, 0};
  tensors["classifier.bias"] = ViewOf(DType::kF32, {3}, bias);
  ASSERT_TRUE(
      WriteSafetensors(plain_ + "/model.safetensors", tensors, {}).ok());
  const absl::Status status =
      ConvertFolder(plain_, root_ + "/half", DType::kF16);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'classifier.bias': 70000 at index 1 is too "
                        "large for F16"));
}

TEST_F(TernaryFolderTest, ReadsTheNamesOf2019) {
  const std::string goldens =
      absl::StrCat(TERN_SOURCE_DIR, "/tests/model/goldens/");
  const absl::Status status =
      TernarizeFolder(goldens + "question-answering-old-names", ternary_);
  ASSERT_TRUE(status.ok()) << status;
  const auto file = Open(ternary_);
  EXPECT_TRUE(file->Has("bert.embeddings.LayerNorm.weight"));
  EXPECT_TRUE(file->Has("bert.encoder.layer.1.output.LayerNorm.bias"));
  EXPECT_FALSE(file->Has("bert.pooler.dense.weight"));
  EXPECT_FALSE(file->Has("embeddings.position_ids"));
}

TEST_F(TernaryFolderTest, VerifyNamesWhatDoesNotFitTheConfig) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  EXPECT_EQ(VerifyFolder(plain_)->tensors, 41);
  EXPECT_TRUE(VerifyFolder(plain_)->has_checksums);

  std::ofstream(plain_ + "/vocab.txt", std::ios::app) << "one\ntoo many\n";
  EXPECT_THAT(std::string(VerifyFolder(plain_).status().message()),
              HasSubstr("vocab.txt: expected 1 to 196 tokens"));

  TinyModelOptions wide;
  wide.intermediate_size = 96;
  ASSERT_TRUE(WriteTinyModel(root_ + "/wide", wide).ok());
  fs::copy_file(root_ + "/wide/config.json", plain_ + "/config.json",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(
      std::string(VerifyFolder(plain_).status().message()),
      HasSubstr("tensor 'bert.encoder.layer.0.intermediate.dense.weight': "
                "expected [96, 64], file has [128, 64]"));
}

TEST_F(TernaryFolderTest, VerifyWantsChecksumsOfTernaryFolders) {
  ASSERT_TRUE(WriteTinyModel(plain_).ok());
  ASSERT_TRUE(TernarizeFolder(plain_, ternary_).ok());
  EXPECT_TRUE(VerifyFolder(ternary_).ok());
  const std::string path = ternary_ + "/model.safetensors";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(0, std::ios::end);
  const int64_t last = static_cast<int64_t>(file.tellg()) - 1;
  file.seekg(last);
  const char byte = file.get();
  file.seekp(last);
  // Another valid code in the last byte: only the checksum can tell.
  file.put((byte & 3) == 1 ? byte ^ 1 : (byte & ~3) | 1);
  file.close();
  const absl::Status status = VerifyFolder(ternary_).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

}  // namespace
}  // namespace tern
