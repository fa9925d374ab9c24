// What the steps of all kinds of windows start from: checked, with keys packed and aggregates laid out.
#pragma once

#include <memory>
#include <string>

#include "wrackline/core/key.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/window.h"

namespace wrackline {

struct WindowShape {
  WindowSpec spec;
  SchemaPtr input;
  SchemaPtr output;
  SchemaPtr late;
  KeyPacker keys;
  Aggregates aggregates;
};

// Entries keep an EntryHead.
bool needs_entry_head(const WindowSpec& spec);

std::unique_ptr<Step> make_slice_step(std::string name, WindowShape shape);
std::unique_ptr<Step> make_session_step(std::string name, WindowShape shape);
std::unique_ptr<Step> make_rolling_step(std::string name, WindowShape shape);

}  // namespace wrackline
