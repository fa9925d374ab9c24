#include "stage_shape.h"

#include <pybind11/stl.h>

namespace wrackline::bindings {

std::vector<StageShape> shapes_of(const std::vector<Stage>& stages) {
  std::vector<StageShape> shapes;
  for (const Stage& stage : stages) {
    const Plan& plan = *stage.plan;
    StageShape shape{.name = plan.stage(),
                     .input = plan.source().topic,
                     .partitions = stage.partitions,
                     .source = stage.source,
                     .upstream = stage.upstream,
                     .steps = {},
                     .reads = plan.node(Plan::kSource).name};
    for (size_t i = 2; i < plan.nodes().size(); ++i) shape.steps.push_back(plan.nodes()[i].name);
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

py::list to_list(const std::vector<StageShape>& stages) {
  py::list out;
  for (const StageShape& stage : stages) {
    out.append(py::dict(py::arg("name") = stage.name, py::arg("input") = stage.input,
                        py::arg("partitions") = stage.partitions, py::arg("source") = stage.source,
                        py::arg("upstream") = stage.upstream, py::arg("steps") = stage.steps,
                        py::arg("reads") = stage.reads));
  }
  return out;
}

}  // namespace wrackline::bindings
