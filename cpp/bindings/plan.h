// The handle that Python has of a plan.
#pragma once

#include <memory>
#include <string>

#include "wrackline/job/plan.h"

namespace wrackline::bindings {

class PlanHandle {
 public:
  explicit PlanHandle(std::string job) : plan_(std::make_shared<Plan>(std::move(job))) {}
  explicit PlanHandle(const Plan& plan) : plan_(std::make_shared<Plan>(plan)) {}

  Plan& get() { return *plan_; }
  const Plan& get() const { return *plan_; }
  // For a run: the plan must not be changed any more.
  std::shared_ptr<const Plan> share() const { return plan_; }

 private:
  std::shared_ptr<Plan> plan_;  // shared with the tasks of a run
};

}  // namespace wrackline::bindings
