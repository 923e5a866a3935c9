#include "server/wire_message.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/arena.h"
#include "gtest/gtest.h"
#include "tern/v1/inference_service.pb.h"

namespace tern {
namespace {

// Says that it has so many bytes, which would take as much memory.
class LongMessage final : public google::protobuf::Message {
 public:
  explicit LongMessage(size_t bytes) : bytes_(bytes) {}

  size_t ByteSizeLong() const override { return bytes_; }
  int GetCachedSize() const override { return static_cast<int>(bytes_); }
  Message* New(google::protobuf::Arena*) const override { return nullptr; }
  google::protobuf::Metadata GetMetadata() const override {
    return v1::EmbedResponse::default_instance().GetMetadata();
  }

 private:
  const size_t bytes_;
};

TEST(WireMessageTest, BytesGiveTheMessageTheyAreOf) {
  v1::EmbedResponse message;
  message.set_model(std::string(1 << 20, 'm'));
  grpc::ByteBuffer bytes;
  v1::EmbedResponse parsed;

  ASSERT_EQ(SerializeMessage(message, bytes), absl::OkStatus());
  ASSERT_EQ(ParseMessage(bytes, parsed), absl::OkStatus());

  EXPECT_EQ(parsed.model(), message.model());
}

// 64 bytes in memory for each two.
TEST(WireMessageTest, UnknownFieldsAreNotKept) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text.append("\x7a\0", 2);  // empty, field 15
  const grpc::Slice slice(text);
  v1::ClassifyRequest parsed;

  ASSERT_EQ(ParseMessage(grpc::ByteBuffer(&slice, 1), parsed),
            absl::OkStatus());

  EXPECT_LT(parsed.SpaceUsedLong(), 10000u);
}

TEST(WireMessageTest, AMessageTooLongForGrpcIsAnErrorNotAnEmptyOne) {
  // The second is 4 bytes by gRPC's count.
  for (const size_t length : {size_t{1} << 31, (size_t{1} << 32) + 4}) {
    grpc::ByteBuffer bytes;

    const absl::Status status = SerializeMessage(LongMessage(length), bytes);

    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(status.message(),
              absl::StrCat("tern.v1.EmbedResponse: expected at most 2147482624 "
                           "bytes, found ",
                           length));
  }
}

}  // namespace
}  // namespace tern
