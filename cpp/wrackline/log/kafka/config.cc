#include "wrackline/log/kafka/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include <openssl/crypto.h>
#include <sys/syslog.h>

#include "wrackline/core/logging.h"
#include "wrackline/core/spelling.h"

namespace wrackline::kafka {
namespace {

using Conf = Owned<rd_kafka_conf_t, rd_kafka_conf_destroy>;

Conf new_conf() {
  // A client may outlive main(): an end that hangs, a log that nobody closed. Its threads would find OpenSSL gone.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  return Conf(rd_kafka_conf_new());
}

constexpr std::string_view kScheme = "kafka:";
constexpr const char* kConnectTimeout = "connect.timeout.ms";  // ours
constexpr const char* kPlug = "recycle.late.ends";             // ours, for the test that shows why it is there

// What the protocol rests on.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kOurs = {{
    {"bootstrap.servers", "the address says where the brokers are"},
    {"metadata.broker.list", "the address says where the brokers are"},
    {"group.id", "the group is the job's name"},
    {"group.instance.id", "it is made of the state directory and its slot; membership=\"dynamic\" does without"},
    {"transactional.id", "it is made of the state directory and its slot"},
    {"transaction.timeout.ms", "give the job transaction_timeout="},
    {"message.timeout.ms", "it is the job's transaction_timeout="},
    {"enable.idempotence", "a job always produces idempotently"},
    {"enable.auto.commit", "offsets are committed with the results"},
    {"enable.auto.offset.store", "offsets are committed with the results"},
    {"auto.offset.reset", "a lost offset is an error, never a silent jump"},
    {"isolation.level", "a job reads what is committed"},
    {"enable.partition.eof", "the job needs to know where it stands"},
    {"delivery.report.only.error", "the job needs to know of each failure"},
}};

bool is_secret(std::string_view name) {
  return name.find("password") != std::string_view::npos || name.find("secret") != std::string_view::npos ||
         name.find("key.pem") != std::string_view::npos || name.find("token") != std::string_view::npos ||
         name == "sasl.oauthbearer.config" || name == "sasl.oauthbearer.assertion.private.key.pem";
}

// All of them: the library lists its options as a table, `name | ...` a line.
std::vector<std::string> option_names() {
  char* text = nullptr;
  size_t size = 0;
  FILE* table = open_memstream(&text, &size);
  rd_kafka_conf_properties_show(table);
  std::fclose(table);
  std::vector<std::string> names;
  std::istringstream lines(std::string(text, size));
  std::free(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find_first_of(" |"));
    if (line.find('|') != std::string::npos && name.find('.') != std::string::npos) names.push_back(name);
  }
  return names;
}

std::string did_you_mean(const std::string& name) {
  const std::string near = nearest(name, option_names());
  return near.empty() ? "; docs/kafka.md says where they are listed" : "; did you mean '" + near + "'?";
}

Status set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> why{};
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size())) {
    case RD_KAFKA_CONF_OK: return {};
    case RD_KAFKA_CONF_UNKNOWN: return Status::invalid("Kafka has no option '" + name + "'" + did_you_mean(name));
    default: break;
  }
  const std::string reason = why.data();
  const bool shows = is_secret(name) && reason.find(value) != std::string::npos;
  return Status::invalid("Kafka option '" + name + "': " + (shows ? "the value is refused" : reason));
}

Result<int64_t> positive(const std::string& name, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  return Status::invalid("Kafka option '" + name + "': '" + text + "' is no whole number above 0");
}

void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
  const std::string_view what(facility);
  // Options of another role are meant for another handle; connections that fail are said by on_error.
  if (what == "CONFWARN" || what == "FAIL" || what == "ERROR") return;
  log_line(level <= LOG_WARNING ? LogLevel::kWarning
           : level <= LOG_INFO  ? LogLevel::kInfo
                                : LogLevel::kDebug,
           "kafka " + std::string(rd_kafka_name(handle)) + ": " + text);
}

}  // namespace

void Connection::heard(int error, const std::string& why) {
  const std::lock_guard lock(mutex);
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) reason = why;
  const std::string line = "kafka: " + why;
  if (line == said) return;
  said = line;
  log_line(LogLevel::kWarning, line);
}

std::string Connection::last_error() const {
  const std::lock_guard lock(mutex);
  return reason;
}

Result<Config> Config::make(const std::string& uri, const LogSettings& settings) {
  Config config;
  std::string_view servers = uri;
  if (servers.starts_with(kScheme)) servers.remove_prefix(kScheme.size());
  while (servers.starts_with('/')) servers.remove_prefix(1);
  while (servers.ends_with('/')) servers.remove_suffix(1);
  if (servers.empty() || servers.find_first_of(" /@?") != std::string_view::npos) {
    return Status::invalid("log '" + (servers.find('@') == std::string_view::npos ? uri : std::string("kafka://...")) +
                           "': expected kafka://HOST:PORT or kafka://HOST:PORT,HOST:PORT; options such as user and "
                           "password are given to wl.Kafka()");
  }
  config.servers_ = std::string(servers);
  config.uri_ = "kafka://" + config.servers_;
  const Conf conf = new_conf();
  for (const auto& [name, value] : settings) {
    if (name == kConnectTimeout) {
      WL_ASSIGN_OR_RETURN(config.connect_timeout_, positive(name, value));
      continue;
    }
    if (name == kPlug) {
      config.recycles_late_ends_ = value != "false";
      continue;
    }
    const auto ours =
        std::find_if(kOurs.begin(), kOurs.end(), [&](const auto& option) { return option.first == name; });
    if (ours != kOurs.end())
      return Status::invalid("Kafka option '" + name + "' cannot be set: " + std::string(ours->second));
    WL_RETURN_IF_ERROR(set(conf.get(), name, value));
    if (name == "message.max.bytes" || name == "max.message.bytes") {
      WL_ASSIGN_OR_RETURN(config.max_record_bytes_, positive(name, value));
    }
    if (name == "group.protocol" && value == "consumer") config.consumer_protocol_ = config.incremental_ = true;
    if (name == "partition.assignment.strategy" && value.find("cooperative") != std::string::npos)
      config.incremental_ = true;
    config.settings_[name] = value;
  }
  return config;
}

Result<Handle> Config::open(Role role, const std::vector<ConfOption>& own, Connection* connection,
                            const std::function<void(rd_kafka_conf_t*)>& prepare) const {
  Conf conf = new_conf();
  std::vector<ConfOption> options = {
      {"bootstrap.servers", servers_},      {"client.id", "wrackline"},    {"socket.nagle.disable", "true"},
      {"socket.keepalive.enable", "true"},  {"retry.backoff.ms", "20"},    {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"}, {"socket.timeout.ms", "5000"}, {"log.connection.close", "false"},
  };
  const auto add = [&](std::initializer_list<ConfOption> more) { options.insert(options.end(), more); };
  switch (role) {
    case Role::kAdmin:
      add({{"enable.idempotence", "true"},
           {"linger.ms", "0"},
           {"compression.type", "lz4"},
           {"message.timeout.ms", std::to_string(std::max<Millis>(connect_timeout_, 10'000))}});
      break;
    case Role::kReader:
      add({{"enable.partition.eof", "true"},
           {"auto.offset.reset", "error"},
           {"enable.auto.commit", "false"},
           {"enable.auto.offset.store", "false"},
           {"fetch.wait.max.ms", "50"},
           {"fetch.queue.backoff.ms", "10"},
           {"queued.min.messages", "50000"},
           // Per partition, since each has a queue of its own.
           {"queued.max.messages.kbytes", "16384"}});
      break;
    case Role::kMember:
      add({{"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"}});
      if (!consumer_protocol_) {
        add({{"partition.assignment.strategy", "range"},
             {"session.timeout.ms", "10000"},
             {"heartbeat.interval.ms", "1000"}});
      }
      break;
    case Role::kProducer:
      add({{"enable.idempotence", "true"},
           {"delivery.report.only.error", "true"},
           {"linger.ms", "5"},
           {"compression.type", "lz4"},
           {"batch.num.messages", "10000"},
           {"queue.buffering.max.messages", "200000"},
           {"queue.buffering.max.kbytes", "131072"}});
      break;
  }
  for (const auto& [name, value] : options) WL_RETURN_IF_ERROR(set(conf.get(), name, value));
  for (const auto& [name, value] : settings_) WL_RETURN_IF_ERROR(set(conf.get(), name, value));
  for (const auto& [name, value] : own) WL_RETURN_IF_ERROR(set(conf.get(), name, value));
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  rd_kafka_conf_set_opaque(conf.get(), connection);
  rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int error, const char* reason, void* opaque) {
    static_cast<Connection*>(opaque)->heard(error, reason);
  });
  if (prepare) prepare(conf.get());
  std::array<char, 512> why{};
  const rd_kafka_type_t type = role == Role::kReader || role == Role::kMember ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
  rd_kafka_t* handle = rd_kafka_new(type, conf.get(), why.data(), why.size());
  if (handle == nullptr) return Status::invalid("Kafka: " + std::string(why.data()));
  rd_kafka_conf_t* const taken = conf.release();  // the handle has it now
  static_cast<void>(taken);
  return Handle(handle);
}

}  // namespace wrackline::kafka
