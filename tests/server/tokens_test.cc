#include "server/tokens.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const char kUser[] = "user-0123456789abcdef";
const char kRoot[] = "root-0123456789abcdef";

Tokens MustParse(absl::string_view text) {
  auto tokens = Tokens::Parse(text, "tokens");
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  return *std::move(tokens);
}

std::string ErrorOf(absl::string_view text) {
  return std::string(Tokens::Parse(text, "tokens").status().message());
}

TEST(TokensTest, ATokenIsGoodForItsScopesOnly) {
  const Tokens tokens = MustParse(absl::StrCat(
      "# who\n\n", kUser, " inference\r\n", kRoot, "\t admin,metrics\n"));

  EXPECT_EQ(tokens.size(), 2u);
  EXPECT_TRUE(tokens.Check(kUser, Scope::kInference).ok());
  EXPECT_EQ(tokens.Check(kUser, Scope::kAdmin).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(tokens.Check(kRoot, Scope::kAdmin).ok());
  EXPECT_TRUE(tokens.Check(kRoot, Scope::kMetrics).ok());
  EXPECT_EQ(tokens.Check(kRoot, Scope::kInference).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(TokensTest, OtherTokensAreUnauthenticated) {
  const Tokens tokens = MustParse(absl::StrCat(kUser, " inference"));

  const std::string user = kUser;
  for (const std::string& token :
       {std::string(), user.substr(0, user.size() - 1), user + "0",
        std::string(kRoot), user + std::string(1, '\0')}) {
    EXPECT_EQ(tokens.Check(token, Scope::kInference).code(),
              absl::StatusCode::kUnauthenticated)
        << token;
  }
}

TEST(TokensTest, AuthorizationIsBearerAndTheToken) {
  const Tokens tokens = MustParse(absl::StrCat(kUser, " inference"));

  for (const char* scheme : {"Bearer ", "bearer ", "Bearer  "}) {
    EXPECT_TRUE(
        tokens
            .CheckAuthorization(absl::StrCat(scheme, kUser), Scope::kInference)
            .ok())
        << scheme;
  }
  for (const std::string& authorization :
       {std::string(), std::string("Bearer"), std::string(kUser),
        absl::StrCat("Basic ", kUser)}) {
    EXPECT_EQ(
        tokens.CheckAuthorization(authorization, Scope::kInference).code(),
        absl::StatusCode::kUnauthenticated)
        << authorization;
  }
}

TEST(TokensTest, ErrorsNameTheLineAndNoToken) {
  EXPECT_EQ(ErrorOf("# nothing\n"),
            "--tokens-file tokens: expected at least one token, found none");
  EXPECT_EQ(ErrorOf(absl::StrCat("\n", kUser)),
            "--tokens-file tokens, line 2: expected a token and its scopes, "
            "found 1 words");
  EXPECT_EQ(ErrorOf(absl::StrCat(kUser, " inference,everything")),
            "--tokens-file tokens, line 1: expected scopes among "
            "inference,admin,metrics, found others");
  EXPECT_THAT(ErrorOf("short-secret inference"),
              HasSubstr("at least 16 letters"));
  for (const char* line :
       {"short-secret inference", "a-secret-with-an-\xC3\xA4 inference"}) {
    EXPECT_THAT(ErrorOf(line), HasSubstr("line 1: expected a token of"));
    EXPECT_THAT(ErrorOf(line), Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace tern
