#include "log.h"

#include "bindings.h"
#include "table.h"
#include <pybind11/stl.h>

#include "wrackline/codec/json_encoder.h"

namespace wrackline::bindings {
namespace {

constexpr int64_t kAppendRows = 16'384;  // of a frame, in one append

py::object bytes_or_none(bool there, std::string_view bytes) {
  if (!there) return py::none();
  return py::bytes(bytes.data(), bytes.size());
}

// A view of `object`'s bytes, valid while it lives.
std::optional<std::string_view> view_of(py::handle object, const char* what, size_t index) {
  if (object.is_none()) return std::nullopt;
  if (PyBytes_Check(object.ptr())) {
    return std::string_view(PyBytes_AS_STRING(object.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(object.ptr())));
  }
  if (PyUnicode_Check(object.ptr())) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
    if (text == nullptr) throw py::error_already_set();
    return std::string_view(text, static_cast<size_t>(size));
  }
  raise(Status::invalid(std::string(what) + " " + std::to_string(index) + " is a " +
                        py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>() +
                        ", not bytes, str or None"));
}

void append(const LogHandle& log, const std::string& topic, int32_t partition, const py::list& values,
            const std::optional<py::list>& keys, const std::optional<std::vector<int64_t>>& timestamps) {
  if ((keys && keys->size() != values.size()) || (timestamps && timestamps->size() != values.size())) {
    raise(Status::invalid("append: as many keys and timestamps as values"));
  }
  Records records;
  const Millis now = system_clock()->now();
  for (size_t i = 0; i < values.size(); ++i) {
    records.add(keys ? view_of((*keys)[i], "key", i) : std::nullopt, view_of(values[i], "value", i),
                timestamps ? (*timestamps)[i] : now);
  }
  if (records.empty()) return;
  check(without_gil([&, share = log.get()] { return share->append({topic, partition}, records).status(); }));
}

// Which column has the log timestamps; -1: none.
int timestamp_column(const Schema& schema, const std::optional<std::string>& name) {
  if (!name) return -1;
  const int index = schema.index_of(*name);
  const bool fits =
      index >= 0 && (schema.field(index).type == Type::kInt64 || schema.field(index).type == Type::kTimestamp);
  if (!fits)
    raise(Status::invalid("append: timestamps=\"" + *name + "\" is no integer or timestamp column of the frame"));
  return index;
}

// Rows as JSON. The key is one string column's text, or the JSON array of several.
Status append_table(Log& log, const Table& table, const std::string& topic, std::optional<int32_t> partition,
                    int32_t partitions, const std::vector<int>& keys, int timestamps, Millis now) {
  const JsonEncoder encoder = JsonEncoder::all_columns(table.schema());
  const bool plain_key = keys.size() == 1 && table.schema()->field(keys[0]).type == Type::kString;
  int64_t round = 0;
  for (const auto& batch : table.batches()) {
    for (int64_t begin = 0; begin < batch->length; begin += kAppendRows) {
      const int64_t end = std::min(batch->length, begin + kAppendRows);
      Records encoded;
      encoder.encode(*batch, begin, end, now, encoded);
      std::vector<Records> out(static_cast<size_t>(partitions));
      Bytes scratch;
      for (int64_t row = begin; row < end; ++row) {
        std::optional<std::string_view> key;
        if (plain_key) {
          const Column& column = batch->column(keys[0]);
          if (!column.is_null(row)) key = column.string_at(row);
        } else if (!keys.empty()) {
          scratch.clear();
          encoder.append_array(*batch, row, keys, scratch);
          key = std::string_view(reinterpret_cast<const char*>(scratch.data()), scratch.size());
        }
        const int32_t to = partition ? *partition
                           : key     ? partition_of(*key, partitions)
                                     : static_cast<int32_t>(round++ % partitions);
        const bool own_time = timestamps >= 0 && !batch->column(timestamps).is_null(row);
        out[static_cast<size_t>(to)].add(key, encoded.value(row - begin),
                                         own_time ? batch->column(timestamps).int64s()[row] : now);
      }
      for (int32_t p = 0; p < partitions; ++p) {
        const Records& records = out[static_cast<size_t>(p)];
        if (!records.empty()) WL_RETURN_IF_ERROR(log.append({topic, p}, records).status());
      }
    }
  }
  return {};
}

void append_frame(const LogHandle& log, const std::string& topic, const Table& table,
                  const std::vector<std::string>& key, std::optional<int32_t> partition,
                  const std::optional<std::string>& timestamps) {
  std::vector<int> keys;
  for (const std::string& name : key) {
    keys.push_back(table.schema()->index_of(name));
    if (keys.back() < 0) raise(Status::invalid("append: key=\"" + name + "\" is no column of the frame"));
  }
  const int times = timestamp_column(*table.schema(), timestamps);
  check(without_gil([&, share = log.get()]() -> Status {
    WL_ASSIGN_OR_RETURN(const TopicInfo info, share->topic(topic));
    if (partition && (*partition < 0 || *partition >= info.partitions)) {
      return Status::invalid("append: topic \"" + topic + "\" has partitions 0 to " +
                             std::to_string(info.partitions - 1));
    }
    return append_table(*share, table, topic, partition, info.partitions, keys, times, system_clock()->now());
  }));
}

}  // namespace

std::shared_ptr<const Clock> system_clock() {
  static const auto clock = std::make_shared<const SystemClock>();
  return clock;
}

void register_log(py::module_& m) {
  py::class_<RecordsView>(m, "Records")
      .def("__len__", [](const RecordsView& view) { return view.records->size(); })
      .def_readonly("next_offset", &RecordsView::next_offset)
      .def("values",
           [](const RecordsView& view) {
             py::list out;
             for (int64_t i = 0; i < view.records->size(); ++i) {
               out.append(bytes_or_none(view.records->has_value(i), view.records->value(i)));
             }
             return out;
           })
      .def("keys",
           [](const RecordsView& view) {
             py::list out;
             for (int64_t i = 0; i < view.records->size(); ++i) {
               out.append(bytes_or_none(view.records->has_key(i), view.records->key(i)));
             }
             return out;
           })
      .def("timestamps",
           [](const RecordsView& view) {
             std::vector<int64_t> out;
             for (int64_t i = 0; i < view.records->size(); ++i) out.push_back(view.records->timestamp(i));
             return out;
           })
      .def("offsets",
           [](const RecordsView& view) {
             std::vector<int64_t> out;
             for (int64_t i = 0; i < view.records->size(); ++i) out.push_back(view.records->offset(i));
             return out;
           })
      .def("headers",
           [](const RecordsView& view) {
             py::list out;
             for (int64_t i = 0; i < view.records->size(); ++i) {
               py::list one;
               for (const auto& [name, value] : view.records->headers(i))
                 one.append(py::make_tuple(name, py::bytes(value)));
               out.append(one);
             }
             return out;
           })
      .def(
          "lines",
          [](const RecordsView& view) {
            const Bytes& bytes = view.records->value_bytes();
            return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          },
          "All values, each followed by a newline.")
      .def(
          "head",
          [](const RecordsView& view, int64_t count) {
            if (count >= view.records->size()) return view;
            auto first = std::make_shared<Records>(*view.records);
            first->truncate(std::max<int64_t>(count, 0));
            return RecordsView{std::move(first), view.records->offset(std::max<int64_t>(count, 0))};
          },
          py::arg("count"), "The first `count` records.");

  py::class_<LogHandle>(m, "Log")
      .def(py::init([](const std::string& uri, const LogSettings& settings, bool read_only) {
             return LogHandle(check(without_gil([&] {
               return read_only ? open_log_for_reading(uri, system_clock(), settings)
                                : open_log(uri, system_clock(), settings);
             })));
           }),
           py::arg("uri"), py::arg("settings") = LogSettings(), py::kw_only(), py::arg("read_only") = false)
      .def_property_readonly("id", [](const LogHandle& log) { return log.get()->id(); })
      .def_property_readonly("uri", [](const LogHandle& log) { return log.get()->uri(); })
      .def("close", &LogHandle::close)
      .def(
          "create_topic",
          [](const LogHandle& log, const std::string& name, int32_t partitions) {
            check(without_gil([&, share = log.get()] { return share->create_topic(name, partitions); }));
          },
          py::arg("name"), py::arg("partitions") = 1)
      .def("topics",
           [](const LogHandle& log) {
             std::vector<std::tuple<std::string, int32_t, std::string>> out;
             for (const TopicInfo& topic : check(without_gil([&, share = log.get()] { return share->topics(); }))) {
               out.emplace_back(topic.name, topic.partitions, topic.id);
             }
             return out;
           })
      .def(
          "topic",
          [](const LogHandle& log, const std::string& name) {
            const TopicInfo topic = check(without_gil([&, share = log.get()] { return share->topic(name); }));
            return std::make_tuple(topic.name, topic.partitions, topic.id);
          },
          py::arg("name"))
      .def("append", &append, py::arg("topic"), py::arg("partition"), py::arg("values"), py::kw_only(),
           py::arg("keys") = py::none(), py::arg("timestamps") = py::none())
      .def("append_frame", &append_frame, py::arg("topic"), py::arg("table"), py::kw_only(),
           py::arg("key") = std::vector<std::string>(), py::arg("partition") = py::none(),
           py::arg("timestamps") = py::none())
      .def(
          "read",
          [](const LogHandle& log, const std::string& topic, int32_t partition, int64_t offset, int64_t max_bytes,
             bool committed) {
            event::Polled polled = check(without_gil([&, share = log.get()] {
              return share->read({topic, partition}, offset, max_bytes,
                                 committed ? Isolation::kReadCommitted : Isolation::kReadUncommitted);
            }));
            if (!polled.records) polled.records = std::make_shared<Records>();
            return RecordsView{std::move(polled.records), polled.next_offset};
          },
          py::arg("topic"), py::arg("partition"), py::arg("offset"), py::kw_only(), py::arg("max_bytes") = 16 << 20,
          py::arg("committed") = true)
      .def(
          "start_offset",
          [](const LogHandle& log, const std::string& topic, int32_t partition) {
            return check(without_gil([&, share = log.get()] { return share->start_offset({topic, partition}); }));
          },
          py::arg("topic"), py::arg("partition"))
      .def(
          "end_offset",
          [](const LogHandle& log, const std::string& topic, int32_t partition, bool committed) {
            return check(without_gil([&, share = log.get()] {
              return share->end_offset({topic, partition},
                                       committed ? Isolation::kReadCommitted : Isolation::kReadUncommitted);
            }));
          },
          py::arg("topic"), py::arg("partition"), py::kw_only(), py::arg("committed") = true)
      .def(
          "trim",
          [](const LogHandle& log, const std::string& topic, int32_t partition, int64_t offset) {
            check(without_gil([&, share = log.get()] { return share->trim({topic, partition}, offset); }));
          },
          py::arg("topic"), py::arg("partition"), py::arg("offset"))
      .def(
          "committed",
          [](const LogHandle& log, const std::string& group) {
            std::vector<std::tuple<std::string, int32_t, int64_t>> out;
            const Offsets offsets = check(without_gil([&, share = log.get()] { return share->committed(group); }));
            for (const auto& [where, at] : offsets) out.emplace_back(where.topic, where.partition, at.offset);
            return out;
          },
          py::arg("group"));
  m.def(
      "check_log", [](const std::string& uri, const LogSettings& settings) { check(check_log(uri, settings)); },
      py::arg("uri"), py::arg("settings"));
  m.def(
      "partition_of",
      [](std::string_view key, int32_t partitions) {
        if (partitions <= 0) raise(Status::invalid("partition_of: partitions must be > 0"));
        return partition_of(key, partitions);
      },
      py::arg("key"), py::arg("partitions"));
}

}  // namespace wrackline::bindings
