// Tenants, from the metadata of a call to the metrics.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/running_server.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Classify(RunningServer& running, const std::string& tenant) {
  grpc::ClientContext context;
  if (!tenant.empty()) context.AddMetadata("x-tenant", tenant);
  v1::ClassifyResponse response;
  EXPECT_TRUE(
      running.inference->Classify(&context, MakeClassify({"a"}), &response)
          .ok());
}

TEST(TenantsTest, CallsAreCountedByTheTenantInTheirMetadata) {
  RunningServer running(
      [](Options& options) { options.tenant_key = "x-tenant"; });
  Classify(running, "alice");
  Classify(running, "alice");
  Classify(running, "");
  Classify(running, "other");
  Classify(running, std::string(100, 'x'));

  const std::string text = running.server->metrics().Text();
  const std::string name = "tern_tenant_requests_total{tenant=";
  EXPECT_THAT(text, HasSubstr(name + "\"alice\",accepted=\"true\"} 2"));
  EXPECT_THAT(text, HasSubstr(name + "\"''\",accepted=\"true\"} 1"));
  EXPECT_THAT(text, HasSubstr(name + "\"'other'\",accepted=\"true\"} 1"));
  EXPECT_THAT(text, HasSubstr(name + "\"other\",accepted=\"true\"} 0"));
  EXPECT_THAT(text, HasSubstr(name + "\"" + std::string(64, 'x') + "\""));
}

TEST(TenantsTest, ATenantPastItsQuotaIsRefusedAndCounted) {
  RunningServer running([](Options& options) {
    options.tenant_key = "x-tenant";
    options.tenant_quotas.by_name["alice"] = 1;
  });
  v1::ClassifyResponse response;
  grpc::ClientContext first;
  first.AddMetadata("x-tenant", "alice");
  // Minutes of its quota, so that a slow machine does not see them pass.
  EXPECT_TRUE(running.inference
                  ->Classify(&first,
                             MakeClassify(std::vector<std::string>(100, "a")),
                             &response)
                  .ok());
  grpc::ClientContext context;
  context.AddMetadata("x-tenant", "alice");
  const grpc::Status status =
      running.inference->Classify(&context, MakeClassify({"a"}), &response);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "this tenant has used up its quota of 1 tokens a second");
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"),
            1);
  Classify(running, "bob");
  EXPECT_THAT(running.server->metrics().Text(),
              HasSubstr("tern_requests_rejected_total{reason=\"quota\"} 1"));
}

TEST(TenantsTest, NobodyIsToldApartWithoutAKey) {
  RunningServer running;
  Classify(running, "alice");

  EXPECT_THAT(running.server->metrics().Text(), Not(HasSubstr("alice")));
}

}  // namespace
}  // namespace tern
