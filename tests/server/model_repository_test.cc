#include "server/model_repository.h"

#include <sys/fsuid.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "inference/grpc_inference_service.grpc.pb.h"
#include "model/self_check.h"
#include "model/ternary_folder.h"
#include "tests/client/run_command.h"
#include "tests/server/running_server.h"
#include "tests/tiny_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A repository's folder and what puts versions into it.
class RepositoryFolder {
 public:
  RepositoryFolder() { fs::create_directories(root_); }
  ~RepositoryFolder() { fs::remove_all(root_); }

  const std::string& root() const { return root_; }
  std::string Path(const std::string& version) const {
    return absl::StrCat(root_, "/", version);
  }

  // Puts a model in as NAME/VERSION, at one moment.
  void Add(const std::string& version, const TinyModelOptions& options = {}) {
    const std::string made = Path(".made");
    ASSERT_EQ(WriteTinyModel(made, options), absl::OkStatus());
    Move(made, version);
  }
  void Move(const std::string& from, const std::string& version) {
    fs::create_directories(fs::path(Path(version)).parent_path());
    fs::rename(from, Path(version));
  }
  // Takes a version, or all of a name, away, at one moment.
  void Remove(const std::string& version) {
    fs::rename(Path(version), Path(".gone"));
    fs::remove_all(Path(".gone"));
  }

 private:
  const std::string root_ = ::testing::TempDir() + "repository";
};

constexpr uid_t kNobody = 65534;

class ModelRepositoryTest : public ::testing::Test {
 protected:
  ModelRepositoryTest() {
    SetUpLog(LogFormat::kText, LogLevel::kError);
    repository_ = std::make_unique<ModelRepository>(
        ModelRepository::Options{.root = folder_.root()}, &registry_,
        ModelRepository::Observer{
            .loaded =
                [this](const ModelSource& source, const auto& model) {
                  const std::string version =
                      absl::StrCat(source.name, "/", source.version);
                  if (model.ok()) {
                    loaded_.push_back(version);
                  } else {
                    refused_.push_back(version);
                    problem_ = std::string(model.status().message());
                  }
                },
            .changed = [this] { ++changes_; }});
  }

  void Look(int times = 2) {
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(repository_->Look(), absl::OkStatus());
    }
  }
  std::vector<std::string> Served() const {
    std::vector<std::string> served;
    for (const auto& model : registry_.All()) {
      served.push_back(absl::StrCat(model->name, "/", model->version));
    }
    return served;
  }

  RepositoryFolder folder_;
  ModelRegistry registry_;
  std::unique_ptr<ModelRepository> repository_;
  std::vector<std::string> loaded_, refused_;
  std::string problem_;
  int changes_ = 0;
};

TEST_F(ModelRepositoryTest, AVersionIsLoadedWhenTwoLooksFindItUnchanged) {
  folder_.Add("a/1");

  Look(1);
  EXPECT_THAT(Served(), IsEmpty());
  std::ofstream(folder_.Path("a/1/notes.txt")) << "more";
  Look(1);
  EXPECT_THAT(Served(), IsEmpty());
  Look(1);
  EXPECT_THAT(Served(), ElementsAre("a/1"));
  Look(3);
  EXPECT_THAT(loaded_, ElementsAre("a/1"));
  EXPECT_EQ(changes_, 1);
}

TEST_F(ModelRepositoryTest, BeforeServingAllVersionsAreLoadedAtOnce) {
  folder_.Add("a/1");
  folder_.Add("a/2");
  folder_.Add("b/7");

  ASSERT_EQ(repository_->LoadAll(), absl::OkStatus());

  EXPECT_THAT(Served(), ElementsAre("a/1", "a/2", "b/7"));
}

TEST_F(ModelRepositoryTest, ANewVersionIsServedBesideTheOldUntilThatGoes) {
  folder_.Add("a/9");
  Look();
  folder_.Add("a/10", {.seed = 2});
  Look();

  EXPECT_THAT(Served(), ElementsAre("a/9", "a/10"));
  EXPECT_EQ((*registry_.Find("a", ""))->version, "10");

  folder_.Remove("a/9");
  Look(1);
  EXPECT_THAT(Served(), ElementsAre("a/10"));
  folder_.Remove("a");
  Look(1);
  EXPECT_THAT(Served(), IsEmpty());
}

TEST_F(ModelRepositoryTest, AVersionLivesAsLongAsARequestRunsOnIt) {
  folder_.Add("a/1");
  Look();
  auto of_request = *registry_.Find("a", "1");
  const std::weak_ptr<const ServedModel> memory = of_request;

  folder_.Remove("a");
  Look(1);

  EXPECT_THAT(Served(), IsEmpty());
  EXPECT_EQ(of_request.use_count(), 1);
  EXPECT_TRUE(of_request->tokenizer->Encode("film", 16).ok());
  of_request.reset();
  EXPECT_TRUE(memory.expired());
}

TEST_F(ModelRepositoryTest, ABrokenVersionIsRefusedOnceAndTheOldOneStays) {
  folder_.Add("a/1");
  Look();
  folder_.Add("a/2");
  fs::resize_file(folder_.Path("a/2/model.safetensors"), 5000);
  Look(4);

  EXPECT_THAT(Served(), ElementsAre("a/1"));
  EXPECT_THAT(refused_, ElementsAre("a/2"));
  EXPECT_THAT(problem_, HasSubstr("a/2/model.safetensors"));

  folder_.Remove("a/1");
  Look();
  EXPECT_THAT(Served(), ElementsAre("a/1")) << "nothing could take its place";

  folder_.Remove("a/2");
  folder_.Add("a/2");
  Look();
  EXPECT_THAT(Served(), ElementsAre("a/2"));
}

TEST_F(ModelRepositoryTest, AHalfCopiedFolderIsNeverServed) {
  folder_.Add("a/1");
  Look();
  const std::string from = folder_.Path(".whole"), to = folder_.Path("a/2");
  ASSERT_EQ(WriteTinyModel(from, {.seed = 2}), absl::OkStatus());

  // Each file in two halves, with looks between them as if copying stood still.
  fs::create_directories(to);
  for (const char* name : {"vocab.txt", "config.json", "tokenizer_config.json",
                           "model.safetensors"}) {
    const fs::path file = fs::path(from) / name, copy = fs::path(to) / name;
    fs::copy_file(file, copy);
    fs::resize_file(copy, fs::file_size(file) / 2);
    Look();
    ASSERT_THAT(Served(), ElementsAre("a/1")) << copy;
    fs::remove(copy);
    fs::copy_file(file, copy);
  }
  Look();
  EXPECT_THAT(Served(), ElementsAre("a/1", "a/2"));
}

TEST_F(ModelRepositoryTest, AVersionThatFailsItsSelfCheckIsRefused) {
  const std::string plain = folder_.Path(".plain");
  const std::string ternary = folder_.Path(".ternary");
  ASSERT_EQ(WriteTinyModel(plain), absl::OkStatus());
  ASSERT_EQ(TernarizeFolder(
                plain, ternary, [](int, int) {}, nullptr),
            absl::OkStatus());
  ASSERT_EQ(WriteSelfCheck(ternary), absl::OkStatus());
  fs::copy(ternary, folder_.Path(".other"));
  folder_.Move(ternary, "a/1");
  Look();
  EXPECT_TRUE((*registry_.Find("a", "1"))->self_checked);

  const std::string vocabulary = folder_.Path(".other/vocab.txt");
  fs::resize_file(vocabulary, fs::file_size(vocabulary) - sizeof("green"));
  folder_.Move(folder_.Path(".other"), "a/2");
  Look();

  EXPECT_THAT(Served(), ElementsAre("a/1"));
  EXPECT_THAT(problem_, HasSubstr("vocab.txt: expected SHA-256"));
}

TEST_F(ModelRepositoryTest, FoldersOfOtherNamesAreNoVersions) {
  for (const char* name : {"a/01", "a/0", "a/-1", "a/v1", "a/1.tmp", "a/.1",
                           "b.tmp/1", ".c/1", "a/99999999999999999999"}) {
    folder_.Add(name);
  }
  std::ofstream(folder_.Path("a/3")) << "a file";

  Look(3);

  EXPECT_THAT(Served(), IsEmpty());
  EXPECT_THAT(refused_, IsEmpty());
}

TEST_F(ModelRepositoryTest, ALabelMovesOnceItsVersionIsServed) {
  const auto version_of = [this](const std::string& label) {
    const auto model = registry_.Find("a", label);
    return model.ok() ? (*model)->version
                      : std::string(model.status().message());
  };
  folder_.Add("a/1");
  fs::create_symlink("1", folder_.Path("a/stable"));
  fs::create_symlink("../b", folder_.Path("a/elsewhere"));
  Look();
  EXPECT_EQ(version_of("stable"), "1");
  EXPECT_THAT(version_of("elsewhere"), HasSubstr("no version 'elsewhere'"));

  folder_.Add("a/2");
  fs::remove(folder_.Path("a/stable"));
  fs::create_symlink("2/", folder_.Path("a/stable"));
  Look(1);
  EXPECT_EQ(version_of("stable"), "1");
  Look(1);
  EXPECT_EQ(version_of("stable"), "2");
  EXPECT_THAT(Served(), ElementsAre("a/1", "a/2"));

  fs::remove(folder_.Path("a/stable"));
  Look(1);
  EXPECT_THAT(version_of("stable"), HasSubstr("no version 'stable'"));
}

TEST_F(ModelRepositoryTest, ALinkToNothingUnloadsNothingAndIsRefused) {
  folder_.Add("a/1");
  folder_.Add("a/2");
  fs::remove(folder_.Path("a/2/vocab.txt"));
  fs::create_symlink("nowhere", folder_.Path("a/2/vocab.txt"));
  Look();
  fs::create_symlink("nowhere", folder_.Path("a/1/notes.txt"));
  Look();

  EXPECT_THAT(Served(), ElementsAre("a/1"));
  EXPECT_THAT(refused_, ElementsAre("a/2"));
}

TEST_F(ModelRepositoryTest, ARepositoryThatCannotBeReadChangesNothing) {
  folder_.Add("a/1");
  Look();
  fs::rename(folder_.root(), folder_.root() + "-away");

  const absl::Status status = repository_->Look();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_.root()));
  EXPECT_THAT(Served(), ElementsAre("a/1"));
  fs::rename(folder_.root() + "-away", folder_.root());
}

TEST_F(ModelRepositoryTest, AFolderThatMayNotBeReadKeepsItsModelsAndNoOthers) {
  folder_.Add("a/1");
  fs::create_symlink("1", folder_.Path("a/stable"));
  Look();
  folder_.Add("b/1");
  // Root may read everything; another user of the group all but one folder.
  const fs::path above = fs::path(folder_.root()).parent_path();
  fs::permissions(above, fs::perms::group_exec, fs::perm_options::add);
  for (const auto& entry : fs::recursive_directory_iterator(above)) {
    fs::permissions(entry, fs::perms::group_read | fs::perms::group_exec,
                    fs::perm_options::add);
  }
  fs::permissions(folder_.Path("a"), fs::perms::none);
  setfsuid(kNobody);

  Look();

  setfsuid(geteuid());
  EXPECT_THAT(Served(), ElementsAre("a/1", "b/1"));
  EXPECT_TRUE(registry_.Find("a", "stable").ok());
  fs::permissions(folder_.Path("a"), fs::perms::owner_all);
  folder_.Remove("a");
  Look();
  EXPECT_THAT(Served(), ElementsAre("b/1"));
}

TEST_F(ModelRepositoryTest, AVersionThatTheRegistryHasAlreadyIsRefused) {
  ASSERT_EQ(registry_.Add(*LoadServedModel(
                {.name = "a", .folder = TinyFolder("classifier")}, true)),
            absl::OkStatus());
  folder_.Add("a/1");
  folder_.Add("a/2");
  Look();

  EXPECT_THAT(refused_, ElementsAre("a/1"));
  EXPECT_THAT(problem_, HasSubstr("twice in version '1'"));
  EXPECT_THAT(Served(), ElementsAre("a/1", "a/2"));
  EXPECT_EQ(repository_->Load("a").code(),
            absl::StatusCode::kFailedPrecondition);
  folder_.Remove("a");
  Look();
  EXPECT_THAT(Served(), ElementsAre("a/1"));
}

TEST_F(ModelRepositoryTest, ModelsAreLoadedAndUnloadedByName) {
  folder_.Add("a/1");
  EXPECT_EQ(repository_->Load("a"), absl::OkStatus());
  EXPECT_THAT(Served(), ElementsAre("a/1"));
  EXPECT_EQ(repository_->Load("b").code(), absl::StatusCode::kNotFound);

  EXPECT_EQ(repository_->Unload("a"), absl::OkStatus());
  Look(3);
  EXPECT_THAT(Served(), IsEmpty());
  EXPECT_EQ(repository_->Unload("a").code(), absl::StatusCode::kNotFound);

  EXPECT_EQ(repository_->Load("a"), absl::OkStatus());
  EXPECT_THAT(Served(), ElementsAre("a/1"));
}

TEST_F(ModelRepositoryTest, LoadTriesAgainWhatFailedForAnotherReason) {
  const auto other =
      *LoadServedModel({.name = "a", .folder = TinyFolder("classifier")}, true);
  ASSERT_EQ(registry_.Add(other), absl::OkStatus());
  folder_.Add("a/1");
  Look();
  EXPECT_THAT(refused_, ElementsAre("a/1"));
  ASSERT_EQ(registry_.Change({}, {other}), absl::OkStatus());

  Look();
  EXPECT_THAT(Served(), IsEmpty());
  EXPECT_EQ(repository_->Load("a"), absl::OkStatus());

  EXPECT_THAT(Served(), ElementsAre("a/1"));
}

TEST_F(ModelRepositoryTest, LoadSaysWhyAVersionIsRefused) {
  folder_.Add("a/1");
  folder_.Add("a/2");
  fs::remove(folder_.Path("a/2/config.json"));

  const absl::Status status = repository_->Load("a");

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(status.message()),
      ::testing::AllOf(HasSubstr("version 2"), HasSubstr("config.json")));
  EXPECT_THAT(Served(), ElementsAre("a/1"));
}

TEST_F(ModelRepositoryTest, NothingChangesOnceItIsStopped) {
  folder_.Add("a/1");
  Look();
  repository_->Stop();
  EXPECT_EQ(repository_->Load("a").code(), absl::StatusCode::kUnavailable);
  folder_.Remove("a/1");
  folder_.Add("a/2");
  Look(3);

  EXPECT_THAT(Served(), ElementsAre("a/1"));
}

grpc::Status CheckHealth(RunningServer& running, const std::string& service) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  grpc::health::v1::HealthCheckResponse response;
  request.set_service(service);
  return grpc::health::v1::Health::NewStub(running.channel)
      ->Check(&context, request, &response);
}

TEST(ModelRepositoryServerTest, ModelsAreSwappedUnderLoadAndNoCallFails) {
  RepositoryFolder folder;
  folder.Add("m/1");
  RunningServer running([&](Options& options) {
    options.models.clear();
    options.model_repository = folder.root();
    options.repository_poll = absl::Milliseconds(10);
  });
  ASSERT_NE(running.server, nullptr);

  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, failed = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 2; ++c) {
    clients.emplace_back([&] {
      while (!stop) {
        grpc::ClientContext context;
        v1::ClassifyResponse response;
        v1::ClassifyRequest request = MakeClassify({"a gripping film"});
        request.set_model("m");
        ++(running.inference->Classify(&context, request, &response).ok()
               ? answered
               : failed);
      }
    });
  }
  const auto await_health = [&](const std::string& model, bool served) {
    while (CheckHealth(running, model).ok() != served) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  };
  for (int version = 2; version <= 4; ++version) {
    // The larger ones take longer sequences than any at the start.
    folder.Add(absl::StrCat("m/", version),
               {.hidden_size = 32 * version,
                .max_positions = 300 * version,
                .seed = static_cast<uint32_t>(version)});
    folder.Remove(absl::StrCat("m/", version - 1));
    await_health(absl::StrCat("models/m/", version), true);
    await_health(absl::StrCat("models/m/", version - 1), false);
  }
  grpc::ClientContext long_context;
  v1::ClassifyResponse long_response;
  EXPECT_TRUE(running.inference
                  ->Classify(&long_context,
                             MakeClassify({std::string(1000, '!')}),
                             &long_response)
                  .ok());
  stop = true;
  for (std::thread& client : clients) client.join();

  EXPECT_EQ(failed, 0);
  EXPECT_GT(answered, 0);
  grpc::ClientContext context;
  v1::ListModelsResponse list;
  ASSERT_TRUE(running.models->ListModels(&context, {}, &list).ok());
  ASSERT_EQ(list.models_size(), 1);
  EXPECT_EQ(list.models(0).version(), "4");
  const std::string metrics = running.server->metrics().Text();
  EXPECT_THAT(metrics, HasSubstr("tern_model_loads_total{model=\"m\",result="
                                 "\"loaded\"} 4"));
  EXPECT_THAT(metrics, HasSubstr("version=\"4\""));
  EXPECT_THAT(metrics, ::testing::Not(HasSubstr("version=\"3\"")));
}

// Serves what is in the folder, looks there when asked to, on an admin port.
RunningServer ServeWithAdminPort(const RepositoryFolder& folder) {
  return RunningServer([&](Options& options) {
    options.models.clear();
    options.model_repository = folder.root();
    options.repository_poll = absl::ZeroDuration();
    options.admin_listen = "127.0.0.1:0";
  });
}

TEST(ModelRepositoryServerTest, OperatorsLoadAndUnloadOnTheAdminPort) {
  RepositoryFolder folder;
  folder.Add("a/1");
  folder.Add("b/1");
  RunningServer running = ServeWithAdminPort(folder);
  ASSERT_NE(running.server, nullptr);
  using Service = inference::GRPCInferenceService;
  const auto admin = Service::NewStub(grpc::CreateChannel(
      running.server->admin_address(), grpc::InsecureChannelCredentials()));
  const auto load = [](const auto& stub, const std::string& name) {
    grpc::ClientContext context;
    inference::RepositoryModelLoadRequest request;
    inference::RepositoryModelLoadResponse response;
    request.set_model_name(name);
    return stub->RepositoryModelLoad(&context, request, &response);
  };
  const auto index = [&] {
    grpc::ClientContext context;
    inference::RepositoryIndexResponse response;
    EXPECT_TRUE(admin->RepositoryIndex(&context, {}, &response).ok());
    std::vector<std::string> entries;
    for (const auto& model : response.models()) {
      entries.push_back(absl::StrCat(model.name(), "/", model.version(), " ",
                                     model.state(),
                                     model.reason().empty() ? "" : " why"));
    }
    return entries;
  };

  EXPECT_EQ(load(Service::NewStub(running.channel), "a").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  folder.Add("a/2");
  folder.Add("a/3");
  fs::remove(folder.Path("a/3/config.json"));
  EXPECT_EQ(load(admin, "a").error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(load(admin, "c").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(index(), ElementsAre("a/1 READY", "a/2 READY", "b/1 READY",
                                   "a/3 UNAVAILABLE why"));

  grpc::ClientContext context;
  inference::RepositoryModelUnloadRequest request;
  inference::RepositoryModelUnloadResponse response;
  request.set_model_name("b");
  EXPECT_TRUE(admin->RepositoryModelUnload(&context, request, &response).ok());
  EXPECT_EQ(CheckHealth(running, "models/b").error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(load(admin, "b").ok());
  EXPECT_TRUE(CheckHealth(running, "models/b").ok());
}

TEST(ModelRepositoryServerTest, TheCommandListsLoadsAndUnloads) {
  RepositoryFolder folder;
  folder.Add("a/1");
  folder.Add("b/1");
  RunningServer running = ServeWithAdminPort(folder);
  ASSERT_NE(running.server, nullptr);
  const auto tern = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), TERN_COMMAND);
    setenv("TERN_ADMIN_SERVER", running.server->admin_address().c_str(), 1);
    return RunCommand(arguments, "");
  };

  folder.Add("a/2");
  const CommandResult loaded = tern({"load", "a", "b"});
  EXPECT_EQ(loaded.exit_code, 0) << loaded.err;
  EXPECT_EQ(loaded.out, "loaded a\nloaded b\n");
  EXPECT_EQ(tern({"unload", "b"}).out, "unloaded b\n");
  EXPECT_EQ(CheckHealth(running, "models/b").error_code(),
            grpc::StatusCode::NOT_FOUND);

  folder.Add("a/3");
  fs::remove(folder.Path("a/3/config.json"));
  const CommandResult refused = tern({"load", "a"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("version 3: "));
  EXPECT_THAT(refused.err, HasSubstr("config.json"));
  EXPECT_EQ(tern({"load", "c"}).exit_code, 1);
  EXPECT_EQ(tern({"load"}).exit_code, 2);
  // The port for everyone else.
  EXPECT_THAT(tern({"load", "a", "--server", running.server->address()}).err,
              HasSubstr("no model repository there"));

  EXPECT_THAT(tern({"repository"}).out,
              ::testing::MatchesRegex("NAME  VERSION  STATE        REASON\n"
                                      "a     1        READY\n"
                                      "a     2        READY\n"
                                      "a     3        UNAVAILABLE  .*\n"));
  EXPECT_THAT(
      tern({"repository", "--json"}).out,
      HasSubstr(R"({"name":"a","version":"1","state":"READY","reason":""})"));
}

TEST(ModelRepositoryServerTest, AServerWithoutAnyModelDoesNotStart) {
  RepositoryFolder folder;
  Options options;
  options.model_repository = folder.root();
  options.listen = "127.0.0.1:0";

  EXPECT_EQ(Server::Start(options).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tern
