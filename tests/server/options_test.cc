#include "server/options.h"

#include <filesystem>
#include <fstream>

#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// Flags are global; each test finds them at their defaults.
class OptionsTest : public ::testing::Test {
 private:
  absl::FlagSaver saver_;
};

std::string ErrorOf(std::vector<absl::string_view> arguments) {
  const auto options = ParseOptions(arguments);
  return options.ok() ? "" : std::string(options.status().message());
}

TEST_F(OptionsTest, ModelsMayBeRepeated) {
  const auto options = ParseOptions(
      {"--model=a=folder/a", "--model", "b=folder/b,precision=int8,version=2"});

  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->models.size(), 2u);
  EXPECT_EQ(options->models[0].name, "a");
  EXPECT_EQ(options->models[0].folder, "folder/a");
  EXPECT_EQ(options->models[0].precision, "");
  EXPECT_EQ(options->models[0].version, "1");
  EXPECT_EQ(options->models[1].precision, "int8");
  EXPECT_EQ(options->models[1].version, "2");
}

TEST_F(OptionsTest, DashesAndUnderscoresAreTheSame) {
  const auto options =
      ParseOptions({"--model=a=b", "--max-batch-tokens=77", "--max_inputs=3",
                    "--lame-duck=2s", "--noverify-checksums"});

  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->max_batch_tokens, 77);
  EXPECT_EQ(options->max_inputs, 3);
  EXPECT_EQ(options->lame_duck, absl::Seconds(2));
  EXPECT_FALSE(options->verify_checksums);
}

TEST_F(OptionsTest, TheAdminPortIsOfThisMachineAndNeedsARepository) {
  EXPECT_THAT(ErrorOf({"--model=a=b", "--admin-listen=127.0.0.1:1"}),
              HasSubstr("--admin-listen: expected --model-repository"));
  EXPECT_EQ(ErrorOf({"--model-repository=r", "--admin-listen=[::1]:0"}), "");
  EXPECT_THAT(ErrorOf({"--model-repository=r", "--admin-listen=0.0.0.0:1"}),
              HasSubstr("--admin-listen: expected an address of this"));
}

TEST_F(OptionsTest, ARepositoryNeedsNoOtherModelAndMayNotBeFollowed) {
  const auto options =
      ParseOptions({"--model-repository=r", "--repository-poll=0"});

  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->model_repository, "r");
  EXPECT_EQ(options->repository_poll, absl::ZeroDuration());
  EXPECT_THAT(ErrorOf({"--model-repository=r", "--repository-poll=1ms"}),
              HasSubstr("--repository-poll: expected 10ms to 1h"));
}

TEST_F(OptionsTest, WorkersAndThreadsAreTheCoresByDefault) {
  const auto options = ParseOptions({"--model=a=b"});

  ASSERT_TRUE(options.ok());
  EXPECT_GE(options->workers, 1);
  EXPECT_EQ(options->workers, options->threads);
}

TEST_F(OptionsTest, ModelsDirServesEveryFolderWithAConfig) {
  const auto root = std::filesystem::path(::testing::TempDir()) / "models_dir";
  std::filesystem::remove_all(root);
  for (const char* name : {"b", "a", "not-a-model"}) {
    std::filesystem::create_directories(root / name);
  }
  std::ofstream(root / "a" / "config.json") << "{}";
  std::ofstream(root / "b" / "config.json") << "{}";

  const std::string flag = "--models-dir=" + root.string();
  const auto options = ParseOptions({flag});

  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->models.size(), 2u);
  EXPECT_EQ(options->models[0].name, "a");
  EXPECT_EQ(options->models[1].name, "b");
}

TEST_F(OptionsTest, HelpNamesEveryFlag) {
  const auto options = ParseOptions({"--help"});
  ASSERT_TRUE(options.ok());
  EXPECT_TRUE(options->help);
  for (const char* flag :
       {"--model", "--models-dir", "--listen", "--workers", "--lame-duck"}) {
    EXPECT_THAT(HelpText(), HasSubstr(flag));
  }
}

TEST_F(OptionsTest, TheVersionNeedsNoModel) {
  const auto options = ParseOptions({"--version"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->version);
}

TEST_F(OptionsTest, NoModelIsAnError) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("--model: expected at least one"));
}

TEST_F(OptionsTest, AnUnknownFlagIsNamed) {
  EXPECT_THAT(ErrorOf({"--model=a=b", "--wokers=3"}),
              HasSubstr("--wokers: no such flag"));
  EXPECT_THAT(ErrorOf({"--nosuch"}), HasSubstr("--nosuch: no such flag"));
  EXPECT_THAT(ErrorOf({"serve"}), HasSubstr("'serve'"));
}

TEST_F(OptionsTest, ABadValueIsNamedWithWhatWasExpected) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--workers=many"}),
            "--workers: expected an integer, found 'many'");
  EXPECT_EQ(ErrorOf({"--model=a=b", "--lame-duck=5"}),
            "--lame-duck: expected a duration such as 500ms or 2s, found '5'");
  EXPECT_EQ(ErrorOf({"--model=a=b", "--workers"}),
            "--workers: expected an integer, found ''");
}

TEST_F(OptionsTest, AValueOutOfRangeIsNamedWithItsBounds) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--max-batch-tokens=0"}),
            "--max-batch-tokens: expected 1 to 1048576, found '0'");
}

TEST_F(OptionsTest, ATenantKeyIsAMetadataKey) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--tenant-key=x-tenant"}), "");
  for (const char* key : {"X-Tenant", "x tenant", "tenant-bin"}) {
    EXPECT_THAT(
        ErrorOf({"--model=a=b", absl::StrCat("--tenant-key=", key).c_str()}),
        HasSubstr("--tenant-key: expected lower-case letters"))
        << key;
  }
  EXPECT_EQ(ErrorOf({"--model=a=b", "--tenant-share=2"}),
            "--tenant-share: expected 0.01 to 1, found '2'");
}

TEST_F(OptionsTest, QuotasAreTokensASecondOfNamedTenantsAndOfAllOthers) {
  const auto options = ParseOptions({"--model=a=b", "--tenant-key=x-tenant",
                                     "--tenant-tokens-per-second=100",
                                     "--tenant-quotas=a=b=5,c=0"});

  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->tenant_quotas.tokens_per_second, 100);
  EXPECT_THAT(options->tenant_quotas.by_name,
              ElementsAre(Pair("a=b", 5), Pair("c", 0)));
}

TEST_F(OptionsTest, QuotasNeedATenantKeyAndNumbers) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--tenant-quotas=a=5"}),
            "--tenant-key: expected a metadata key, since there are quotas, "
            "found ''");
  for (const char* part : {"a", "a=", "a=-1", "a=x", "a=1000000001"}) {
    EXPECT_EQ(ErrorOf({"--model=a=b", "--tenant-key=x-tenant",
                       absl::StrCat("--tenant-quotas=", part).c_str()}),
              absl::StrCat("--tenant-quotas: expected name=tokens with 0 to "
                           "1000000000 tokens a second, found '",
                           part, "'"));
  }
}

TEST_F(OptionsTest, ABadChoiceListsTheChoices) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--log-format=xml"}),
            "--log-format: expected json or text, found 'xml'");
}

TEST_F(OptionsTest, AnAddressIsHostAndPort) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--listen=8500"}),
            "--listen: expected host:port, found '8500'");
  EXPECT_THAT(ErrorOf({"--model=a=b", "--listen=host:70000"}),
              HasSubstr("--listen"));
  EXPECT_EQ(ErrorOf({"--model=a=b", "--listen=[::1]:0", "--metrics-listen="}),
            "");
}

TEST_F(OptionsTest, ACertificateComesWithItsKey) {
  const auto options =
      ParseOptions({"--model=a=b", "--tls-certificate=c.pem", "--tls-key=c.key",
                    "--tls-client-ca=ca.pem"});

  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->tls.certificate, "c.pem");
  EXPECT_EQ(options->tls.key, "c.key");
  EXPECT_EQ(options->tls.client_ca, "ca.pem");
}

TEST_F(OptionsTest, ACertificateWithoutItsKeyIsNamed) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--tls-certificate=c.pem"}),
            "--tls-key: expected to be set along with --tls-certificate, found "
            "''");
}

TEST_F(OptionsTest, AnAuthorityOfClientsNeedsTls) {
  EXPECT_THAT(ErrorOf({"--model=a=b", "--tls-client-ca=ca.pem"}),
              HasSubstr("--tls-client-ca: expected to be set along with"));
}

TEST_F(OptionsTest, LoopbackNeedsNoTls) {
  for (const char* flag :
       {"--listen=127.0.0.1:1", "--listen=127.9.9.9:1", "--listen=localhost:1",
        "--listen=[::1]:1", "--http-listen=localhost:1"}) {
    EXPECT_EQ(ErrorOf({"--model=a=b", flag}), "") << flag;
  }
}

TEST_F(OptionsTest, OtherAddressesNeedTlsOrInsecure) {
  for (const char* flag :
       {"--listen=0.0.0.0:1", "--listen=[::]:1", "--listen=10.0.0.1:1",
        "--listen=127.example.com:1", "--listen=[::ffff:10.0.0.1]:1"}) {
    absl::FlagSaver saver;
    EXPECT_THAT(ErrorOf({"--model=a=b", flag}),
                AllOf(HasSubstr("--listen: expected"), HasSubstr("--insecure"),
                      HasSubstr("--tls-certificate")))
        << flag;
    EXPECT_EQ(ErrorOf({"--model=a=b", flag, "--insecure"}), "") << flag;
  }
  EXPECT_EQ(ErrorOf({"--model=a=b", "--listen=0.0.0.0:1",
                     "--tls-certificate=c.pem", "--tls-key=c.key"}),
            "");
}

TEST_F(OptionsTest, HttpOnOtherAddressesNeedsInsecureEvenWithTls) {
  EXPECT_THAT(
      ErrorOf({"--model=a=b", "--http-listen=0.0.0.0:1",
               "--tls-certificate=c.pem", "--tls-key=c.key"}),
      AllOf(HasSubstr("--http-listen: expected"), HasSubstr("--insecure")));
  EXPECT_EQ(ErrorOf({"--model=a=b", "--http-listen=0.0.0.0:1", "--insecure"}),
            "");
}

TEST_F(OptionsTest, MetricsOnOtherAddressesNeedInsecureWithTokensOnly) {
  EXPECT_EQ(ErrorOf({"--model=a=b", "--metrics-listen=0.0.0.0:1"}), "");
  EXPECT_THAT(
      ErrorOf({"--model=a=b", "--metrics-listen=0.0.0.0:1",
               "--tokens-file=tokens"}),
      AllOf(HasSubstr("--metrics-listen: expected"), HasSubstr("--insecure")));
}

TEST_F(OptionsTest, SaysWhichCallsToLog) {
  const auto options =
      ParseOptions({"--model=a=b", "--log-calls=failed", "--slow-call=200ms"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->call_log.calls, LoggedCalls::kFailed);
  EXPECT_EQ(options->call_log.slow, absl::Milliseconds(200));
  EXPECT_THAT(ErrorOf({"--model=a=b", "--log-calls=some"}),
              HasSubstr("--log-calls: expected"));
}

TEST_F(OptionsTest, ABadModelIsNamed) {
  for (const char* model :
       {"--model=a", "--model==b", "--model=a=", "--model=a=b,precision=fp8",
        "--model=a=b,speed=9"}) {
    EXPECT_THAT(ErrorOf({model}), HasSubstr("--model: expected")) << model;
  }
  EXPECT_THAT(ErrorOf({"--model=a=b", "--model=a=c"}), HasSubstr("twice"));
}

}  // namespace
}  // namespace tern
