#include "train/matrix_product.h"

#include <algorithm>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

namespace tern {
namespace {

using dnnl::memory;

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// Rows or columns of each matrix lie next to each other, as oneDNN wants it.
bool IsPlain(const torch::Tensor& x) {
  const int64_t rows = x.size(-2), columns = x.size(-1);
  const bool row_major =
      x.stride(-1) == 1 && x.stride(-2) >= std::max<int64_t>(columns, 1);
  const bool column_major =
      x.stride(-2) == 1 && x.stride(-1) >= std::max<int64_t>(rows, 1);
  return row_major || column_major;
}

memory::desc Describe(const torch::Tensor& x) {
  const auto type = x.scalar_type() == torch::kBFloat16
                        ? memory::data_type::bf16
                        : memory::data_type::f32;
  return {x.sizes().vec(), type, x.strides().vec()};
}

memory View(const memory::desc& description, const torch::Tensor& x) {
  return {description, CpuEngine(), x.data_ptr()};
}

}  // namespace

bool CpuHasBFloat16Products() {
  return __builtin_cpu_supports("avx512bf16") ||
         __builtin_cpu_supports("amx-bf16");
}

torch::Tensor MatrixProduct(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.dim() == b.dim() && a.size(-1) == b.size(-2) &&
                  a.scalar_type() == b.scalar_type(),
              "MatrixProduct of ", a.sizes(), " and ", b.sizes());
  const torch::Tensor left = IsPlain(a) ? a : a.contiguous();
  const torch::Tensor right = IsPlain(b) ? b : b.contiguous();
  std::vector<int64_t> shape = left.sizes().vec();
  shape.back() = right.size(-1);
  torch::Tensor product =
      torch::empty(shape, left.options().dtype(torch::kFloat32));

  const memory::desc left_desc = Describe(left);
  const memory::desc right_desc = Describe(right);
  const memory::desc product_desc = Describe(product);
  // Cheap from the second time on: oneDNN caches primitives by description.
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(CpuEngine(), left_desc,
                                                 right_desc, product_desc);
#else
  const dnnl::matmul::primitive_desc description(
      dnnl::matmul::desc(left_desc, right_desc, product_desc), CpuEngine());
#endif
  dnnl::stream stream(CpuEngine());
  dnnl::matmul(description)
      .execute(stream, {{DNNL_ARG_SRC, View(left_desc, left)},
                        {DNNL_ARG_WEIGHTS, View(right_desc, right)},
                        {DNNL_ARG_DST, View(product_desc, product)}});
  stream.wait();
  return product;
}

void SmallProduct(const SmallProductArgs& args) {
  const auto letter = [](const Matrix& x) { return x.transposed ? 'T' : 'N'; };
  const dnnl::status status =
      dnnl::sgemm(letter(args.a), letter(args.b), args.m, args.n, args.k,
                  args.alpha, args.a.data, args.a.stride, args.b.data,
                  args.b.stride, args.beta, args.c, args.c_stride);
  TORCH_CHECK(status == dnnl::status::success, "dnnl::sgemm of ", args.m, " x ",
              args.n, " x ", args.k, " failed");
}

}  // namespace tern
