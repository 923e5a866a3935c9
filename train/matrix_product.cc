#include "train/matrix_product.h"

#include <algorithm>

#include "oneapi/dnnl/dnnl.hpp"

namespace tern {
namespace {

using dnnl::memory;

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// Rows or columns lie next to each other, as oneDNN wants it.
bool IsRowMajor(const torch::Tensor& x) {
  return x.stride(1) == 1 && x.stride(0) >= std::max<int64_t>(x.size(1), 1);
}
bool IsColumnMajor(const torch::Tensor& x) { return IsRowMajor(x.t()); }

torch::Tensor Plain(const torch::Tensor& x) {
  return IsRowMajor(x) || IsColumnMajor(x) ? x : x.contiguous();
}

Matrix ViewOf(const torch::Tensor& x) {
  const bool transposed = !IsRowMajor(x);
  return {x.data_ptr<float>(), x.stride(transposed ? 1 : 0), transposed};
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

void MultiplyBFloat16(const torch::Tensor& a, const torch::Tensor& b,
                      torch::Tensor& product) {
  const memory::desc a_desc = Describe(a);
  const memory::desc b_desc = Describe(b);
  const memory::desc product_desc = Describe(product);
  // Cheap from the second time on: oneDNN caches primitives by description.
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(CpuEngine(), a_desc, b_desc,
                                                 product_desc);
#else
  const dnnl::matmul::primitive_desc description(
      dnnl::matmul::desc(a_desc, b_desc, product_desc), CpuEngine());
#endif
  dnnl::stream stream(CpuEngine());
  dnnl::matmul(description)
      .execute(stream, {{DNNL_ARG_SRC, View(a_desc, a)},
                        {DNNL_ARG_WEIGHTS, View(b_desc, b)},
                        {DNNL_ARG_DST, View(product_desc, product)}});
  stream.wait();
}

}  // namespace

bool CpuHasBFloat16Products() {
  return __builtin_cpu_supports("avx512bf16") ||
         __builtin_cpu_supports("amx-bf16");
}

bool BFloat16IsFaster() {
  return __builtin_cpu_supports("amx-bf16") ||
         (CpuHasBFloat16Products() && !__builtin_cpu_is("intel"));
}

torch::Tensor MatrixProduct(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.dim() == 2 && b.dim() == 2 && a.size(1) == b.size(0) &&
                  a.scalar_type() == b.scalar_type(),
              "MatrixProduct of ", a.sizes(), " and ", b.sizes());
  const torch::Tensor left = Plain(a), right = Plain(b);
  torch::Tensor product =
      torch::empty({a.size(0), b.size(1)}, a.options().dtype(torch::kFloat32));
  if (a.scalar_type() == torch::kBFloat16) {
    MultiplyBFloat16(left, right, product);
    return product;
  }
  // Not by dnnl::matmul, which takes twice as long where rows lie a multiple of
  // 4 KiB apart, as those of BERT-Base's wider matrices do.
  Gemm({.m = a.size(0),
        .n = b.size(1),
        .k = a.size(1),
        .a = ViewOf(left),
        .b = ViewOf(right),
        .c = product.data_ptr<float>(),
        .c_stride = product.stride(0)});
  return product;
}

void Gemm(const GemmArgs& args) {
  const auto letter = [](const Matrix& x) { return x.transposed ? 'T' : 'N'; };
  const dnnl::status status =
      dnnl::sgemm(letter(args.a), letter(args.b), args.m, args.n, args.k,
                  args.alpha, args.a.data, args.a.stride, args.b.data,
                  args.b.stride, args.beta, args.c, args.c_stride);
  TORCH_CHECK(status == dnnl::status::success, "dnnl::sgemm of ", args.m, " x ",
              args.n, " x ", args.k, " failed");
}

}  // namespace tern
