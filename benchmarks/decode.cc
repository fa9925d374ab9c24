// JSON to five checked columns, against a bare simdjson loop that puts the same five fields into
// arrays and checks nothing beyond their types.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pairs.h"
#include <simdjson.h>

#include "wrackline/codec/json_decoder.h"

namespace {

using namespace wrackline;

constexpr int64_t kRecords = 1'000'000;
constexpr int64_t kBatch = 4'000;  // records, as a poll returns them

std::shared_ptr<Records> make_batch(std::mt19937_64& random, int64_t first) {
  static constexpr const char* kChannels[] = {"Google", "Apple", "Baidu", "Facebook"};
  auto records = std::make_shared<Records>();
  char text[160];
  for (int64_t i = 0; i < kBatch; ++i) {
    const int size =
        std::snprintf(text, sizeof text, R"({"auction":%d,"bidder":%d,"price":%.2f,"channel":"%s","dateTime":%lld})",
                      static_cast<int>(1000 + random() % 100'000), static_cast<int>(1000 + random() % 100'000),
                      static_cast<double>(random() % 10'000'000) / 100, kChannels[random() % 4],
                      1'700'000'000'000LL + static_cast<long long>(first + i));
    records->add(std::nullopt, std::string_view(text, static_cast<size_t>(size)), 0, first + i);
  }
  records->pad();
  return records;
}

// What the limit keeps of a batch.
struct Arrays {
  std::vector<int64_t> auction, bidder, time;
  std::vector<double> price;
  std::vector<int32_t> channel_ends;
  std::vector<char> channels;
};

void extract(simdjson::ondemand::parser& parser, const Records& records, Arrays& to) {
  to.auction.clear();
  to.bidder.clear();
  to.time.clear();
  to.price.clear();
  to.channel_ends.clear();
  to.channels.clear();
  const Bytes& bytes = records.value_bytes();
  simdjson::ondemand::document_stream stream;
  if (parser.iterate_many(bytes.data(), bytes.size()).get(stream)) std::abort();
  for (auto document : stream) {
    simdjson::ondemand::object object;
    int64_t auction, bidder, time;
    double price;
    std::string_view channel;
    if (document.get_object().get(object) || object["auction"].get(auction) || object["bidder"].get(bidder) ||
        object["price"].get(price) || object["channel"].get(channel) || object["dateTime"].get(time)) {
      std::abort();
    }
    to.auction.push_back(auction);
    to.bidder.push_back(bidder);
    to.price.push_back(price);
    to.channels.insert(to.channels.end(), channel.begin(), channel.end());
    to.channel_ends.push_back(static_cast<int32_t>(to.channels.size()));
    to.time.push_back(time);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 7;
  std::mt19937_64 random(1);
  std::vector<std::shared_ptr<const Records>> batches;
  size_t bytes = 0;
  for (int64_t i = 0; i < kRecords; i += kBatch) {
    batches.push_back(make_batch(random, i));
    bytes += batches.back()->byte_size();
  }
  std::fprintf(stderr, "%lld records of %.1f bytes\n", static_cast<long long>(kRecords),
               static_cast<double>(bytes) / static_cast<double>(kRecords));

  Result<JsonDecoder> decoder = JsonDecoder::make(Schema({{.name = "auction", .type = Type::kInt64},
                                                          {.name = "bidder", .type = Type::kInt64},
                                                          {.name = "price", .type = Type::kFloat64},
                                                          {.name = "channel", .type = Type::kString},
                                                          {.name = "dateTime", .type = Type::kTimestamp}}),
                                                  {.time_field = 4});
  simdjson::ondemand::parser parser;
#ifdef SIMDJSON_THREADS_ENABLED
  parser.threaded = false;
#endif
  Arrays arrays;
  bench::compare(
      "decode", pairs, static_cast<double>(kRecords),
      [&] {
        int64_t rows = 0;
        for (const auto& batch : batches) rows += decoder->decode(batch).batch.length;
        if (rows != kRecords) std::abort();
      },
      [&] {
        size_t rows = 0;
        for (const auto& batch : batches) {
          extract(parser, *batch, arrays);
          rows += arrays.auction.size();
        }
        if (rows != static_cast<size_t>(kRecords)) std::abort();
      });
}
