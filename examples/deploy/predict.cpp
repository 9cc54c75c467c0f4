// predict MODEL.onnx IMAGE.ppm X0 Y0 X1 Y1
// prints x, y and sigma of each landmark of the face in the box, in pixels of the image.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

int main(int, char** argv) {
  Ort::Env env;
  Ort::Session session(env, argv[1], Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions memory;
  const Ort::ModelMetadata metadata = session.GetModelMetadata();
  const auto text = [&](const char* key) {
    return std::string(metadata.LookupCustomMetadataMapAllocated(key, memory).get());
  };
  const int size = std::stoi(text("input_size")), points = std::stoi(text("points"));
  float mean[3], std[3];
  std::sscanf(text("mean").c_str(), "[%f, %f, %f]", mean, mean + 1, mean + 2);
  std::sscanf(text("std").c_str(), "[%f, %f, %f]", std, std + 1, std + 2);

  std::ifstream file(argv[2], std::ios::binary);  // P6: width, height, 255, then RGB bytes
  std::string kind;
  int width, height, largest;
  file >> kind >> width >> height >> largest;
  std::vector<unsigned char> image(3 * width * height);
  file.ignore(1).read(reinterpret_cast<char*>(image.data()), image.size());
  const auto pixel = [&](int x, int y, int c) {  // beyond the image its edge pixels are repeated
    return image[3 * (std::clamp(y, 0, height - 1) * width + std::clamp(x, 0, width - 1)) + c];
  };

  const double x0 = std::stod(argv[3]), y0 = std::stod(argv[4]);
  const double x1 = std::stod(argv[5]), y1 = std::stod(argv[6]);
  const double centre_x = (x0 + x1) / 2, centre_y = (y0 + y1) / 2;
  const double side = std::max(x1 - x0, y1 - y0) * (1 + std::stod(text("margin")));

  std::vector<float> input;  // red, green, blue; each row by row
  for (int c = 0; c < 3; ++c)
    for (int row = 0; row < size; ++row)
      for (int column = 0; column < size; ++column) {
        const double x = centre_x + ((column + 0.5) / size - 0.5) * side, left = std::floor(x);
        const double y = centre_y + ((row + 0.5) / size - 0.5) * side, top = std::floor(y);
        const double right = x - left, below = y - top;  // bilinear weights
        const double value =
            (1 - below) * ((1 - right) * pixel(left, top, c) + right * pixel(left + 1, top, c)) +
            below * ((1 - right) * pixel(left, top + 1, c) + right * pixel(left + 1, top + 1, c));
        input.push_back((value - mean[c]) / std[c]);
      }

  const int64_t shape[] = {1, 3, size, size};
  const Ort::MemoryInfo cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const Ort::Value tensor =
      Ort::Value::CreateTensor<float>(cpu, input.data(), input.size(), shape, 4);
  const char* inputs[] = {"image"};
  const char* outputs[] = {"landmarks", "sigma"};
  const auto found = session.Run(Ort::RunOptions{}, inputs, &tensor, 1, outputs, 2);
  const float* landmarks = found[0].GetTensorData<float>();
  const float* sigma = found[1].GetTensorData<float>();
  for (int i = 0; i < points; ++i)
    std::printf("%.3f %.3f %.3f\n", centre_x + landmarks[2 * i] * side,
                centre_y + landmarks[2 * i + 1] * side, sigma[i] * side);
}
