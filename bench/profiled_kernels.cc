#include "bench/profiled_kernels.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

// Plain function pointers carry no state, so it is here.
const Variant* measured;
Variant profiled;

class Times {
 public:
  void Add(const std::string& name, double seconds, double multiply_adds,
           double weight_bytes) {
    std::lock_guard lock(mutex_);
    KernelTimes& times = times_[name];
    times.name = name;
    ++times.calls;
    times.seconds += seconds;
    times.multiply_adds += multiply_adds;
    times.weight_bytes += weight_bytes;
  }

  std::vector<KernelTimes> Take() {
    std::vector<KernelTimes> all;
    std::lock_guard lock(mutex_);
    for (auto& [name, times] : times_) all.push_back(std::move(times));
    times_.clear();
    return all;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, KernelTimes> times_ ABSL_GUARDED_BY(mutex_);
};

Times& AllTimes() {
  static Times times;
  return times;
}

template <typename Args>
void Time(const std::string& name, void (*kernel)(const Args&),
          const Args& args, double multiply_adds = 0, double weight_bytes = 0) {
  const auto start = std::chrono::steady_clock::now();
  kernel(args);
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - start;
  AllTimes().Add(name, time.count(), multiply_adds, weight_bytes);
}

void TernaryGemm(const TernaryGemmArgs& args) {
  const double columns = args.last_column - args.first_column;
  Time(absl::StrCat("linear ", args.w->n, "x", args.w->k),
       measured->ternary_gemm, args, columns * args.x.rows * args.w->k,
       columns / args.w->n * args.w->codes.size());
}
void QuantizeRows(const QuantizeRowsArgs& args) {
  Time("quantize", measured->quantize_rows, args);
}
void AddLayerNorm(const AddLayerNormArgs& args) {
  Time("add, norm, quantize", measured->add_layer_norm, args);
}
void Activate(const ActivateArgs& args) {
  Time("activate, quantize", measured->activate, args);
}
void AttentionInt8(const AttentionArgs& args) {
  Time("attention", measured->attention_int8, args,
       2.0 * args.length * args.length * args.head_dim);
}
void AttentionFp32(const AttentionArgs& args) {
  Time("attention", measured->attention_fp32, args);
}

}  // namespace

const Variant* ProfiledKernels(const Variant& variant) {
  measured = &variant;
  profiled = variant;
  profiled.ternary_gemm = TernaryGemm;
  profiled.quantize_rows = QuantizeRows;
  profiled.add_layer_norm = AddLayerNorm;
  profiled.activate = Activate;
  profiled.attention_int8 = AttentionInt8;
  profiled.attention_fp32 = AttentionFp32;
  return &profiled;
}

std::vector<KernelTimes> TakeKernelTimes() {
  std::vector<KernelTimes> times = AllTimes().Take();
  std::sort(times.begin(), times.end(),
            [](const KernelTimes& a, const KernelTimes& b) {
              return a.seconds > b.seconds;
            });
  return times;
}

}  // namespace tern
