#include "wrackline/job/stages.h"

#include <algorithm>
#include <map>
#include <optional>

namespace wrackline {
namespace {

constexpr Millis kIdleBehindExchange = 60'000;  // semantics.md 2

bool contains_all(const std::vector<std::string>& all, const std::vector<std::string>& some) {
  return std::all_of(some.begin(), some.end(),
                     [&](const auto& one) { return std::find(all.begin(), all.end(), one) != all.end(); });
}

}  // namespace

// Walks the job's nodes in order and gives each to the plan of its stage.
class StageMaker {
 public:
  StageMaker(const Plan& job, const std::function<Result<int32_t>(const SourceSpec&)>& partitions)
      : job_(job), partitions_(partitions), places_(job.nodes().size()) {}

  Result<std::vector<Stage>> make() {
    for (size_t i = 0; i < job_.nodes().size(); ++i) {
      if (job_.is_source(static_cast<int>(i))) ++source_;
      if (of_dead_letters(static_cast<int>(i)) || !job_.is_needed(static_cast<int>(i))) continue;
      WL_RETURN_IF_ERROR(add(static_cast<int>(i), job_.nodes()[i]));
    }
    for (size_t stage = 0; stage < stages_.size(); ++stage) WL_RETURN_IF_ERROR(add_of_dead_letters(stage));
    WL_RETURN_IF_ERROR(add_sinks());
    int32_t widest = 0;
    for (const Building& building : stages_) widest = std::max(widest, building.partitions);
    std::vector<Stage> stages;
    for (Building& building : stages_) {
      building.plan->widest_ = widest;
      WL_RETURN_IF_ERROR(building.plan->finish());
      stages.push_back({building.plan, building.upstream, building.partitions, building.source});
    }
    return stages;
  }

 private:
  struct Building {
    std::shared_ptr<Plan> plan;
    std::vector<size_t> upstream;
    int32_t partitions = 1;
    int source = -1;
  };
  // Where a node of the job has come to be.
  struct Place {
    size_t stage = 0;
    StreamRef stream;                         // its Port::kMain
    std::vector<std::string> partitioned_by;  // rows that are equal in these are in one partition; empty: not known
  };

  StreamRef stream_of(StreamRef of) const { return {places_[static_cast<size_t>(of.node)].stream.node, of.port}; }
  Place& place(StreamRef of) { return places_[static_cast<size_t>(of.node)]; }

  Status add(int number, const Plan::Node& node) {
    Place& here = places_[static_cast<size_t>(number)];
    if (const auto* source = std::get_if<SourceSpec>(&node.spec)) return add_source(here, node, *source);
    if (const auto* merge = std::get_if<MergeSpec>(&node.spec)) return add_merge(here, number, node, *merge);
    if (const auto* window = std::get_if<WindowSpec>(&node.spec)) {
      Place above = place(node.input);
      if (!window->per_partition && !meets(above, window->key_columns)) {
        WL_ASSIGN_OR_RETURN(above, exchange({node.input}, "rekey-" + node.name, window->key_columns));
      }
      here = above;
      WindowSpec spec = *window;
      WL_ASSIGN_OR_RETURN(here.stream, plan_of(here).window(above.stream, std::move(spec), true, node.name));
      here.partitioned_by =
          contains_all(window->key_columns, above.partitioned_by) ? above.partitioned_by : std::vector<std::string>();
      return {};
    }
    if (const auto* dedup = std::get_if<DedupSpec>(&node.spec);
        dedup && dedup->key_columns && !meets(place(node.input), *dedup->key_columns)) {
      WL_ASSIGN_OR_RETURN(here, exchange({node.input}, "rekey-" + node.name, dedup->key_columns));
      WL_ASSIGN_OR_RETURN(here.stream, add_step(plan_of(here), here.stream, node));
      return {};
    }
    here = place(node.input);
    WL_ASSIGN_OR_RETURN(here.stream, add_step(plan_of(here), stream_of(node.input), node));
    return {};
  }

  // One that stays in its stage.
  static Result<StreamRef> add_step(Plan& plan, StreamRef input, const Plan::Node& node) {
    if (const auto* filter = std::get_if<FilterSpec>(&node.spec)) return plan.filter(input, *filter, node.name);
    if (const auto* transform = std::get_if<TransformSpec>(&node.spec))
      return plan.transform(input, *transform, node.name);
    const auto& dedup = std::get<DedupSpec>(node.spec);
    return plan.dedup(input,
                      {dedup.columns, dedup.within, dedup.allowed_lateness, dedup.null_key_group, dedup.key_columns},
                      node.name);
  }

  bool of_dead_letters(int number) const {
    while (number != Plan::kDeadLetters && !Plan::inputs_of(job_.node(number)).empty())
      number = job_.node(number).input.node;
    return number == Plan::kDeadLetters;
  }

  // Every stage has dead letters, and what is done with them.
  Status add_of_dead_letters(size_t stage) {
    auto& streams = dead_letters_.emplace_back(job_.nodes().size(), StreamRef{Plan::kDeadLetters, Port::kMain});
    for (size_t i = 2; i < job_.nodes().size(); ++i) {
      const Plan::Node& node = job_.nodes()[i];
      if (!of_dead_letters(static_cast<int>(i)) || !job_.is_needed(static_cast<int>(i))) continue;
      const StreamRef input = streams[static_cast<size_t>(node.input.node)];
      WL_ASSIGN_OR_RETURN(streams[i], add_step(*stages_[stage].plan, {input.node, node.input.port}, node));
    }
    return {};
  }

  Plan& plan_of(const Place& place) { return *stages_[place.stage].plan; }

  // All rows of one key are in one partition already.
  bool meets(const Place& above, const std::vector<std::string>& key) const {
    if (stages_[above.stage].partitions == 1) return true;
    return !above.partitioned_by.empty() && contains_all(key, above.partitioned_by);
  }

  Building& add_stage(const std::string& name) {
    Building building;
    building.plan = std::make_shared<Plan>(job_.job());
    if (!stages_.empty()) building.plan->stage_ = name;
    stages_.push_back(std::move(building));
    return stages_.back();
  }

  Status add_source(Place& here, const Plan::Node& node, const SourceSpec& source) {
    WL_ASSIGN_OR_RETURN(const int32_t partitions, partitions_(source));
    Building& stage = add_stage(node.name);
    stage.partitions = partitions;
    stage.source = source_;
    here.stage = stages_.size() - 1;
    here.partitioned_by = source.partitioned_by;
    WL_ASSIGN_OR_RETURN(here.stream, stage.plan->read(source, node.name));
    return {};
  }

  // A stage that begins with these streams, through a repartition topic.
  Result<Place> exchange(const std::vector<StreamRef>& inputs, const std::string& name,
                         const std::optional<std::vector<std::string>>& key) {
    int32_t partitions = 1;
    std::vector<size_t> upstream;
    auto idle_advance = IdleAdvance::kHold;
    const std::string topic = job_.job() + (name.starts_with("rekey-") ? "." : ".rekey-") + name;
    for (const StreamRef input : inputs) partitions = std::max(partitions, stages_[place(input).stage].partitions);
    if (key && key->empty()) partitions = 1;  // the whole stream is one key
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Place& from = place(inputs[i]);
      Building& stage = stages_[from.stage];
      upstream.push_back(from.stage);
      SourceSpec& source = *stage.plan->source_;
      if (inputs.size() > 1 && source.watermark.idle_advance == IdleAdvance::kClose) idle_advance = IdleAdvance::kClose;
      // Only a topic can be idle for long.
      if (!source.topic.empty() && !source.exchange && !source.watermark.idle_after)
        source.watermark.idle_after = kIdleBehindExchange;
      SinkSpec sink;
      sink.streams = {stream_of(inputs[i])};
      sink.topic = topic;
      sink.internal = true;
      sink.exchange = ExchangeTo{static_cast<uint32_t>(i), partitions, key, inputs.size() > 1};
      stage.plan->sinks_.push_back(std::move(sink));
    }
    SourceSpec source;
    source.topic = topic;
    source.schema = job_.schema_of(inputs.front());
    source.exchange = ExchangeSource{static_cast<uint32_t>(inputs.size()), partitions, idle_advance};
    Building& stage = add_stage(name);
    stage.upstream = std::move(upstream);
    stage.partitions = partitions;
    Place made;
    made.stage = stages_.size() - 1;
    if (key) made.partitioned_by = *key;
    WL_ASSIGN_OR_RETURN(made.stream, stage.plan->read(std::move(source), name));
    return made;
  }

  Status add_merge(Place& here, int number, const Plan::Node& node, const MergeSpec& merge) {
    // Rows go where the only window below wants them: one hop less.
    std::optional<std::vector<std::string>> key;
    int below = 0;
    for (const Plan::Node& other : job_.nodes()) {
      const std::vector<StreamRef> inputs = Plan::inputs_of(other);
      if (std::none_of(inputs.begin(), inputs.end(), [&](StreamRef in) { return in.node == number; })) continue;
      ++below;
      if (const auto* window = std::get_if<WindowSpec>(&other.spec); window && !window->per_partition)
        key = window->key_columns;
      if (const auto* dedup = std::get_if<DedupSpec>(&other.spec)) key = dedup->key_columns;
    }
    if (below != 1) key.reset();
    WL_ASSIGN_OR_RETURN(here, exchange(merge.inputs, node.name, key));
    return {};
  }

  // A sink of streams of several stages is one in each of them.
  Status add_sinks() {
    for (size_t number = 0; number < job_.sinks().size(); ++number) {
      const SinkSpec& sink = job_.sinks()[number];
      for (size_t stage = 0; stage < stages_.size(); ++stage) {
        SinkSpec part = sink;
        part.number = static_cast<int>(number);
        part.streams.clear();
        for (const StreamRef stream : sink.streams) {
          if (of_dead_letters(stream.node))
            part.streams.push_back({dead_letters_[stage][static_cast<size_t>(stream.node)].node, stream.port});
          else if (job_.is_needed(stream.node) && place(stream).stage == stage)
            part.streams.push_back(stream_of(stream));
        }
        if (part.streams.empty() && !(sink.streams.empty() && stage == 0)) continue;
        stages_[stage].plan->sinks_.push_back(std::move(part));
      }
    }
    return {};
  }

  const Plan& job_;
  const std::function<Result<int32_t>(const SourceSpec&)>& partitions_;
  std::vector<Place> places_;  // by node of the job
  std::vector<Building> stages_;
  std::vector<std::vector<StreamRef>> dead_letters_;  // by stage and node of the job, of those below dead letters
  int source_ = -1;                                   // the number of the one that was met last
};

Result<std::vector<Stage>> make_stages(const std::shared_ptr<const Plan>& job,
                                       const std::function<Result<int32_t>(const SourceSpec&)>& partitions) {
  WL_ASSIGN_OR_RETURN(std::vector<Stage> stages, StageMaker(*job, partitions).make());
  if (stages.size() == 1 && job->sources().size() == 1) stages.front().plan = job;
  return stages;
}

}  // namespace wrackline
