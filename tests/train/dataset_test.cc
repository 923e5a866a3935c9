#include "train/dataset.h"

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "train/batches.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string ErrorOf(const std::string& task, const std::string& text) {
  const std::string path = WriteFile("bad.tsv", text);
  const auto dataset = ReadDataset(path, *FindTask(task));
  EXPECT_EQ(dataset.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(dataset.status().message());
  EXPECT_THAT(message, HasSubstr(path));
  return message;
}

TEST(DatasetTest, ReadsSst2) {
  const auto dataset = ReadDataset(
      WriteFile("sst2.tsv", "sentence\tlabel\na joy \t1\r\n\"dull\t0\n"),
      *FindTask("sst-2"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(dataset->examples.size(), 2u);
  EXPECT_EQ(dataset->examples[0].text, "a joy ");
  EXPECT_EQ(dataset->examples[0].label, 1);
  EXPECT_EQ(dataset->examples[1].text, "\"dull");  // quotes mean nothing
  EXPECT_EQ(dataset->examples[1].line, 3);
  EXPECT_FALSE(dataset->pairs);
}

TEST(DatasetTest, ReadsColaWithoutAHeader) {
  const auto dataset = ReadDataset(
      WriteFile("cola.tsv", "gj04\t1\t\tShe ran.\ngj04\t0\t*\tRan she.\n"),
      *FindTask("cola"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->examples[1].text, "Ran she.");
  EXPECT_EQ(dataset->examples[1].label, 0);
}

TEST(DatasetTest, ReadsPairsAfterAByteOrderMark) {
  const auto dataset = ReadDataset(
      WriteFile("mrpc.tsv",
                "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
                "1\t7\t8\tone\ttwo\n"),
      *FindTask("mrpc"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->pairs);
  EXPECT_EQ(dataset->examples[0].text, "one");
  EXPECT_EQ(dataset->examples[0].pair, "two");
}

TEST(DatasetTest, ReadsScoresForRegression) {
  const auto dataset = ReadDataset(
      WriteFile("stsb.tsv", "sentence1\tsentence2\tscore\na\tb\t3.75\n"),
      *FindTask("sts-b"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->examples[0].label, 3.75f);
}

TEST(DatasetTest, ReadsQqpWithoutItsBrokenLines) {
  const auto dataset = ReadDataset(
      WriteFile("qqp.tsv",
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                "7\t1\t2\twhy?\thow?\t0\n"
                "8\t3\t4 broken\n"
                "within\ta question?\t1\n"
                "9\t5\t6\twho?\twhich one?\t1\n"),
      *FindTask("qqp"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->skipped_lines, 2);
  ASSERT_EQ(dataset->examples.size(), 2u);
  EXPECT_EQ(dataset->examples[1].text, "who?");
  EXPECT_EQ(dataset->examples[1].pair, "which one?");
  EXPECT_EQ(dataset->examples[1].label, 1);
  EXPECT_EQ(dataset->examples[1].line, 5);
  EXPECT_THAT(ErrorOf("qqp",
                      "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                      "8\t3\t4 broken\n"),
              HasSubstr("expected examples, the file has none"));
}

TEST(DatasetTest, ReadsMnliByItsGoldLabels) {
  const auto dataset = ReadDataset(
      WriteFile("mnli.tsv",
                "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
                "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\t"
                "sentence1\tsentence2\tlabel1\tgold_label\n"
                "0\t31193\t31193n\tgovernment\t( a )\t( b )\t(X a)\t(X b)\t"
                "premise\thypothesis\tentailment\tneutral\n"),
      *FindTask("mnli"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Example& example = dataset->examples[0];
  EXPECT_EQ(example.text, "premise");
  EXPECT_EQ(example.pair, "hypothesis");
  EXPECT_EQ(FindTask("mnli")->labels[static_cast<size_t>(example.label)],
            "neutral");
}

TEST(DatasetTest, ReadsQnli) {
  const auto dataset =
      ReadDataset(WriteFile("qnli.tsv",
                            "index\tquestion\tsentence\tlabel\n"
                            "0\twhen?\tIn 1914.\tentailment\n"
                            "1\twho?\tIt rained.\tnot_entailment\n"),
                  *FindTask("qnli"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->examples[0].pair, "In 1914.");
  EXPECT_EQ(dataset->examples[1].label, 1);
}

TEST(DatasetTest, MissingFileIsNamed) {
  const auto dataset = ReadDataset("no/such.tsv", *FindTask("sst-2"));
  EXPECT_EQ(dataset.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(dataset.status().message()),
              HasSubstr("no/such.tsv"));
}

TEST(DatasetTest, MissingColumnIsNamedWithWhatTheHeaderHas) {
  EXPECT_THAT(ErrorOf("sst-2", "text\tlabel\na\t1\n"),
              HasSubstr(":1: expected a column 'sentence', the header has "
                        "text, label"));
}

TEST(DatasetTest, ShortLineIsNamed) {
  EXPECT_THAT(ErrorOf("sst-2", "sentence\tlabel\na\t1\nno label\n"),
              HasSubstr(":3: expected at least 2 tab-separated columns"));
}

TEST(DatasetTest, UnknownLabelIsNamed) {
  EXPECT_THAT(ErrorOf("rte", "sentence1\tsentence2\tlabel\na\tb\tmaybe\n"),
              HasSubstr(":2: expected a label of entailment, not_entailment; "
                        "found 'maybe'"));
}

TEST(DatasetTest, ScoreThatIsNoNumberIsNamed) {
  EXPECT_THAT(ErrorOf("sts-b", "sentence1\tsentence2\tscore\na\tb\tnan\n"),
              HasSubstr(":2: expected a score, found 'nan'"));
}

TEST(DatasetTest, FileWithoutExamplesIsRefused) {
  EXPECT_THAT(ErrorOf("sst-2", "sentence\tlabel\n"),
              HasSubstr("expected examples, the file has none"));
  EXPECT_THAT(ErrorOf("cola", ""),
              HasSubstr("expected examples, the file has none"));
}

TEST(DatasetTest, CollectsTheLabelsOfAnyFile) {
  TaskSpec task;
  task.text_column = "t";
  task.label_column = "l";
  const auto labels = CollectLabels(
      WriteFile("any.tsv", "t\tl\na\tyes\nb\tno\nc\tyes\n"), task);
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(*labels, ElementsAre("no", "yes"));
}

std::vector<Sequence> SequencesOfLengths(int count) {
  std::vector<Sequence> sequences(count);
  for (int i = 0; i < count; ++i) {
    sequences[i].ids.assign(2 + i * 7 % 31, i);
    sequences[i].type_ids.assign(sequences[i].ids.size(), 0);
  }
  return sequences;
}

TEST(BatchesTest, EveryEpochHasEverySequenceOnce) {
  const std::vector<Sequence> sequences = SequencesOfLengths(1000);
  for (int64_t epoch : {0, 1, 7}) {
    std::vector<int> seen(sequences.size());
    for (const auto& batch : PlanEpoch(sequences, 8, 5, epoch)) {
      EXPECT_LE(batch.size(), 8u);
      for (int index : batch) ++seen[index];
    }
    EXPECT_THAT(seen, testing::Each(1));
  }
}

TEST(BatchesTest, PlansDependOnSeedAndEpochAlone) {
  const std::vector<Sequence> sequences = SequencesOfLengths(500);
  EXPECT_EQ(PlanEpoch(sequences, 8, 5, 1), PlanEpoch(sequences, 8, 5, 1));
  EXPECT_NE(PlanEpoch(sequences, 8, 5, 1), PlanEpoch(sequences, 8, 5, 2));
  EXPECT_NE(PlanEpoch(sequences, 8, 5, 1), PlanEpoch(sequences, 8, 6, 1));
}

TEST(BatchesTest, NeighboursInABatchAreOfLikeLength) {
  const std::vector<Sequence> sequences = SequencesOfLengths(2000);
  int64_t tokens = 0, padded = 0;
  for (const auto& indices : PlanEpoch(sequences, 8, 5, 0)) {
    const TokenBatch batch =
        MakeTokenBatch(sequences, indices, Task::kSingleLabel);
    tokens += batch.tokens();
    padded += batch.longest * batch.sequences();
  }
  EXPECT_LT(padded, 1.1 * tokens);
}

}  // namespace
}  // namespace tern
