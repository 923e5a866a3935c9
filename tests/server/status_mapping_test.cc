#include "server/status_mapping.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

TEST(StatusMappingTest, CodesAndMessagesStay) {
  const grpc::Status status =
      ToGrpcStatus(absl::NotFoundError("no model 'x' is served"));

  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no model 'x' is served");
  EXPECT_TRUE(status.error_details().empty());
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

// Clients refuse trailers of more than 8 KiB, by another code.
TEST(StatusMappingTest, ALongMessageIsCutBetweenCharacters) {
  const std::string message =
      std::string(1023, 'a') + "\u00e9" + std::string(9000, 'b');
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError(message)).error_message(),
            std::string(1023, 'a') + "...");
}

TEST(StatusMappingTest, AFullQueueSaysWhenToRetryAndWhy) {
  const grpc::Status status =
      ToGrpcStatus(QueueFullError("full", absl::Milliseconds(2500)));

  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(details.message(), "full");
  google::rpc::RetryInfo retry;
  google::rpc::ErrorInfo error;
  for (const auto& detail : details.details()) {
    detail.UnpackTo(&retry);
    detail.UnpackTo(&error);
  }
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 500000000);
  EXPECT_EQ(error.reason(), "QUEUE_FULL");
}

TEST(StatusMappingTest, AnExceededQuotaIsToldFromAFullQueue) {
  const absl::Status exceeded =
      QuotaExceededError("too much", absl::Milliseconds(20));

  EXPECT_EQ(exceeded.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryDelay(exceeded), absl::Milliseconds(20));
  EXPECT_TRUE(IsQuotaExceeded(Annotate(exceeded, "x")));
  EXPECT_FALSE(IsQuotaExceeded(QueueFullError("full", absl::Seconds(1))));
  EXPECT_FALSE(IsQuotaExceeded(absl::ResourceExhaustedError("x")));
}

TEST(StatusMappingTest, RetryDelayOfOtherErrorsIsNone) {
  EXPECT_EQ(RetryDelay(QueueFullError("full", absl::Milliseconds(20))),
            absl::Milliseconds(20));
  EXPECT_FALSE(RetryDelay(absl::ResourceExhaustedError("x")).has_value());
}

TEST(StatusMappingTest, AnnotateKeepsCodeAndDetails) {
  const absl::Status status =
      Annotate(QueueFullError("full", absl::Seconds(1)), "model 'x'");

  EXPECT_EQ(status.message(), "model 'x': full");
  EXPECT_TRUE(RetryDelay(status).has_value());
  EXPECT_EQ(Annotate(absl::OkStatus(), "x"), absl::OkStatus());
}

}  // namespace
}  // namespace tern
