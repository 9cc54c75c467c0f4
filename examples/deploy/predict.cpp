// predict MODEL.onnx IMAGE.ppm X0 Y0 X1 Y1
// prints x, y and sigma of each landmark of the face in the box, in pixels of the image.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

int main(int, char** argv) {
  Ort::Env env;
  Ort::Session session(env, argv[1], Ort::SessionOptions());
  const auto info = [&, metadata = session.GetModelMetadata()](const char* key) {
    Ort::AllocatorWithDefaultOptions memory;
    return std::string(metadata.LookupCustomMetadataMapAllocated(key, memory).get());
  };
  const int size = std::stoi(info("input_size"));
  float mean[3], std[3];
  std::sscanf(info("mean").c_str(), "[%f, %f, %f]", mean, mean + 1, mean + 2);
  std::sscanf(info("std").c_str(), "[%f, %f, %f]", std, std + 1, std + 2);

  std::ifstream file(argv[2], std::ios::binary);  // P6, width, height, 255, and RGB bytes
  int width, height, largest;
  file.ignore(2) >> width >> height >> largest;
  std::vector<unsigned char> image(3 * width * height);
  file.ignore().read(reinterpret_cast<char*>(image.data()), image.size());

  const double x0 = atof(argv[3]), y0 = atof(argv[4]), x1 = atof(argv[5]), y1 = atof(argv[6]);
  const double side = std::max(x1 - x0, y1 - y0) * (1 + std::stod(info("margin")));
  const double left = (x0 + x1 - side) / 2, top = (y0 + y1 - side) / 2;
  std::vector<float> input(3 * size * size);  // red, green, blue; each row by row
  for (int i = 0; i < 3 * size * size; ++i) {
    // Beyond the image its edge is repeated. Where side / size is 2 or more, reduce it first.
    const double x = std::clamp(left + (i % size + 0.5) * side / size, 0.0, width - 1.0);
    const double y = std::clamp(top + (i / size % size + 0.5) * side / size, 0.0, height - 1.0);
    const int u = x, v = y, c = i / size / size;
    const auto row = [&](int v) {
      const auto* pixels = &image[3 * width * std::min(v, height - 1) + c];
      return std::lerp(pixels[3 * u], pixels[3 * std::min(u + 1, width - 1)], x - u);
    };
    input[i] = (std::lerp(row(v), row(v + 1), y - v) - mean[c]) / std[c];
  }
  const int64_t shape[] = {1, 3, size, size};
  const auto cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const auto tensor = Ort::Value::CreateTensor(cpu, input.data(), input.size(), shape, 4);
  const char *inputs[] = {"image"}, *outputs[] = {"landmarks", "sigma"};
  const auto found = session.Run(Ort::RunOptions(), inputs, &tensor, 1, outputs, 2);
  const auto *at = found[0].GetTensorData<float>(), *sigma = found[1].GetTensorData<float>();
  for (int i = 0; i < std::stoi(info("points")); ++i)
    std::printf("%.3f %.3f %.3f\n", left + (at[2 * i] + 0.5) * side,
                top + (at[2 * i + 1] + 0.5) * side, sigma[i] * side);
}
