#include "model/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/half.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SafetensorsTest : public ::testing::Test {
 protected:
  const std::string path_ = ::testing::TempDir() + "safetensors_test";

  ~SafetensorsTest() override { std::filesystem::remove(path_); }

  void WriteBytes(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }

  // A file with this header, whatever it says, and this data.
  absl::Status OpenWith(const std::string& header, const std::string& data) {
    const uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    WriteBytes(bytes + header + data);
    return Safetensors::Open(path_).status();
  }

  // Opens a file with tensor "w" of these raw bytes.
  std::unique_ptr<Safetensors> OpenTensor(const std::string& dtype,
                                          int64_t size,
                                          const std::string& bytes) {
    const absl::Status opened = OpenWith(
        absl::StrCat(R"({"w":{"dtype":")", dtype, R"(","shape":[)", size,
                     R"(],"data_offsets":[0,)", bytes.size(), "]}}"),
        bytes);
    EXPECT_TRUE(opened.ok()) << opened;
    return *Safetensors::Open(path_);
  }
};

std::string Entry(const std::string& name, int begin, int end) {
  return absl::StrCat("\"", name, R"(":{"dtype":"U8","shape":[)", end - begin,
                      R"(],"data_offsets":[)", begin, ",", end, "]}");
}

std::string Header(std::vector<std::string> entries) {
  return absl::StrCat("{", absl::StrJoin(entries, ","), "}");
}

template <typename T>
std::string Raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <typename T>
Tensor ViewOf(DType dtype, std::vector<int64_t> shape,
              const std::vector<T>& values) {
  return {dtype,
          std::move(shape),
          {reinterpret_cast<const uint8_t*>(values.data()),
           values.size() * sizeof(T)}};
}

TEST_F(SafetensorsTest, ReadsWhatItWrote) {
  const std::vector<float> floats = {1.5f, -2.0f, 0.0f, 3.25f, 4.0f, -0.5f};
  const std::vector<uint8_t> codes = {1, 2, 255};
  ASSERT_TRUE(WriteSafetensors(path_,
                               {{"a.codes", ViewOf(DType::kU8, {3, 1}, codes)},
                                {"b", ViewOf(DType::kF32, {2, 3}, floats)}},
                               {{"format", "pt"}})
                  .ok());

  const auto file = Safetensors::Open(path_);

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->metadata().at("format"), "pt");
  EXPECT_EQ((*file)->tensors().size(), 2u);
  EXPECT_EQ((*file)->ReadFloats("b", {2, 3}).value(), floats);
  EXPECT_THAT((*file)->ReadBytes("a.codes", {3, 1}).value(),
              ElementsAre(1, 2, 255));
  EXPECT_EQ((*file)->file_bytes(),
            static_cast<int64_t>(std::filesystem::file_size(path_)));
  EXPECT_TRUE((*file)->VerifyChecksums().ok());
}

TEST_F(SafetensorsTest, WritesEveryTensorAligned) {
  const std::vector<uint8_t> odd = {1, 2, 3};
  const std::vector<float> floats = {1, 2};
  ASSERT_TRUE(WriteSafetensors(path_,
                               {{"a", ViewOf(DType::kU8, {3}, odd)},
                                {"b", ViewOf(DType::kF32, {2}, floats)}},
                               {})
                  .ok());
  const auto file = Safetensors::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  const uint8_t* b = (*file)->tensors().at("b").bytes.data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % alignof(float), 0u);
}

TEST_F(SafetensorsTest, FailedWriteLeavesTheOldFile) {
  std::filesystem::create_directory(path_);  // which rename cannot replace
  const absl::Status status = WriteSafetensors(path_, {}, {});
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(std::filesystem::is_directory(path_));
  const std::string name = std::filesystem::path(path_).filename();
  for (const auto& entry :
       std::filesystem::directory_iterator(::testing::TempDir())) {
    const std::string found = entry.path().filename();
    EXPECT_FALSE(found != name && found.starts_with(name)) << found;
  }
}

TEST_F(SafetensorsTest, WidensHalvesExactly) {
  // 1, -2, the smallest subnormal, the largest half.
  const auto file =
      OpenTensor("F16", 4, Raw<uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff}));
  EXPECT_THAT(file->ReadFloats("w", {4}).value(),
              ElementsAre(1.0f, -2.0f, 0x1p-24f, 65504.0f));
}

TEST_F(SafetensorsTest, WidensBFloat16Exactly) {
  const auto file =
      OpenTensor("BF16", 3, Raw<uint16_t>({0x3f80, 0xc000, 0x0001}));
  EXPECT_THAT(file->ReadFloats("w", {3}).value(),
              ElementsAre(1.0f, -2.0f, 0x1p-133f));
}

TEST_F(SafetensorsTest, NamesTheIndexOfANaN) {
  const auto file = OpenTensor(
      "F32", 3, Raw<float>({0, 1, std::numeric_limits<float>::quiet_NaN()}));
  const absl::Status status = file->ReadFloats("w", {3}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'w': expected finite numbers, found nan at "
                        "index 2"));
}

TEST_F(SafetensorsTest, NamesTheIndexOfAnInfinityInHalves) {
  const auto file = OpenTensor("F16", 2, Raw<uint16_t>({0xfc00, 0}));
  EXPECT_THAT(std::string(file->ReadFloats("w", {2}).status().message()),
              HasSubstr("found -inf at index 0"));
}

TEST_F(SafetensorsTest, SaysWhichShapeItExpected) {
  const auto file = OpenTensor("F32", 2, Raw<float>({1, 2}));
  const absl::Status status = file->ReadFloats("w", {2, 3}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'w': expected [2, 3], file has [2]"));
}

TEST_F(SafetensorsTest, SaysWhichTypeItExpected) {
  const auto file = OpenTensor("I64", 1, Raw<int64_t>({1}));
  EXPECT_THAT(std::string(file->ReadFloats("w", {1}).status().message()),
              HasSubstr("expected F32, F16 or BF16, file has I64"));
  EXPECT_THAT(std::string(file->ReadBytes("w", {1}).status().message()),
              HasSubstr("expected U8, file has I64"));
}

TEST_F(SafetensorsTest, NamesAMissingTensor) {
  const auto file = OpenTensor("F32", 0, "");
  const absl::Status status = file->ReadFloats("v", {1}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("tensor 'v'"));
}

TEST_F(SafetensorsTest, MissingFileIsNotFound) {
  const absl::Status status = Safetensors::Open(path_).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST_F(SafetensorsTest, RefusesAFifoWithoutWaitingForItsWriter) {
  const std::string path = path_ + ".fifo";
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const absl::Status status = Safetensors::Open(path).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("expected a regular file"));
}

// As large as a disk, but nothing is in it.
TEST_F(SafetensorsTest, RefusesAHugeFileByItsHeader) {
  std::ofstream(path_, std::ios::binary).close();
  std::filesystem::resize_file(path_, uintmax_t{1} << 36);
  const absl::Status status = Safetensors::Open(path_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("header"));
}

TEST_F(SafetensorsTest, RefusesAFolder) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      Safetensors::Open(::testing::TempDir()).status()));
}

TEST_F(SafetensorsTest, TakesEmptyTensorsAndScalars) {
  const absl::Status opened =
      OpenWith(R"({"none":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
               R"("one":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
               Raw<float>({7}));
  ASSERT_TRUE(opened.ok()) << opened;
  const auto file = *Safetensors::Open(path_);
  EXPECT_THAT(file->ReadFloats("none", {0, 5}).value(), ElementsAre());
  EXPECT_THAT(file->ReadFloats("one", {}).value(), ElementsAre(7.0f));
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  const std::vector<float> floats = {1, 2, 3};
  ASSERT_TRUE(
      WriteSafetensors(path_, {{"w", ViewOf(DType::kF32, {3}, floats)}}, {})
          .ok());
  const int64_t whole = std::filesystem::file_size(path_);
  for (int64_t size = whole - 1; size >= 0; --size) {
    std::filesystem::resize_file(path_, size);
    const absl::Status status = Safetensors::Open(path_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << size << ": " << status;
    EXPECT_THAT(std::string(status.message()), StartsWith(path_));
  }
}

TEST_F(SafetensorsTest, AnOpenFileSurvivesItsTruncation) {
  const std::vector<float> floats(10000, 1.5f);
  ASSERT_TRUE(
      WriteSafetensors(path_, {{"w", ViewOf(DType::kF32, {10000}, floats)}}, {})
          .ok());
  const auto file = *Safetensors::Open(path_);

  std::filesystem::resize_file(path_, 0);

  EXPECT_EQ(file->ReadFloats("w", {10000}).value(), floats);
  EXPECT_TRUE(file->VerifyChecksums().ok());
}

TEST_F(SafetensorsTest, FlippedHeaderBytesNeverCrashIt) {
  const std::vector<float> floats = {1, 2, 3};
  ASSERT_TRUE(
      WriteSafetensors(path_, {{"w", ViewOf(DType::kF32, {3}, floats)}}, {})
          .ok());
  std::ifstream in(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  int refused = 0;
  for (size_t i = 0; i < whole.size() - sizeof(float) * floats.size(); ++i) {
    for (const int flip : {0x01, 0x08, 0x20, 0x80}) {
      std::string changed = whole;
      changed[i] ^= flip;
      WriteBytes(changed);
      const auto file = Safetensors::Open(path_);
      refused += !file.ok() || !(*file)->VerifyChecksums().ok();
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_F(SafetensorsTest, RefusesAHeaderPastTheEnd) {
  WriteBytes(Raw<uint64_t>({1000}) + "{}");
  EXPECT_THAT(std::string(Safetensors::Open(path_).status().message()),
              HasSubstr("truncated: the header has 1000 bytes"));
}

TEST_F(SafetensorsTest, RefusesAHugeHeader) {
  for (const uint64_t length :
       {uint64_t{100000001}, std::numeric_limits<uint64_t>::max()}) {
    WriteBytes(Raw<uint64_t>({length}) + "{}");
    EXPECT_THAT(std::string(Safetensors::Open(path_).status().message()),
                HasSubstr("expected a header of at most 100000000 bytes"));
  }
}

TEST_F(SafetensorsTest, RefusesOverlapsGapsAndTrailingBytes) {
  EXPECT_THAT(std::string(OpenWith(Header({Entry("a", 0, 4), Entry("b", 2, 6)}),
                                   "123456")
                              .message()),
              HasSubstr("tensor 'b': expected to begin at byte 4 of the data, "
                        "begins at 2 (overlap)"));
  EXPECT_THAT(std::string(OpenWith(Header({Entry("a", 0, 2), Entry("b", 4, 6)}),
                                   "123456")
                              .message()),
              HasSubstr("begins at 4 (gap)"));
  EXPECT_THAT(
      std::string(OpenWith(Header({Entry("a", 0, 2)}), "123").message()),
      HasSubstr("expected 2 bytes of data, the file has 3"));
  EXPECT_THAT(
      std::string(OpenWith(Header({Entry("a", 0, 4)}), "123").message()),
      HasSubstr("truncated: tensor 'a' ends at byte 4"));
}

struct BadHeader {
  std::string header;
  std::string problem;
};

const BadHeader kBadHeaders[] = {
    {"", "not valid JSON"},
    {"{", "not valid JSON"},
    {"{}{}", "not valid JSON"},
    {"{\"a\xff\":1}", "not valid JSON"},
    {"[1]", "expected a JSON object, found array"},
    {std::string(100000, '['), "more than 16 levels"},
    {Header({Entry("a", 0, 8), Entry("a", 0, 8)}), "key 'a' stands twice"},
    {R"({"a":1})", "an object of dtype, shape and data_offsets"},
    {R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,8]}})",
     "expected a dtype of F32"},
    {R"({"a":{"dtype":7,"shape":[8],"data_offsets":[0,8]}})",
     "expected a dtype of F32"},
    {R"({"a":{"dtype":"U8","shape":8,"data_offsets":[0,8]}})",
     "a shape that is a list"},
    {R"({"a":{"dtype":"U8","shape":[-8],"data_offsets":[0,8]}})",
     "a shape of non-negative integers"},
    {R"({"a":{"dtype":"U8","shape":[8.0],"data_offsets":[0,8]}})",
     "a shape of non-negative integers"},
    // 2^32 * 2^32 would wrap around to 0.
    {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],)"
     R"("data_offsets":[0,0]}})",
     "a shape of non-negative integers below 2^63 bytes"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904],)"
     R"("data_offsets":[0,0]}})",
     "a shape of non-negative integers below 2^63 bytes"},
    // A zero must not hide an extent that no int64 holds.
    {R"({"a":{"dtype":"U8","shape":[0,18446744073709551615],)"
     R"("data_offsets":[0,0]}})",
     "a shape of non-negative integers"},
    {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[-8,0]}})",
     "data_offsets of two non-negative integers"},
    {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0]}})",
     "data_offsets of two non-negative integers"},
    {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}})",
     "data_offsets that span 8 bytes"},
    {R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,8]}})",
     "data_offsets that span 32 bytes"},
    {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":)"
     R"([18446744073709551608,18446744073709551615]}})",
     "data_offsets that span 8 bytes"},
    {R"({"__metadata__":[]})", "__metadata__"},
    {R"({"__metadata__":{"a":1}})", "expected a string for 'a'"}};

TEST_F(SafetensorsTest, RefusesBadHeadersWithTheirProblem) {
  for (const BadHeader& bad : kBadHeaders) {
    const absl::Status status = OpenWith(bad.header, std::string(8, '\0'));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.problem));
  }
}

TEST_F(SafetensorsTest, ChecksumNamesTheChangedTensor) {
  const std::vector<float> floats = {1, 2};
  const std::vector<uint8_t> codes = {1, 2, 3};
  ASSERT_TRUE(WriteSafetensors(path_,
                               {{"a", ViewOf(DType::kF32, {2}, floats)},
                                {"z", ViewOf(DType::kU8, {3}, codes)}},
                               {})
                  .ok());
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put(4);
  file.close();

  const absl::Status status = (*Safetensors::Open(path_))->VerifyChecksums();

  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'z': expected SHA-256 "));
}

TEST_F(SafetensorsTest, ChecksumIsTheSha256OfTheBytes) {
  const std::vector<uint8_t> abc = {'a', 'b', 'c'};
  ASSERT_TRUE(
      WriteSafetensors(path_, {{"w", ViewOf(DType::kU8, {3}, abc)}}, {}).ok());
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ((*Safetensors::Open(path_))->metadata().at("sha256:w"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(SafetensorsTest, SaysWhereChecksumsAreMissing) {
  const auto without = OpenTensor("U8", 1, "x");
  EXPECT_TRUE(absl::IsNotFound(without->VerifyChecksums()));

  ASSERT_TRUE(OpenWith(Header({Entry("w", 0, 1),
                               R"("__metadata__":{"sha256:v":"00"})"}),
                       "x")
                  .ok());
  const absl::Status other = (*Safetensors::Open(path_))->VerifyChecksums();
  EXPECT_TRUE(absl::IsDataLoss(other)) << other;
}

TEST(HalfTest, EveryHalfSurvivesBothWays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = HalfToFloat(bits);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(value)))) << bits;
    } else {
      EXPECT_EQ(FloatToHalf(value), bits);
    }
  }
}

TEST(HalfTest, RoundsToNearestTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = HalfToFloat(bits), high = HalfToFloat(bits + 1);
    const float middle = low + (high - low) / 2;  // exact in a float
    EXPECT_EQ(FloatToHalf(middle), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, low)), bits);
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, high)), bits + 1);
  }
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
}

TEST(HalfTest, BFloat16RoundsToNearestTiesToEven) {
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f808000)), 0x3f80);
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f808001)), 0x3f81);
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f818000)), 0x3f82);
  EXPECT_TRUE(std::isnan(
      BFloat16ToFloat(FloatToBFloat16(std::bit_cast<float>(0x7f800001)))));
}

}  // namespace
}  // namespace tern
