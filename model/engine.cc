#include "model/engine.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/variant.h"
#include "model/layers.h"
#include "model/pooling.h"
#include "model/safetensors.h"
#include "model/tensor_names.h"
#include "model/weights.h"

namespace tern {
namespace {

// From how many rows a thread on, each thread does better with a tile of its
// own than with a share of every product's columns. That share costs nine
// barriers a layer; a tile costs that each thread reads all weights, of which
// only ternary ones stay in the caches.
int LeastTileRows(Precision precision) {
  return precision == Precision::kTernary ? 3 : kTileRows;
}

// Takes rows through the layers: fn(rows, tile, team). A batch with work for
// all threads goes a tile at a time, each tile on one thread from the first
// layer of `fn` to the last; a smaller one goes as a whole, its columns shared.
template <typename Fn>
void ForTiles(const BertConfig& config, int least_tile_rows, int rows,
              Workspace& workspace, ThreadTeam& team, const Fn& fn) {
  const int threads = team.threads();
  if (threads > 1 && rows < threads * least_tile_rows) {
    fn(RowRange{0, rows}, workspace.Tile(0, config), team);
    return;
  }
  // Tiles of equal height, so that no thread is left with a short one.
  const int rounds = (rows + threads * kTileRows - 1) / (threads * kTileRows);
  const int tiles = std::max(1, rounds * threads);
  team.For(tiles, [&](int tile, int thread) {
    ThreadTeam alone(1);
    const RowRange range{static_cast<int>(int64_t{rows} * tile / tiles),
                         static_cast<int>(int64_t{rows} * (tile + 1) / tiles)};
    fn(range, workspace.Tile(thread * kTileRows, config), alone);
  });
}

int64_t CountParameters(const BertConfig& config, const Safetensors& file) {
  int64_t parameters = 0;
  for (const ExpectedTensor& tensor : ExpectedTensors(config, file)) {
    int64_t size = 1;
    for (const int64_t extent : tensor.shape) size *= extent;
    parameters += size;
  }
  return parameters;
}

// Whether only the first token of each sequence is needed after the last
// layer's attention.
bool ReadsFirstTokensOnly(const BertConfig& config) {
  if (config.task == Task::kQuestionAnswering) return false;
  return config.task != Task::kEmbedding ||
         config.embedding.pooling == Pooling::kFirstToken;
}

// Moves the rows of first tokens to the front, in place; rows [tokens, k].
void KeepFirstTokens(const Batch& batch, int k, float* rows) {
  for (int s = 0; s < batch.sequences(); ++s) {
    std::memmove(rows + static_cast<size_t>(s) * k,
                 rows + static_cast<size_t>(batch.starts[s]) * k,
                 k * sizeof(float));
  }
}

// embeddings [sequences, hidden] of the last layer's rows.
void PoolSequences(const BertConfig& config, const Batch& batch,
                   const float* hidden, float* embeddings, ThreadTeam& team) {
  const bool first_only = ReadsFirstTokensOnly(config);
  const ptrdiff_t k = config.hidden_size;
  team.For(batch.sequences(), [&](int s, int) {
    PoolTokens(config.embedding.pooling,
               hidden + (first_only ? s : batch.starts[s]) * k,
               first_only ? 1 : batch.length(s), config.hidden_size,
               embeddings + s * k);
  });
}

}  // namespace

absl::string_view PrecisionName(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kInt8:
      return "int8";
    case Precision::kTernary:
      return "ternary";
  }
  return "";
}

absl::StatusOr<Precision> ParsePrecision(absl::string_view name) {
  for (Precision p :
       {Precision::kFp32, Precision::kInt8, Precision::kTernary}) {
    if (name == PrecisionName(p)) return p;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "precision: expected fp32, int8 or ternary, found '", name, "'"));
}

struct Engine::Impl {
  BertConfig config;
  Precision precision;
  const Variant* variant;
  BertWeights weights;
  int64_t parameters;
  int64_t file_bytes;
};

Engine::Engine(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Load(
    const std::string& folder, const EngineOptions& options) {
  auto impl = std::make_unique<Impl>();
  absl::StatusOr<BertConfig> config = LoadConfig(folder);
  if (!config.ok()) return config.status();
  impl->config = *std::move(config);

  impl->precision =
      impl->config.ternary ? Precision::kTernary : Precision::kFp32;
  if (!options.precision.empty()) {
    absl::StatusOr<Precision> precision = ParsePrecision(options.precision);
    if (!precision.ok()) return precision.status();
    impl->precision = *precision;
  }
  if (impl->precision == Precision::kTernary && !impl->config.ternary) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder,
        ": precision ternary: expected quant_method \"tern\" in config.json, "
        "found none; `tern-model ternarize` makes a ternary folder"));
  }

  impl->variant = options.kernels;
  if (impl->variant == nullptr) {
    absl::StatusOr<const Variant*> variant = ChooseVariant(options.variant);
    if (!variant.ok()) return variant.status();
    impl->variant = *variant;
  }

  absl::StatusOr<std::unique_ptr<Safetensors>> file =
      Safetensors::Open(folder + "/model.safetensors");
  if (!file.ok()) return file.status();
  if (impl->config.ternary && options.verify_checksums) {
    if (absl::Status status = (*file)->VerifyChecksums(); !status.ok()) {
      return status;
    }
  }
  absl::StatusOr<BertWeights> weights =
      LoadWeights(**file, impl->config, impl->precision, *impl->variant);
  if (!weights.ok()) {
    return absl::Status(
        weights.status().code(),
        absl::StrCat((*file)->path(), ": ", weights.status().message()));
  }
  impl->weights = *std::move(weights);
  impl->parameters = CountParameters(impl->config, **file);
  impl->file_bytes = (*file)->file_bytes();
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

absl::StatusOr<absl::Span<const float>> Engine::Forward(
    const Batch& batch, Workspace& workspace, ThreadTeam& team,
    absl::FunctionRef<bool()> abandoned) const {
  const BertConfig& config = impl_->config;
  const auto& layers = impl_->weights.layers;
  const bool quantized = impl_->precision != Precision::kFp32;
  const LayerContext context{config, *impl_->variant, quantized,
                             impl_->precision == Precision::kTernary};
  float* hidden = workspace.hidden();
  const auto for_tiles = [&](int rows, const auto& fn) {
    ForTiles(config, LeastTileRows(impl_->precision), rows, workspace, team,
             fn);
  };

  for_tiles(batch.tokens(),
            [&](RowRange rows, const TileScratch& tile, ThreadTeam& threads) {
              impl_->weights.embeddings->Forward(context, batch, rows, hidden,
                                                 tile, threads);
              layers[0]->ProjectQkv(context, rows, workspace, tile, threads);
            });

  for (int l = 0; l + 1 < config.layers; ++l) {
    if (abandoned()) return absl::CancelledError("nobody awaits this batch");
    Attend(context, batch, workspace, team);
    for_tiles(batch.tokens(), [&](RowRange rows, const TileScratch& tile,
                                  ThreadTeam& threads) {
      layers[l]->FeedForward(context, rows, workspace, tile, threads);
      layers[l + 1]->ProjectQkv(context, rows, workspace, tile, threads);
    });
  }

  if (abandoned()) return absl::CancelledError("nobody awaits this batch");
  Attend(context, batch, workspace, team);
  int rows_with_logits = batch.tokens();
  if (ReadsFirstTokensOnly(config)) {
    KeepFirstTokens(batch, config.hidden_size, hidden);
    KeepFirstTokens(batch, config.attention_size(), workspace.context());
    if (config.family == Family::kMobileBert) {
      KeepFirstTokens(batch, config.attention_size(), workspace.bottleneck());
    }
    rows_with_logits = batch.sequences();
  }
  for_tiles(rows_with_logits, [&](RowRange rows, const TileScratch& tile,
                                  ThreadTeam& threads) {
    layers.back()->FeedForward(context, rows, workspace, tile, threads);
    if (config.task == Task::kEmbedding) return;
    impl_->weights.head.Forward(context, rows, hidden, workspace.logits(), tile,
                                threads);
  });
  if (config.task == Task::kEmbedding) {
    PoolSequences(config, batch, hidden, workspace.logits(), team);
    rows_with_logits = batch.sequences();
  }
  return absl::MakeConstSpan(
      workspace.logits(),
      static_cast<size_t>(rows_with_logits) * config.outputs());
}

const BertConfig& Engine::config() const { return impl_->config; }
Precision Engine::precision() const { return impl_->precision; }
absl::string_view Engine::variant() const { return impl_->variant->name; }
int64_t Engine::parameters() const { return impl_->parameters; }
int64_t Engine::file_bytes() const { return impl_->file_bytes; }

}  // namespace tern
