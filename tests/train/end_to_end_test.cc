// tern-train from the command line, on a toy task: is the letter "x" in the
// text, or, where "n" negates it, is it not? And on a toy question: which digit
// is in the text? Both kinds of training must learn it, and the engine must
// serve what they leave.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/ternary_folder.h"
#include "nlohmann/json.hpp"
#include "tests/end_to_end/server_process.h"
#include "tests/tiny_model.h"
#include "tests/train/tiny_masked_lm.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void WriteToyData(const std::string& path, int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::ofstream file(path);
  file << "sentence\tlabel\n";
  for (int i = 0; i < count; ++i) {
    const bool negated = random() % 4 == 0;
    const bool has_x = random() % 2 == 0;
    std::string text;
    const int words = 2 + static_cast<int>(random() % 6);
    const int place = static_cast<int>(random() % words);
    for (int w = 0; w < words; ++w) {
      text += static_cast<char>('a' + random() % 8);
      text += w == place ? (has_x ? " x " : " y ") : " ";
    }
    file << (negated ? "n " : "") << text << '\t' << (has_x != negated) << '\n';
  }
}

// Contexts of letters with one or two digits together, which are the answer.
void WriteToyQuestions(const std::string& path, int count, uint32_t seed) {
  std::mt19937 random(seed);
  nlohmann::json paragraphs = nlohmann::json::array();
  for (int i = 0; i < count; ++i) {
    const std::string answer = random() % 2 == 0 ? "7" : "3 9";
    const int words = 3 + static_cast<int>(random() % 12);
    const int place = static_cast<int>(random() % words);
    std::string context;
    size_t start = 0;
    for (int w = 0; w < words; ++w) {
      if (w == place) start = context.size();
      context += w == place
                     ? answer
                     : std::string(1, static_cast<char>('a' + random() % 20));
      context += ' ';
    }
    const std::string id = std::to_string(i);
    paragraphs.push_back(
        {{"context", context},
         {"qas",
          {{{"id", id},
            {"question", "which"},
            {"answers", {{{"text", answer}, {"answer_start", start}}}}}}}});
  }
  std::ofstream(path) << nlohmann::json(
      {{"version", "1.1"},
       {"data", {{{"title", ""}, {"paragraphs", paragraphs}}}}});
}

struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;

  double accuracy() const { return metric("accuracy"); }
  double metric(const std::string& name) const {
    return nlohmann::json::parse(out)["metrics"][name].get<double>();
  }
};

// The share of the examples of `path`, as WriteToyData writes them, that a
// tern-server with the model in `folder` labels rightly over gRPC.
double ServedAccuracy(const std::string& folder, const std::string& path) {
  v1::ClassifyRequest request;
  std::vector<int> labels;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // the header
  while (std::getline(file, line)) {
    const size_t tab = line.find('\t');
    request.add_inputs()->set_text(line.substr(0, tab));
    labels.push_back(std::stoi(line.substr(tab + 1)));
  }
  auto server = ServerProcess::Start({"--model=toy=" + folder});
  EXPECT_TRUE(server.ok()) << server.status();
  if (!server.ok()) return 0;
  const auto response = (*server)->NewClient({})->Classify(request);
  EXPECT_TRUE(response.ok()) << response.status();
  if (!response.ok()) return 0;
  int right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    right += response->results(i).labels(0).index() == labels[i];
  }
  return static_cast<double>(right) / labels.size();
}

class EndToEndTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "tern_train_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/data");
    TinyModelOptions options;
    options.labels = 2;
    ASSERT_TRUE(WriteTinyModel(folder_ + "/tiny", options).ok());
    WriteToyData(folder_ + "/data/train.tsv", 3000, 1);
    WriteToyData(folder_ + "/data/dev.tsv", 400, 2);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Finished Run(const std::string& arguments) {
    const std::string command =
        Command(arguments) + " >" + folder_ + "/out 2>" + folder_ + "/err";
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), Contents(folder_ + "/out"),
            Contents(folder_ + "/err")};
  }

  // Sends a signal to a run in `out` after five steps. Returns its exit code,
  // or -1 where the signal ended it.
  int RunAndSignal(const std::string& arguments, const std::string& out,
                   int signal) {
    const std::string command =
        "exec " + Command(arguments) + " 2>" + folder_ + "/err";
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    const auto has_begun = [&] {
      return Contents(out + "/log.jsonl").find("\"step\":5") !=
             std::string::npos;
    };
    for (int tries = 0; tries < 6000 && !has_begun(); ++tries) usleep(10'000);
    EXPECT_TRUE(has_begun());
    EXPECT_EQ(kill(child, signal), 0);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // On one thread: ctest runs several tests at a time, and OpenMP's threads
  // wait for each other far longer than they compute where cores are shared.
  std::string Command(const std::string& arguments) const {
    return std::string(TERN_TRAIN_PROGRAM) + " --threads=1 " + arguments +
           (arguments.find("--task=") == std::string::npos
                ? " --task=sst-2 --data=" + folder_ + "/data"
                : "");
  }

  std::string folder_;
};

TEST_F(EndToEndTest, TeacherAndStudentLearnAndTheStudentIsServed) {
  const std::string teacher = folder_ + "/teacher";
  const std::string student = folder_ + "/student";
  const Finished finetuned =
      Run("finetune --from=" + folder_ + "/tiny --out=" + teacher +
          " --epochs=5 --learning-rate=1e-3 --evaluations=2");
  ASSERT_EQ(finetuned.exit_code, 0) << finetuned.err;
  const Finished by_teacher = Run("evaluate --from=" + teacher + "/model");
  EXPECT_THAT(by_teacher.err, HasSubstr("evaluate ["));
  ASSERT_EQ(by_teacher.exit_code, 0) << by_teacher.err;
  EXPECT_GE(by_teacher.accuracy(), 0.98);

  const Finished ternarized =
      Run("ternarize --from=" + teacher + "/model --out=" + student +
          " --epochs=4 --learning-rate=1e-3");
  ASSERT_EQ(ternarized.exit_code, 0) << ternarized.err;
  const Finished by_engine = Run("evaluate --from=" + student +
                                 "/model --logits=" + folder_ + "/served");
  ASSERT_EQ(by_engine.exit_code, 0) << by_engine.err;
  EXPECT_GE(by_engine.accuracy(), 0.97);
  EXPECT_EQ(by_engine.accuracy(),
            nlohmann::json::parse(ternarized.out)["best_score"].get<double>());
  EXPECT_TRUE(fs::exists(student + "/model/tern_self_check.json"));
  EXPECT_EQ(ServedAccuracy(student + "/model", folder_ + "/data/dev.tsv"),
            by_engine.accuracy());

  const Finished by_trainer =
      Run("evaluate --precision=trainer --latent --from=" + student +
          "/latent --logits=" + folder_ + "/trained");
  ASSERT_EQ(by_trainer.exit_code, 0) << by_trainer.err;
  std::ifstream served(folder_ + "/served"), trained(folder_ + "/trained");
  int compared = 0;
  for (double a, b; served >> a && trained >> b; ++compared) {
    EXPECT_NEAR(a, b, 1e-5);
  }
  EXPECT_EQ(compared, 800);
}

TEST_F(EndToEndTest, AQuestionAnswererLearnsAndIsServed) {
  TinyModelOptions options;
  options.task = TinyTask::kQuestionAnswering;
  ASSERT_TRUE(WriteTinyModel(folder_ + "/tiny", options).ok());
  WriteToyQuestions(folder_ + "/train.json", 1000, 1);
  WriteToyQuestions(folder_ + "/dev.json", 200, 2);
  // Windows of 12 tokens, so that the longer contexts need two.
  const std::string task =
      " --task=squad --max-tokens=14 --doc-stride=4 --batch=16 --train-file=" +
      folder_ + "/train.json --dev-file=" + folder_ + "/dev.json";
  const std::string teacher = folder_ + "/teacher";
  const std::string student = folder_ + "/student";
  const Finished finetuned =
      Run("finetune --epochs=3 --learning-rate=1e-3 --from=" + folder_ +
          "/tiny --out=" + teacher + task);
  ASSERT_EQ(finetuned.exit_code, 0) << finetuned.err;
  const Finished by_teacher =
      Run("evaluate --from=" + teacher + "/model" + task);
  ASSERT_EQ(by_teacher.exit_code, 0) << by_teacher.err;
  EXPECT_GE(by_teacher.metric("exact_match"), 0.95);

  const Finished ternarized =
      Run("ternarize --epochs=3 --learning-rate=1e-3 --from=" + teacher +
          "/model --out=" + student + task);
  ASSERT_EQ(ternarized.exit_code, 0) << ternarized.err;
  const Finished by_engine =
      Run("evaluate --from=" + student + "/model --logits=" + folder_ +
          "/served --predictions=" + folder_ + "/answers" + task);
  ASSERT_EQ(by_engine.exit_code, 0) << by_engine.err;
  EXPECT_GE(by_engine.metric("exact_match"), 0.9);
  EXPECT_THAT(Contents(student + "/model/config.json"),
              HasSubstr("BertForQuestionAnswering"));

  const Finished scored =
      Run("score --predictions=" + folder_ + "/answers" + task);
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(scored.metric("f1"), by_engine.metric("f1"));

  const Finished by_trainer =
      Run("evaluate --precision=trainer --latent --from=" + student +
          "/latent --logits=" + folder_ + "/trained" + task);
  ASSERT_EQ(by_trainer.exit_code, 0) << by_trainer.err;
  std::ifstream served(folder_ + "/served"), trained(folder_ + "/trained");
  int compared = 0;
  for (double a, b; served >> a && trained >> b; ++compared) {
    EXPECT_NEAR(a, b, 1e-4);  // 64 products of logits about 10
  }
  EXPECT_GT(compared, 4000);
}

TEST_F(EndToEndTest, AClassifierIsNoQuestionAnswerer) {
  WriteToyQuestions(folder_ + "/dev.json", 2, 2);
  const Finished finished = Run("evaluate --task=squad --dev-file=" + folder_ +
                                "/dev.json --from=" + folder_ + "/tiny");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("expected a question answerer for task "
                                      "squad, found a classifier"));
}

TEST_F(EndToEndTest, AResumedRunEqualsOneThatWasNeverStopped) {
  for (const std::string command : {"ternarize --ternarizer=lat --dropout=0.1",
                                    "finetune --average=0.9 --dropout=0.1"}) {
    const auto arguments = [&](const std::string& out) {
      return command + " --epochs=1 --from=" + folder_ + "/tiny --out=" + out;
    };
    const std::string straight = folder_ + "/straight";
    const std::string stopped = folder_ + "/stopped";
    ASSERT_EQ(Run(arguments(straight)).exit_code, 0);
    EXPECT_EQ(Run(arguments(stopped) + " --stop-after=31").exit_code, 3);
    ASSERT_EQ(Run(arguments(stopped) + " --resume").exit_code, 0);
    for (const std::string file :
         {"/checkpoint.safetensors", "/model/model.safetensors",
          "/latent/model.safetensors"}) {
      if (command[0] == 'f' && file[1] == 'l') continue;  // no latent weights
      EXPECT_EQ(Contents(stopped + file), Contents(straight + file)) << file;
      EXPECT_FALSE(Contents(straight + file).empty()) << file;
    }
    fs::remove_all(straight);
    fs::remove_all(stopped);
  }
}

TEST_F(EndToEndTest, AStudentStartsFromLatentWeights) {
  const std::string first = folder_ + "/first", second = folder_ + "/second";
  const std::string ternarize = "ternarize --from=" + folder_ + "/tiny --out=";
  ASSERT_EQ(Run(ternarize + first + " --epochs=1").exit_code, 0);
  // The best of one evaluation is the end, too.
  for (const char* start : {"/latent", "/checkpoint.safetensors"}) {
    const Finished started =
        Run(ternarize + second + " --epochs=0 --student=" + first + start);
    ASSERT_EQ(started.exit_code, 0) << started.err;
    for (const char* file :
         {"/latent/model.safetensors", "/model/model.safetensors"}) {
      EXPECT_EQ(Contents(second + file), Contents(first + file)) << file;
    }
    fs::remove_all(second);
  }
  const Finished no_checkpoint = Run(
      ternarize + second + " --student=" + first + "/model/model.safetensors");
  EXPECT_EQ(no_checkpoint.exit_code, 1);
  EXPECT_THAT(no_checkpoint.err, HasSubstr("is no checkpoint of tern-train"));

  TinyModelOptions other;
  other.labels = 2;
  other.layers = 1;
  ASSERT_TRUE(WriteTinyModel(folder_ + "/small", other).ok());
  const Finished refused =
      Run(ternarize + second + " --student=" + folder_ + "/small");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("expected a student of its teacher's shape, 2 layers"));
}

TEST_F(EndToEndTest, AModelLearnsTheTeachersPredictionsInsteadOfTheLabels) {
  const std::string teacher = folder_ + "/teacher";
  TinyModelOptions options;
  options.labels = 2;
  options.hidden_size = 96;
  options.seed = 5;
  ASSERT_TRUE(WriteTinyModel(folder_ + "/large", options).ok());
  const std::string learn = " --epochs=4 --learning-rate=1e-3";
  ASSERT_EQ(
      Run("finetune --from=" + folder_ + "/large --out=" + teacher + learn)
          .exit_code,
      0);
  // No label says anything now.
  std::string data = Contents(folder_ + "/data/train.tsv");
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] == '1') data[i] = '0';
  }
  std::ofstream(folder_ + "/data/train.tsv", std::ios::binary) << data;
  const Finished taught =
      Run("finetune --from=" + folder_ + "/tiny --teacher=" + teacher +
          "/model --out=" + folder_ + "/taught" + learn);
  ASSERT_EQ(taught.exit_code, 0) << taught.err;
  EXPECT_GE(Run("evaluate --from=" + folder_ + "/taught/model").accuracy(),
            0.95);
}

TEST_F(EndToEndTest, AugmentationTrainsOnRewrittenCopies) {
  ASSERT_TRUE(WriteTinyMaskedLm(folder_ + "/lm").ok());
  const auto arguments = [&](const std::string& out) {
    return "finetune --epochs=1 --augment=2 --augment-model=" + folder_ +
           "/lm --from=" + folder_ + "/tiny --out=" + out;
  };
  const std::string first = folder_ + "/first", second = folder_ + "/second";
  const Finished finished = Run(arguments(first));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::string copies = Contents(first + "/augmented.tsv");
  EXPECT_EQ(std::count(copies.begin(), copies.end(), '\n'), 1 + 2 * 3000);
  // 9,000 examples in batches of 32.
  EXPECT_EQ(nlohmann::json::parse(finished.out)["steps"], 282);
  ASSERT_EQ(Run(arguments(second)).exit_code, 0);
  EXPECT_EQ(Contents(second + "/augmented.tsv"), copies);

  // Other words fit by another model, in the same folder though it is.
  ASSERT_TRUE(WriteTinyMaskedLm(folder_ + "/lm", /*seed=*/2).ok());
  fs::remove(second + "/checkpoint.safetensors");
  ASSERT_EQ(Run(arguments(second)).exit_code, 0);
  EXPECT_NE(Contents(second + "/augmented.tsv").substr(copies.find('\n')),
            copies.substr(copies.find('\n')));

  const Finished without_head =
      Run("finetune --augment=2 --augment-model=" + folder_ +
          "/tiny --from=" + folder_ + "/tiny --out=" + folder_ + "/third");
  EXPECT_EQ(without_head.exit_code, 1);
  EXPECT_THAT(without_head.err, HasSubstr("cls.predictions"));
}

TEST_F(EndToEndTest, SeveralSeedsMakeARowOfATable) {
  const std::string command =
      std::string("TERN_TRAIN=") + TERN_TRAIN_PROGRAM + " " + TERN_SOURCE_DIR +
      "/script/train-task sst-2 --seeds=1,2 --from=" + folder_ +
      "/tiny --data=" + folder_ + "/data --out=" + folder_ +
      "/runs --teacher='--threads=1 --epochs=1 --learning-rate=1e-3' "
      "--student='--threads=1 --epochs=0' 2>" +
      folder_ + "/err >";
  ASSERT_EQ(std::system((command + folder_ + "/row").c_str()), 0)
      << Contents(folder_ + "/err");
  const std::string row = Contents(folder_ + "/row");
  EXPECT_THAT(row, HasSubstr("| sst-2, tiny | 2 | "));
  EXPECT_THAT(row, HasSubstr(" to "));
  // Nothing is trained twice.
  fs::remove_all(folder_ + "/tiny");
  ASSERT_EQ(std::system((command + folder_ + "/again").c_str()), 0);
  EXPECT_EQ(Contents(folder_ + "/again"), row);
}

TEST_F(EndToEndTest, NoEpochIsPostTrainingTernarization) {
  ASSERT_TRUE(
      TernarizeFolder(folder_ + "/tiny", folder_ + "/post_training").ok());
  const Finished ternarized = Run("ternarize --epochs=0 --from=" + folder_ +
                                  "/tiny --out=" + folder_ + "/student");
  ASSERT_EQ(ternarized.exit_code, 0) << ternarized.err;
  for (const char* name : {"post_training", "student/model"}) {
    const Finished evaluated =
        Run("evaluate --from=" + folder_ + "/" + name + " --logits=" + folder_ +
            "/logits-" + (name[0] == 'p' ? "1" : "2"));
    ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  }
  EXPECT_EQ(Contents(folder_ + "/logits-1"), Contents(folder_ + "/logits-2"));
  EXPECT_FALSE(Contents(folder_ + "/logits-1").empty());
}

TEST_F(EndToEndTest, CalibrationIsAStartOfItsOwn) {
  const std::string out = folder_ + "/student";
  const std::string ternarize =
      "ternarize --calibrate=100 --from=" + folder_ + "/tiny --out=";
  const Finished calibrated = Run(ternarize + out + " --epochs=0");
  ASSERT_EQ(calibrated.exit_code, 0) << calibrated.err;
  EXPECT_THAT(calibrated.err, HasSubstr("calibrate ["));
  EXPECT_EQ(Run("evaluate --from=" + out + "/model").exit_code, 0);

  for (const char* flags : {" --weights=binary", " --weights=lat",
                            " --activations=per-tensor", " --student=x"}) {
    const Finished refused = Run(ternarize + out + flags);
    EXPECT_EQ(refused.exit_code, 2) << flags;
    EXPECT_THAT(refused.err, HasSubstr("--calibrate: expected")) << flags;
  }
}

TEST_F(EndToEndTest, ATeacherOfNaNsEndsWithAMessage) {
  const std::string weights = folder_ + "/tiny/model.safetensors";
  const int64_t bytes = static_cast<int64_t>(fs::file_size(weights));
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(bytes / 2);
  file << std::string(bytes - bytes / 2, '\xff');
  file.close();

  const Finished finished = Run("ternarize --calibrate=100 --from=" + folder_ +
                                "/tiny --out=" + folder_ + "/student");

  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("expected finite numbers, found nan"));
}

TEST_F(EndToEndTest, WhatCannotBeServedIsEvaluatedByTheTrainer) {
  const std::string scheme = " --weights=stochastic --activations=per-tensor";
  const std::string out = folder_ + "/student";
  const Finished trained = Run("ternarize --epochs=1 --plot --from=" + folder_ +
                               "/tiny --out=" + out + scheme);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("a ternary folder holds no such weights"));
  EXPECT_FALSE(fs::exists(out + "/model"));
  EXPECT_THAT(Contents(out + "/curves.svg"), HasSubstr("</svg>"));
  const Finished evaluated =
      Run("evaluate --precision=trainer --latent --from=" + out + "/latent" +
          scheme);
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_GT(evaluated.accuracy(), 0);
}

// A signal at any moment: what was not saved is done again, and the end is the
// same.
TEST_F(EndToEndTest, AKilledRunGoesOnToTheSameEnd) {
  const std::string train =
      "finetune --epochs=3 --dropout=0.1 --from=" + folder_ +
      "/tiny --out=" + folder_;
  ASSERT_EQ(Run(train + "/straight").exit_code, 0);
  for (const int signal : {SIGKILL, SIGTERM}) {
    const std::string out = folder_ + "/killed";
    // SIGKILL leaves what the interval had saved; SIGTERM saves.
    const std::string interval =
        signal == SIGKILL ? " --checkpoint-interval=1ms" : "";
    EXPECT_EQ(RunAndSignal(train + "/killed" + interval, out, signal),
              signal == SIGKILL ? -1 : 3);
    ASSERT_TRUE(fs::exists(out + "/checkpoint.safetensors"));
    if (signal == SIGTERM) {
      EXPECT_THAT(Contents(folder_ + "/err"), HasSubstr("--resume goes on"));
    }
    const Finished resumed = Run(train + "/killed --resume");
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    for (const char* file :
         {"/checkpoint.safetensors", "/model/model.safetensors"}) {
      EXPECT_EQ(Contents(out + file), Contents(folder_ + "/straight" + file));
      EXPECT_FALSE(Contents(out + file).empty());
    }
    fs::remove_all(out);
  }
}

TEST_F(EndToEndTest, StepsOfSeveralPassesSeeAsManyExamples) {
  const std::string train =
      "finetune --epochs=1 --dropout=0 --from=" + folder_ +
      "/tiny --out=" + folder_;
  // 3,000 examples: the last step has 24, a whole pass and a half one.
  const Finished finished = Run(train + "/passes --batch=16 --accumulate=2");
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(nlohmann::json::parse(finished.out)["steps"], 94);
  const std::string log = Contents(folder_ + "/passes/log.jsonl");
  EXPECT_THAT(log, HasSubstr("\"step\":94"));
}

TEST_F(EndToEndTest, BadDataIsNamedWithFileAndLine) {
  std::ofstream(folder_ + "/data/train.tsv", std::ios::app) << "a b\t2\n";
  const Finished finished =
      Run("finetune --from=" + folder_ + "/tiny --out=" + folder_ + "/run");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("/data/train.tsv:3002: expected a label "
                                      "of 0, 1; found '2'"));
}

TEST_F(EndToEndTest, ALossThatIsNotFiniteNamesItsLines) {
  TinyModelOptions options;
  options.task = TinyTask::kRegression;
  ASSERT_TRUE(WriteTinyModel(folder_ + "/scorer", options).ok());
  // The square of 1e30 is no float.
  std::ofstream(folder_ + "/scores.tsv") << "text\tscore\na\t1\nb\t1e30\n";
  const Finished finished = Run(
      "finetune --task=tsv --regression --text-column=text "
      "--label-column=score --train-file=" +
      folder_ + "/scores.tsv --dev-file=" + folder_ +
      "/scores.tsv --from=" + folder_ + "/scorer --out=" + folder_ + "/run");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("scores.tsv: the loss is inf at step 0, "
                                      "whose batch has line 2, line 3"));
}

TEST_F(EndToEndTest, BadFlagsAreNamed) {
  const Finished finished = Run("finetune --batch=0 --from=x --out=y");
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err,
              HasSubstr("--batch: expected 1 to 4096, found '0'"));
  EXPECT_THAT(Run("finetune --bogus").err, HasSubstr("--bogus: no such flag"));
  EXPECT_EQ(Run("finetune --epochs=x").exit_code, 2);
  const Finished no_command = Run("fly --from=x");
  EXPECT_EQ(no_command.exit_code, 2);
  EXPECT_THAT(Run("evaluate --from=x --task=sst2").err,
              HasSubstr("--task: expected sst-2, cola"));
  EXPECT_THAT(no_command.err, HasSubstr("found 'fly'"));
  EXPECT_THAT(Run("evaluate --latent --from=x").err,
              HasSubstr("--precision: expected trainer for --latent"));
}

TEST_F(EndToEndTest, AFlagThatNobodyWouldReadIsRefused) {
  const auto expect = [this](const std::string& command,
                             const std::string& problem) {
    const Finished finished = Run(command + " --from=x");
    EXPECT_EQ(finished.exit_code, 2) << command;
    EXPECT_THAT(finished.err, HasSubstr(problem));
  };
  expect("score --predictions=y --task=squad --dev-file=z",
         "--from: expected only with finetune, ternarize or evaluate");
  expect("evaluate --weights=binary",
         "--weights: expected only with ternarize, and with evaluate --latent, "
         "found 'binary'");
  expect("finetune --out=z --predictions=y",
         "--predictions: expected only with evaluate or score of squad");
  expect("ternarize --out=z --ternarizer=lat --weights=binary",
         "--ternarizer: expected --weights again, binary, found 'lat'");
  expect("ternarize --out=z --teacher=y", "--teacher: expected only with");
  expect("finetune --out=z --nodistill-hidden",
         "--distill-hidden: expected only with ternarize, found 'false'");
  expect("evaluate --augment=1",
         "--augment: expected only with finetune or ternarize");
  expect("finetune --out=z --augment-model=y",
         "--augment-model: expected only with --augment");
  expect("evaluate --compute=bf16", "--compute: expected only with finetune");
  expect("ternarize --out=z --weights=lat --epochs=0",
         "--epochs: expected 1 at least for LAT");
  expect(
      "score --task=squad --dev-file=y --predictions=z "
      "--no-answer-threshold=3",
      "--no-answer-threshold: expected only with task squad, and not with "
      "score");
  expect("evaluate --text-column=text",
         "--text-column: expected only with task tsv, found 'text'");
  expect("evaluate --doc-stride=64",
         "--doc-stride: expected only with task squad");
}

TEST_F(EndToEndTest, ExplainsItself) {
  const Finished help = Run("--help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, StartsWith("tern-train: trains BERT"));
  for (const char* flag : {"--learning-rate  (5e-05)", "--student", "--task"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
  const Finished version = Run("--version");
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, StartsWith("tern-train 0."));
}

TEST_F(EndToEndTest, ARunDoesNotGoOnWithOtherData) {
  const std::string finetune = "finetune --epochs=2 --from=" + folder_ +
                               "/tiny --out=" + folder_ + "/run";
  ASSERT_EQ(Run(finetune + " --stop-after=3").exit_code, 3);
  WriteToyData(folder_ + "/data/train.tsv", 3000, 7);
  const Finished finished = Run(finetune + " --resume");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("was made with finetune"));
  WriteToyData(folder_ + "/data/train.tsv", 3000, 1);
  EXPECT_EQ(Run(finetune + " --resume --stop-after=4").exit_code, 3);
}

TEST_F(EndToEndTest, AStudentDoesNotReplaceItsTeacher) {
  fs::create_directories(folder_ + "/run");
  fs::rename(folder_ + "/tiny", folder_ + "/run/model");
  const Finished finished = Run("ternarize --from=" + folder_ +
                                "/run/model --out=" + folder_ + "/run/");
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr("--out: expected another run"));

  // Nor its own start.
  fs::create_directories(folder_ + "/student/latent");
  std::ofstream(folder_ + "/student/checkpoint.safetensors") << "x";
  for (const char* start : {"/latent", "/checkpoint.safetensors"}) {
    const Finished again =
        Run("ternarize --from=" + folder_ + "/run/model --out=" + folder_ +
            "/student --student=" + folder_ + "/student" + start);
    EXPECT_EQ(again.exit_code, 2) << start;
    EXPECT_THAT(again.err, HasSubstr("--out: expected another run"));
  }
}

TEST_F(EndToEndTest, AVocabularyPastTheEmbeddingsIsRefused) {
  std::ofstream(folder_ + "/tiny/vocab.txt", std::ios::app) << "\nmore\n";
  const Finished finished = Run("evaluate --from=" + folder_ + "/tiny");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("vocab.txt: expected at most"));
}

TEST_F(EndToEndTest, LabelsOfAnEvaluationAreTheModels) {
  const std::string columns =
      " --task=tsv --text-column=sentence "
      "--label-column=label --train-file=";
  const std::string train = folder_ + "/named.tsv", dev = folder_ + "/dev.tsv";
  std::ofstream(train) << "sentence\tlabel\na b\tcold\nb\twarm\n";
  std::ofstream(dev) << "sentence\tlabel\na b\tcold\nb\twram\n";
  ASSERT_EQ(Run("finetune --epochs=1 --from=" + folder_ + "/tiny --out=" +
                folder_ + "/run" + columns + train + " --dev-file=" + train)
                .exit_code,
            0);
  const Finished finished =
      Run("evaluate --from=" + folder_ +
          "/run/model --task=tsv "
          "--text-column=sentence --label-column=label --dev-file=" +
          dev);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("dev.tsv:3: expected a label of cold, "
                                      "warm; found 'wram'"));
}

TEST_F(EndToEndTest, ARunIsNotReplacedUnasked) {
  const std::string finetune = "finetune --epochs=1 --from=" + folder_ +
                               "/tiny --out=" + folder_ + "/run";
  ASSERT_EQ(Run(finetune).exit_code, 0);
  const std::string log = Contents(folder_ + "/run/log.jsonl");
  const Finished again = Run(finetune);
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("there is a run already; --resume goes on"));
  EXPECT_EQ(Contents(folder_ + "/run/log.jsonl"), log);
}

// Hugging Face's models of a task name its labels in one order or the other.
TEST_F(EndToEndTest, LabelsAreThoseOfTheModelInItsOrder) {
  const std::string teacher = folder_ + "/teacher",
                    taught = folder_ + "/taught";
  ASSERT_EQ(Run("finetune --epochs=4 --learning-rate=1e-3 --from=" + folder_ +
                "/tiny --out=" + teacher)
                .exit_code,
            0);
  const double accuracy =
      Run("evaluate --from=" + teacher + "/model").accuracy();
  EXPECT_GE(accuracy, 0.95);
  // The same model, its two outputs told the other way round.
  const std::string path = teacher + "/model/config.json";
  nlohmann::json config = nlohmann::json::parse(Contents(path));
  ASSERT_EQ(config["id2label"]["0"], "negative");
  config["id2label"] = {{"0", "Positive"}, {"1", "Negative"}};
  config["label2id"] = {{"Positive", 0}, {"Negative", 1}};
  std::ofstream(path) << config;
  EXPECT_NEAR(Run("evaluate --from=" + teacher + "/model").accuracy(),
              1 - accuracy, 1e-9);

  ASSERT_EQ(Run("finetune --epochs=1 --from=" + folder_ +
                "/tiny --teacher=" + teacher + "/model --out=" + taught)
                .exit_code,
            0);
  config = nlohmann::json::parse(Contents(taught + "/model/config.json"));
  EXPECT_EQ(config["id2label"]["0"], "positive");

  config["id2label"] = {{"0", "negative"}, {"1", "positive"}};
  config["label2id"] = {{"negative", 0}, {"positive", 1}};
  std::ofstream(taught + "/model/config.json") << config;
  const Finished refused =
      Run("ternarize --from=" + teacher + "/model --student=" + taught +
          "/model --out=" + folder_ + "/student");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("expected the labels in the order positive, negative; "
                        "found negative, positive"));
}

TEST_F(EndToEndTest, AHeadForAnotherKindOfAnswerIsRefused) {
  const std::string path = folder_ + "/tiny/config.json";
  nlohmann::json config = nlohmann::json::parse(Contents(path));
  config["problem_type"] = "multi_label_classification";
  std::ofstream(path) << config;
  const Finished finished = Run("evaluate --from=" + folder_ + "/tiny");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("expected 'problem_type' "
                                      "single_label_classification"));
}

TEST_F(EndToEndTest, ThereIsNothingToResume) {
  const Finished finished = Run("finetune --resume --from=" + folder_ +
                                "/tiny --out=" + folder_ + "/run");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("expected a checkpoint to go on from"));
}

}  // namespace
}  // namespace tern
