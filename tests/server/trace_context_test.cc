#include "server/trace_context.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kSpanId[] = "00f067aa0ba902b7";

TEST(TraceContextTest, ReadsTheIdsOfATraceparent) {
  const auto trace =
      ParseTraceparent(absl::StrCat("00-", kTraceId, "-", kSpanId, "-01"));
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, kTraceId);
  EXPECT_EQ(trace->span_id, kSpanId);
}

TEST(TraceContextTest, LaterVersionsMayBeLonger) {
  const std::string ids = absl::StrCat("-", kTraceId, "-", kSpanId, "-01");
  EXPECT_TRUE(ParseTraceparent("cc" + ids).has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + ids + "-more").has_value());
  EXPECT_FALSE(ParseTraceparent("cc" + ids + ".more").has_value());
  EXPECT_FALSE(ParseTraceparent("00" + ids + "-more").has_value());
}

TEST(TraceContextTest, WhatIsMalformedIsIgnored) {
  const std::string zeros(32, '0');
  for (const std::string& text :
       {std::string(), std::string("00"), std::string(55, '-'),
        std::string(55, '0'),
        absl::StrCat("ff-", kTraceId, "-", kSpanId, "-01"),
        absl::StrCat("0x-", kTraceId, "-", kSpanId, "-01"),
        absl::StrCat("00-", zeros, "-", kSpanId, "-01"),
        absl::StrCat("00-", kTraceId, "-", zeros.substr(16), "-01"),
        absl::StrCat("00-", kTraceId, "-", kSpanId, "-0"),
        absl::StrCat("00-", kTraceId, "-", kSpanId, "-0g"),
        absl::StrCat("00-", kTraceId, "_", kSpanId, "-01"),
        absl::StrCat("00-4BF92F3577B34DA6A3CE929D0E0E4736-", kSpanId, "-01")}) {
    EXPECT_FALSE(ParseTraceparent(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tern
