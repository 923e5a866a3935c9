#include "kernels/dense_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "dnnl.hpp"
#include "kernels/aligned_buffer.h"

// From OpenMP's runtime, which Debian's oneDNN brings along; <omp.h> would need
// the compiler's OpenMP package.
extern "C" void omp_set_num_threads(int);

namespace tern {
namespace {

using dnnl::memory;

// Rows are computed in tiles of fixed sizes, so few primitives are needed and
// the bits of a row depend neither on how many rows share its call nor on its
// place among them. That holds for the fp32 sizes because oneDNN's kernels take
// six rows at a time on AVX2 (a shorter block sums in another order) and sum in
// the same order for any rows on AVX-512; the test tries every row count. A
// last tile is padded. Integer sums are exact in any order.
constexpr std::initializer_list<int> kTileRowsFp32 = {48, 6};
constexpr std::initializer_list<int> kTileRowsInt8 = {64, 16, 4, 1};

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// Keeps oneDNN's OpenMP from starting threads for calls of this one: the
// engine shares work among its own. Returns this thread's stream.
dnnl::stream& SingleThreadedStream() {
  thread_local dnnl::stream stream = [] {
    omp_set_num_threads(1);
    return dnnl::stream(CpuEngine());
  }();
  return stream;
}

// Memory of one thread, grown as needed and kept for its next call.
template <typename T>
T* Grown(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
  return buffer.data();
}

// y = x w^T for one panel of columns and a fixed number of rows.
class PanelProduct {
 public:
  PanelProduct(int rows, int columns, int depth, memory::data_type x_type,
               memory::data_type w_type, memory::data_type y_type,
               const memory::desc& w_desc)
      : rows_(rows),
        x_desc_({rows, depth}, x_type, memory::format_tag::ab),
        y_desc_({rows, columns}, y_type, memory::format_tag::ab) {
    SingleThreadedStream();
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    constexpr auto kInference = dnnl::prop_kind::forward_inference;
    using dnnl::inner_product_forward;
#if DNNL_VERSION_MAJOR >= 3
    const inner_product_forward::primitive_desc description(
        CpuEngine(), kInference, x_desc_, w_desc, y_desc_, attributes);
#else
    const inner_product_forward::primitive_desc description(
        inner_product_forward::desc(kInference, x_desc_, w_desc, y_desc_),
        attributes, CpuEngine());
#endif
    w_desc_ = description.weights_desc();
    scratchpad_desc_ = description.scratchpad_desc();
    primitive_ = inner_product_forward(description);
  }

  int rows() const { return rows_; }
  const memory::desc& w_desc() const { return w_desc_; }

  // x [rows, depth] and y [rows, columns], dense.
  void Run(const void* x, const memory& w, void* y) const {
    thread_local AlignedBuffer<uint8_t> scratchpad;
    dnnl::stream& stream = SingleThreadedStream();
    const dnnl::engine& engine = CpuEngine();
    primitive_.execute(
        stream, {{DNNL_ARG_SRC, memory(x_desc_, engine, const_cast<void*>(x))},
                 {DNNL_ARG_WEIGHTS, w},
                 {DNNL_ARG_DST, memory(y_desc_, engine, y)},
                 {DNNL_ARG_SCRATCHPAD,
                  memory(scratchpad_desc_, engine,
                         Grown(scratchpad, scratchpad_desc_.get_size()))}});
    stream.wait();
  }

 private:
  int rows_;
  memory::desc x_desc_, w_desc_, y_desc_, scratchpad_desc_;
  dnnl::inner_product_forward primitive_;
};

// One panel of columns: its weights in oneDNN's order and a product for each
// tile size, largest first.
template <typename X, typename W, typename Y>
class Panel {
 public:
  // w [columns, depth], dense.
  Panel(int columns, int depth, const W* w,
        std::initializer_list<int> tile_rows, memory::data_type x_type,
        memory::data_type w_type, memory::data_type y_type)
      : columns_(columns), depth_(depth) {
    memory::desc w_desc({columns, depth}, w_type, memory::format_tag::any);
    for (const int rows : tile_rows) {
      products_.emplace_back(rows, columns, depth, x_type, w_type, y_type,
                             w_desc);
      w_desc = products_.front().w_desc();
    }
    w_ = memory(w_desc, CpuEngine());
    memory given({{columns, depth}, w_type, memory::format_tag::ab},
                 CpuEngine(), const_cast<W*>(w));
    dnnl::stream& stream = SingleThreadedStream();
    dnnl::reorder(given, w_).execute(stream, given, w_);
    stream.wait();
  }

  int columns() const { return columns_; }

  // Calls use(row, sums) with the `columns()` sums of every row of x [rows,
  // depth], rows x_stride apart of which x_width values are set.
  template <typename Use>
  void Run(int rows, const X* x, int x_stride, int x_width, Use use) const {
    thread_local AlignedBuffer<X> x_tile;
    thread_local AlignedBuffer<Y> y_tile;
    for (int row = 0; row < rows;) {
      const PanelProduct& product = ProductFor(rows - row);
      const int used = std::min(product.rows(), rows - row);
      const X* const given = x + static_cast<size_t>(row) * x_stride;
      const X* dense = given;
      if (used < product.rows() || x_stride != depth_) {
        X* const copy =
            Grown(x_tile, static_cast<size_t>(product.rows()) * depth_);
        std::memset(copy, 0, sizeof(X) * product.rows() * depth_);
        for (int r = 0; r < used; ++r) {
          std::copy_n(given + static_cast<size_t>(r) * x_stride, x_width,
                      copy + static_cast<size_t>(r) * depth_);
        }
        dense = copy;
      }
      Y* const sums =
          Grown(y_tile, static_cast<size_t>(product.rows()) * columns_);
      product.Run(dense, w_, sums);
      for (int r = 0; r < used; ++r) use(row + r, sums + r * columns_);
      row += used;
    }
  }

 private:
  // The largest tile that the rows fill, or else the smallest.
  const PanelProduct& ProductFor(int rows) const {
    for (const PanelProduct& product : products_) {
      if (product.rows() <= rows) return product;
    }
    return products_.back();
  }

  int columns_;
  int depth_;
  std::vector<PanelProduct> products_;
  memory w_;
};

int PanelCount(int n) {
  return (n + kDensePanelColumns - 1) / kDensePanelColumns;
}

int PanelColumns(int n, int panel) {
  return std::min(kDensePanelColumns, n - panel * kDensePanelColumns);
}

// u8 x s8 pairs are summed in int16 with saturation unless the CPU has VNNI.
// oneDNN's levels are bit masks in which a level includes those below it.
int WeightLimit() {
  const unsigned isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const unsigned vnni = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_vnni);
  return (isa & vnni) == vnni ? 127 : 63;
}

}  // namespace

struct DenseGemmFp32::Impl {
  int k;
  std::vector<float> bias;  // [n]
  std::vector<Panel<float, float, float>> panels;
};

DenseGemmFp32::DenseGemmFp32(int n, int k, const float* w, const float* bias)
    : impl_(std::make_unique<Impl>()) {
  impl_->k = k;
  impl_->bias.assign(bias, bias + n);
  for (int panel = 0; panel < PanelCount(n); ++panel) {
    const size_t first = static_cast<size_t>(panel) * kDensePanelColumns;
    impl_->panels.emplace_back(PanelColumns(n, panel), k, w + first * k,
                               kTileRowsFp32, memory::data_type::f32,
                               memory::data_type::f32, memory::data_type::f32);
  }
}

DenseGemmFp32::~DenseGemmFp32() = default;

int DenseGemmFp32::panels() const {
  return static_cast<int>(impl_->panels.size());
}

void DenseGemmFp32::Run(int panel, int rows, const float* x, int x_stride,
                        float* y, int y_stride) const {
  const int first = panel * kDensePanelColumns;
  const auto& product = impl_->panels[panel];
  const float* const bias = impl_->bias.data() + first;
  product.Run(rows, x, x_stride, impl_->k, [&](int row, const float* sums) {
    float* const out = y + static_cast<size_t>(row) * y_stride + first;
    for (int j = 0; j < product.columns(); ++j) out[j] = sums[j] + bias[j];
  });
}

struct DenseGemmInt8::Impl {
  int k;
  std::vector<float> bias;           // [n]
  std::vector<float> scales;         // [n]  s_j
  std::vector<int32_t> column_sums;  // [n]
  std::vector<Panel<uint8_t, int8_t, int32_t>> panels;
};

DenseGemmInt8::DenseGemmInt8(int n, int k, const float* w, const float* bias)
    : impl_(std::make_unique<Impl>()) {
  impl_->k = k;
  impl_->bias.assign(bias, bias + n);
  impl_->scales.resize(n);
  impl_->column_sums.resize(n);
  // Rows of x are read with their zero padding.
  const int depth = PaddedDepth(k);
  const int limit = WeightLimit();
  std::vector<int8_t> quantized(static_cast<size_t>(kDensePanelColumns) *
                                depth);
  for (int panel = 0; panel < PanelCount(n); ++panel) {
    const int columns = PanelColumns(n, panel);
    for (int c = 0; c < columns; ++c) {
      const int j = panel * kDensePanelColumns + c;
      const float* const row = w + static_cast<size_t>(j) * k;
      float most = 0;
      for (int p = 0; p < k; ++p) most = std::max(most, std::fabs(row[p]));
      const float scale = most == 0 ? 1 : most / limit;
      impl_->scales[j] = scale;
      for (int p = 0; p < k; ++p) {
        const int value = std::clamp(
            static_cast<int>(std::nearbyint(row[p] / scale)), -limit, limit);
        quantized[static_cast<size_t>(c) * depth + p] = value;
        impl_->column_sums[j] += value;
      }
    }
    impl_->panels.emplace_back(columns, depth, quantized.data(), kTileRowsInt8,
                               memory::data_type::u8, memory::data_type::s8,
                               memory::data_type::s32);
  }
}

DenseGemmInt8::~DenseGemmInt8() = default;

int DenseGemmInt8::panels() const {
  return static_cast<int>(impl_->panels.size());
}

void DenseGemmInt8::Run(int panel, const QuantizedRows& x, float* y,
                        int y_stride) const {
  const int first = panel * kDensePanelColumns;
  const auto& product = impl_->panels[panel];
  const float* const bias = impl_->bias.data() + first;
  const float* const scales = impl_->scales.data() + first;
  const int32_t* const column_sums = impl_->column_sums.data() + first;
  product.Run(
      x.rows, x.values, x.stride, x.k, [&](int row, const int32_t* sums) {
        const RowScale scale = x.scales[row];
        float* const out = y + static_cast<size_t>(row) * y_stride + first;
        for (int j = 0; j < product.columns(); ++j) {
          const int32_t sum = sums[j] - scale.zero_point * column_sums[j];
          out[j] =
              static_cast<float>(sum) * (scale.scale * scales[j]) + bias[j];
        }
      });
}

}  // namespace tern
