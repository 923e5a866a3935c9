// Tenants, from the metadata of a call to the metrics.

#include <string>

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

TEST(TenantsTest, NobodyIsToldApartWithoutAKey) {
  RunningServer running;
  Classify(running, "alice");

  EXPECT_THAT(running.server->metrics().Text(), Not(HasSubstr("alice")));
}

}  // namespace
}  // namespace tern
