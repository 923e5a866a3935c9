#include "train/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "kernels/aligned_buffer.h"
#include "kernels/attention.h"
#include "torch/csrc/autograd/custom_function.h"
#include "train/dropout.h"
#include "train/fake_quantize.h"
#include "train/kernel_functions.h"
#include "train/matrix_product.h"
#include "train/vector_clones.h"

namespace tern {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Queries whose scores are in the cache together.
constexpr int64_t kBlockRows = 64;

// What the probabilities p = e / sum, e in [0, 1], of a row become.
enum class Probabilities : int64_t {
  kFloat,
  kServed,     // round(255 e) / (255 sum)
  kPerTensor,  // step round(p / step), the step of the whole batch
};

// All that a call is determined by besides q, k and v; its backward pass does
// it again.
struct Call {
  std::vector<int64_t> starts;  // as TokenBatch's
  int64_t heads = 1;
  Probabilities probabilities = Probabilities::kFloat;
  double step = 0;  // kPerTensor's
  double dropout = 0;
  int64_t seed = 0;  // dropout's

  void Save(AutogradContext* context) const {
    context->saved_data["starts"] = starts;
    context->saved_data["heads"] = heads;
    context->saved_data["probabilities"] = static_cast<int64_t>(probabilities);
    context->saved_data["step"] = step;
    context->saved_data["dropout"] = dropout;
    context->saved_data["seed"] = seed;
  }
  static Call Saved(AutogradContext* context) {
    return {context->saved_data["starts"].toIntVector(),
            context->saved_data["heads"].toInt(),
            static_cast<Probabilities>(
                context->saved_data["probabilities"].toInt()),
            context->saved_data["step"].toDouble(),
            context->saved_data["dropout"].toDouble(),
            context->saved_data["seed"].toInt()};
  }
};

// Where one head of one sequence stands in [tokens, hidden] tensors, and its
// scores among all.
struct Head {
  int64_t index = 0;   // among the heads of all sequences
  int64_t length = 0;  // tokens
  int64_t dim = 0;
  int64_t stride = 0;  // from token to token
  int64_t offset = 0;
  int64_t scores_offset = 0;

  float* In(const torch::Tensor& rows) const {
    return rows.data_ptr<float>() + offset;
  }
  float unit() const { return 1 / std::sqrt(static_cast<float>(dim)); }
};

int64_t ScoresOf(const Call& call) {
  int64_t pairs = 0;
  for (size_t s = 0; s + 1 < call.starts.size(); ++s) {
    const int64_t length = call.starts[s + 1] - call.starts[s];
    pairs += length * length;
  }
  return call.heads * pairs;
}

// Calls task(head, scratch) for each head of each sequence, on all threads.
// `Scratch` is made once a thread, from the longest sequence's length.
template <typename Scratch, typename Task>
void ForHeads(const Call& call, int64_t hidden, const Task& task) {
  std::vector<Head> heads;
  int64_t longest = 0, scores_offset = 0;
  for (size_t s = 0; s + 1 < call.starts.size(); ++s) {
    Head head;
    head.length = call.starts[s + 1] - call.starts[s];
    head.dim = hidden / call.heads;
    head.stride = hidden;
    longest = std::max(longest, head.length);
    for (int64_t h = 0; h < call.heads; ++h) {
      head.index = static_cast<int64_t>(heads.size());
      head.offset = call.starts[s] * hidden + h * head.dim;
      head.scores_offset = scores_offset;
      scores_offset += head.length * head.length;
      heads.push_back(head);
    }
  }
  at::parallel_for(0, heads.size(), 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(longest, hidden / call.heads);
    for (int64_t i = begin; i < end; ++i) task(heads[i], scratch);
  });
}

// Some rows of scores and what comes from them.
struct BlockScratch {
  BlockScratch(int64_t longest, int64_t /*head_dim*/)
      : scores(kBlockRows * longest),
        used(kBlockRows * longest),
        gradients(kBlockRows * longest),
        factors(longest) {}

  std::vector<float> scores;     // then e
  std::vector<float> used;       // probabilities as they meet v
  std::vector<float> gradients;  // of the probabilities, then of the scores
  std::vector<float> factors;    // dropout's, of one row
  float sums[kBlockRows];        // of e
};

struct KernelScratch {
  KernelScratch(int64_t longest, int64_t head_dim)
      : bytes(AttentionScratchBytes(static_cast<int>(longest),
                                    static_cast<int>(head_dim))),
        values(longest * head_dim) {}

  AlignedBuffer<uint8_t> bytes;
  std::vector<float> values;
};

// x = exp(x - max x) of n scores; returns the sum.
//
// e^y for y <= 0, good to 3e-7 of it and cut below at -87.3, is 2^n e^r with r
// in [-ln 2 / 2, ln 2 / 2], by the polynomial of kernels/attention.inc.
TERN_VECTOR_CLONES float ExpOfScores(float* x, int64_t n) {
  constexpr float kRounder = 0x1.8p23f;  // a sum with it has no fraction
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < n; ++j) largest = largest < x[j] ? x[j] : largest;
  // By itself: in the next loop gcc 12 would make a branch of it, and no
  // vectors.
  for (int64_t j = 0; j < n; ++j) {
    const float difference = x[j] - largest;
    x[j] = difference < -87.3f ? -87.3f : difference;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    const float y = x[j];
    const float power_of_two = (y * 0x1.715476p+0f + kRounder) - kRounder;
    const float r =
        (y - power_of_two * 0x1.62e4p-1f) + power_of_two * 0x1.7f7d1cp-20f;
    float p = 0.00138145898607f;
    p = p * r + 0.00836871771042f;
    p = p * r + 0.0416683882288f;
    p = p * r + 0.166665206228f;
    p = p * r + 0.499999934469f;
    const int32_t bits = (static_cast<int32_t>(power_of_two) + 127) << 23;
    float scale;
    __builtin_memcpy(&scale, &bits, sizeof scale);
    const float e = (1 + (r + r * r * p)) * scale;
    x[j] = e;
    sum += e;
  }
  return sum;
}

// p[j] = factor round(unit e[j]); without rounding where `rounded` is false.
TERN_VECTOR_CLONES void Scale(const float* e, int64_t n, float unit,
                              float factor, bool rounded, float* p) {
  constexpr float kRounder = 0x1.8p23f;
  if (!rounded) {
    for (int64_t j = 0; j < n; ++j) p[j] = factor * e[j];
    return;
  }
  for (int64_t j = 0; j < n; ++j) {
    p[j] = factor * ((unit * e[j] + kRounder) - kRounder);
  }
}

TERN_VECTOR_CLONES void Multiply(const float* factors, int64_t n, float* x) {
  for (int64_t j = 0; j < n; ++j) x[j] *= factors[j];
}

// d = p (d - sum p d) + added, of n: the gradient of softmax(x) = p at x. p is
// e / sum of e; `added` may be null.
TERN_VECTOR_CLONES void SoftmaxGradient(const float* e, float inverse_sum,
                                        const float* added, int64_t n,
                                        float* d) {
  float mean = 0;
#pragma omp simd reduction(+ : mean)
  for (int64_t j = 0; j < n; ++j) mean += e[j] * d[j];
  mean *= inverse_sum;
  for (int64_t j = 0; j < n; ++j) d[j] = inverse_sum * e[j] * (d[j] - mean);
  if (added == nullptr) return;
  for (int64_t j = 0; j < n; ++j) d[j] += added[j];
}

// The probabilities of row `i` of a head as they meet v, from e.
void UseProbabilities(const Call& call, const Head& head, int64_t i,
                      const float* e, float sum, BlockScratch& scratch,
                      float* p) {
  const float step = static_cast<float>(call.step);
  switch (call.probabilities) {
    case Probabilities::kFloat:
      Scale(e, head.length, 1, 1 / sum, /*rounded=*/false, p);
      break;
    case Probabilities::kServed:
      Scale(e, head.length, 255, 1 / (255 * sum), /*rounded=*/true, p);
      break;
    case Probabilities::kPerTensor:
      Scale(e, head.length, 1 / (sum * step), step, /*rounded=*/true, p);
      break;
  }
  if (call.dropout == 0) return;
  // A row of the mask for each query of each head, told apart by its first
  // element's place among all scores.
  DropoutFactors(call.seed, head.scores_offset + i * head.length, call.dropout,
                 head.length, scratch.factors.data());
  Multiply(scratch.factors.data(), head.length, p);
}

// scores [rows, length] of the queries from `first` on.
void ScoreBlock(const Head& head, const torch::Tensor& q,
                const torch::Tensor& k, int64_t first, int64_t rows,
                float* scores) {
  Gemm({.m = rows,
        .n = head.length,
        .k = head.dim,
        .alpha = head.unit(),
        .a = {head.In(q) + first * head.stride, head.stride},
        .b = {head.In(k), head.stride, /*transposed=*/true},
        .c = scores,
        .c_stride = head.length});
}

template <typename Use>
void ForBlocks(const Head& head, const Use& use) {
  for (int64_t first = 0; first < head.length; first += kBlockRows) {
    use(first, std::min(kBlockRows, head.length - first));
  }
}

// Makes scratch.scores e, and scratch.sums.
void SoftmaxRows(const Head& head, int64_t rows, BlockScratch& scratch) {
  for (int64_t i = 0; i < rows; ++i) {
    scratch.sums[i] =
        ExpOfScores(scratch.scores.data() + i * head.length, head.length);
  }
}

void SoftmaxBlock(const Head& head, const torch::Tensor& q,
                  const torch::Tensor& k, int64_t first, int64_t rows,
                  BlockScratch& scratch) {
  ScoreBlock(head, q, k, first, rows, scratch.scores.data());
  SoftmaxRows(head, rows, scratch);
}

// UseProbabilities of SoftmaxRows' rows, into scratch.used.
void UseBlock(const Call& call, const Head& head, int64_t first, int64_t rows,
              BlockScratch& scratch) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t row = i * head.length;
    UseProbabilities(call, head, first + i, scratch.scores.data() + row,
                     scratch.sums[i], scratch, scratch.used.data() + row);
  }
}

// The largest probability of all: e is 1 somewhere in each row.
float LargestProbability(const Call& call, const torch::Tensor& q,
                         const torch::Tensor& k) {
  std::atomic<float> least{std::numeric_limits<float>::infinity()};
  ForHeads<BlockScratch>(
      call, q.size(1), [&](const Head& head, BlockScratch& scratch) {
        float sum = std::numeric_limits<float>::infinity();
        ForBlocks(head, [&](int64_t first, int64_t rows) {
          SoftmaxBlock(head, q, k, first, rows, scratch);
          sum = std::min(sum,
                         *std::min_element(scratch.sums, scratch.sums + rows));
        });
        float seen = least;
        while (sum < seen && !least.compare_exchange_weak(seen, sum)) {
        }
      });
  return 1 / least;
}

// Also writes the scores where they are kept.
torch::Tensor FloatContext(const Call& call, const torch::Tensor& q,
                           const torch::Tensor& k, const torch::Tensor& v,
                           const torch::Tensor& scores) {
  torch::Tensor context = torch::empty_like(q);
  float* const kept = scores.numel() > 0 ? scores.data_ptr<float>() : nullptr;
  ForHeads<BlockScratch>(
      call, q.size(1), [&](const Head& head, BlockScratch& scratch) {
        ForBlocks(head, [&](int64_t first, int64_t rows) {
          ScoreBlock(head, q, k, first, rows, scratch.scores.data());
          if (kept != nullptr) {
            std::copy_n(scratch.scores.data(), rows * head.length,
                        kept + head.scores_offset + first * head.length);
          }
          SoftmaxRows(head, rows, scratch);
          UseBlock(call, head, first, rows, scratch);
          Gemm({.m = rows,
                .n = head.dim,
                .k = head.length,
                .a = {scratch.used.data(), head.length},
                .b = {head.In(v), head.stride},
                .c = head.In(context) + first * head.stride,
                .c_stride = head.stride});
        });
      });
  return context;
}

// AttentionInt8 for every head. `v8` receives v quantized with one scale per
// head, for the backward pass.
torch::Tensor KernelContext(const Call& call, const torch::Tensor& q,
                            const torch::Tensor& k, const torch::Tensor& v,
                            const torch::Tensor& v8) {
  torch::Tensor context = torch::empty_like(q);
  ForHeads<KernelScratch>(
      call, q.size(1), [&](const Head& head, KernelScratch& scratch) {
        AttentionArgs args;
        args.length = static_cast<int>(head.length);
        args.head_dim = static_cast<int>(head.dim);
        args.stride = args.context_stride = static_cast<int>(head.stride);
        args.q = head.In(q);
        args.k = head.In(k);
        args.v = head.In(v);
        args.context = head.In(context);
        args.scratch = scratch.bytes.data();
        TrainingVariant().attention_int8(args);
        for (int64_t i = 0; i < head.length; ++i) {
          std::copy_n(args.v + i * head.stride, head.dim,
                      scratch.values.data() + i * head.dim);
        }
        FakeQuantizeRow(scratch.values.data(), head.length * head.dim);
        for (int64_t i = 0; i < head.length; ++i) {
          std::copy_n(scratch.values.data() + i * head.dim, head.dim,
                      head.In(v8) + i * head.stride);
        }
      });
  return context;
}

void AllScores(const Call& call, const torch::Tensor& q, const torch::Tensor& k,
               const torch::Tensor& scores) {
  float* const kept = scores.data_ptr<float>();
  ForHeads<BlockScratch>(call, q.size(1), [&](const Head& head, BlockScratch&) {
    ScoreBlock(head, q, k, 0, head.length, kept + head.scores_offset);
  });
}

// Rows quantized per token and head, as AttentionInt8 does with q and k.
torch::Tensor FakeQuantizeHeads(const torch::Tensor& rows, int64_t heads) {
  return FakeQuantizeRows(rows.view({-1, rows.size(1) / heads}))
      .view(rows.sizes());
}

struct Gradients {
  torch::Tensor q, k, v;
};

// What the outputs' gradients give; each may be undefined.
struct OutputGradients {
  torch::Tensor context, scores;
};

void HeadGradients(const Call& call, const Head& head, const torch::Tensor& q,
                   const torch::Tensor& k, const torch::Tensor& v,
                   const OutputGradients& d, BlockScratch& scratch,
                   const Gradients& gradients) {
  ForBlocks(head, [&](int64_t first, int64_t rows) {
    const float beta = first == 0 ? 0 : 1;
    const int64_t n = head.length, block = first * head.stride;
    const float* const dscores =
        d.scores.defined()
            ? d.scores.data_ptr<float>() + head.scores_offset + first * n
            : nullptr;
    const float* ds = dscores;
    if (d.context.defined()) {
      const Matrix dcontext = {head.In(d.context) + block, head.stride};
      SoftmaxBlock(head, q, k, first, rows, scratch);
      UseBlock(call, head, first, rows, scratch);
      Gemm({.m = n,
            .n = head.dim,
            .k = rows,
            .beta = beta,
            .a = {scratch.used.data(), n, /*transposed=*/true},
            .b = dcontext,
            .c = head.In(gradients.v),
            .c_stride = head.stride});
      Gemm({.m = rows,
            .n = n,
            .k = head.dim,
            .a = dcontext,
            .b = {head.In(v), head.stride, /*transposed=*/true},
            .c = scratch.gradients.data(),
            .c_stride = n});
      for (int64_t i = 0; i < rows; ++i) {
        float* const row = scratch.gradients.data() + i * n;
        if (call.dropout > 0) {
          DropoutFactors(call.seed, head.scores_offset + (first + i) * n,
                         call.dropout, n, scratch.factors.data());
          Multiply(scratch.factors.data(), n, row);
        }
        SoftmaxGradient(scratch.scores.data() + i * n, 1 / scratch.sums[i],
                        dscores == nullptr ? nullptr : dscores + i * n, n, row);
      }
      ds = scratch.gradients.data();
    }
    Gemm({.m = rows,
          .n = head.dim,
          .k = n,
          .alpha = head.unit(),
          .a = {ds, n},
          .b = {head.In(k), head.stride},
          .c = head.In(gradients.q) + block,
          .c_stride = head.stride});
    Gemm({.m = n,
          .n = head.dim,
          .k = rows,
          .alpha = head.unit(),
          .beta = beta,
          .a = {ds, n, /*transposed=*/true},
          .b = {head.In(q) + block, head.stride},
          .c = head.In(gradients.k),
          .c_stride = head.stride});
  });
}

struct AttendFunction : torch::autograd::Function<AttendFunction> {
  static variable_list forward(AutogradContext* context, torch::Tensor q,
                               torch::Tensor k, torch::Tensor v,
                               const Call* call, bool keep_scores) {
    q = q.contiguous();
    k = k.contiguous();
    v = v.contiguous();
    torch::Tensor attended;
    const torch::Tensor scores =
        torch::empty({keep_scores ? ScoresOf(*call) : 0}, q.options());
    if (call->probabilities == Probabilities::kServed) {
      const torch::Tensor v8 = torch::empty_like(v);
      attended = KernelContext(*call, q, k, v, v8);
      q = FakeQuantizeHeads(q, call->heads);
      k = FakeQuantizeHeads(k, call->heads);
      v = v8;
      if (keep_scores) AllScores(*call, q, k, scores);
    } else {
      attended = FloatContext(*call, q, k, v, scores);
    }
    context->save_for_backward({q, k, v});
    call->Save(context);
    return {attended, scores};
  }

  static variable_list backward(AutogradContext* context, variable_list dy) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const Call call = Call::Saved(context);
    OutputGradients d;
    if (dy[0].defined()) d.context = dy[0].contiguous();
    if (dy[1].defined() && dy[1].numel() > 0) d.scores = dy[1].contiguous();
    const Gradients gradients = {
        torch::empty_like(q), torch::empty_like(k),
        d.context.defined() ? torch::empty_like(v) : torch::zeros_like(v)};
    ForHeads<BlockScratch>(
        call, q.size(1), [&](const Head& head, BlockScratch& scratch) {
          HeadGradients(call, head, q, k, v, d, scratch, gradients);
        });
    return {gradients.q, gradients.k, gradients.v, {}, {}};
  }
};

Probabilities ProbabilitiesOf(ActivationScheme activations) {
  switch (activations) {
    case ActivationScheme::kNone:
      return Probabilities::kFloat;
    case ActivationScheme::kPerToken:
      return Probabilities::kServed;
    case ActivationScheme::kPerTensor:
    case ActivationScheme::kPerTensorSymmetric:
      return Probabilities::kPerTensor;
  }
  return Probabilities::kFloat;
}

// The step of `largest` and of zero, the least probability.
double ProbabilityStep(ActivationScheme activations, float largest) {
  return largest /
         (activations == ActivationScheme::kPerTensorSymmetric ? 127.0 : 255.0);
}

}  // namespace

AttentionOutput Attend(const torch::Tensor& q, const torch::Tensor& k,
                       const torch::Tensor& v, const TokenBatch& batch,
                       const AttentionOptions& options) {
  Call call;
  call.starts.assign(batch.starts.begin(), batch.starts.end());
  call.heads = options.heads;
  call.probabilities = ProbabilitiesOf(options.activations);
  torch::Tensor inputs[] = {q, k, v};
  if (call.probabilities == Probabilities::kPerTensor) {
    for (torch::Tensor& x : inputs) {
      x = SimulateActivations(options.activations, x).contiguous();
    }
    call.step = ProbabilityStep(options.activations,
                                LargestProbability(call, inputs[0], inputs[1]));
  }
  if (options.dropout > 0 && call.probabilities != Probabilities::kServed) {
    call.dropout = options.dropout;
    call.seed = static_cast<int64_t>(DrawDropoutSeed());
  }
  const variable_list output = AttendFunction::apply(
      inputs[0], inputs[1], inputs[2], &call, options.keep_scores);
  return {output[0], output[1]};
}

}  // namespace tern
