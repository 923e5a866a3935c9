// The variants that tests compare with "scalar".

#ifndef TERN_TESTS_KERNELS_VARIANTS_UNDER_TEST_H_
#define TERN_TESTS_KERNELS_VARIANTS_UNDER_TEST_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/variant.h"

namespace tern {

// Every line of kernels.inc that this machine supports and, where it has AVX2
// and FMA, "avx512_vnni_emulated", the avx512_vnni files through SIMDe, and
// "amx_emulated", those and the product on a model of AMX's tiles.
std::vector<const Variant*> VariantsUnderTest();

const Variant& ScalarVariant();

inline std::string VariantTestName(
    const testing::TestParamInfo<const Variant*>& info) {
  return info.param->name;
}

}  // namespace tern

#endif  // TERN_TESTS_KERNELS_VARIANTS_UNDER_TEST_H_
