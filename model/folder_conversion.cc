#include "model/folder_conversion.h"

#include <vector>

#include "model/folder_writer.h"
#include "model/inspect_folder.h"

namespace tern {

absl::Status ConvertFolder(const std::string& from, const std::string& to,
                           DType dtype, Progress progress) {
  absl::StatusOr<ModelFolder> model = OpenFolder(from);
  if (!model.ok()) return model.status();

  FolderWriter writer;
  const int total = static_cast<int>(model->tensors.size());
  progress(0, total);
  for (int i = 0; i < total; ++i) {
    const ExpectedTensor& tensor = model->tensors[i];
    absl::StatusOr<std::vector<float>> w = ReadAsFloats(*model, tensor);
    if (!w.ok()) return w.status();
    absl::Status added = writer.AddFloats(tensor.name, tensor.shape, *w, dtype);
    if (!added.ok()) return added;
    progress(i + 1, total);
  }
  return writer.Write(to, from, dtype, /*quantization=*/nullptr);
}

}  // namespace tern
