// What a plan needs to know of an instruction set and of the machines that run it. The numbers stand in the
// data sheets, isa/<isa>.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastdw {

// Nanoseconds of one core. They decide who shares work and who keeps the GIL, where a factor of two is of no
// consequence; they are no forecast.
struct Rates {
  double mac;     // a multiply-add of a tile
  double value;   // a result of a depthwise tile, beside its multiply-adds: loads, stores, borders
  double curve;   // a value through the slowest activation that is no clamp
  double copy;    // a float that changes its layout
  double weight;  // that comes from beyond L2
};

struct Schedule {
  Rates rates = {};

  // Floats of scratch that a task may use, and their shares. A block's own share is half of it; where its
  // input is copied, up to what the copy and the least staging buffer leave.
  std::ptrdiff_t scratch_floats = 64 * 1024;
  std::ptrdiff_t block_floats = 32 * 1024;
  std::ptrdiff_t copied_floats = 16 * 1024;   // input of a block, where it cannot be read in place
  std::ptrdiff_t staging_floats = 16 * 1024;  // output of a part, where it cannot be written in place
  std::ptrdiff_t least_staging_floats = 4 * 1024;

  // Weights that every thread may read block after block, from its own L2 for the most part.
  std::ptrdiff_t light_bytes = 1280 * 1024;
  // Weights above this are read anew for every block: worth a larger one.
  std::ptrdiff_t streamed_bytes = PTRDIFF_MAX;
  // A panel that stays in L1 while many tiles read it: all of 48 KB.
  std::ptrdiff_t light_panel_floats = 12 * 1024;
  // Input of a block, at most, on one thread, where the next one's shall have room in L2 beside it.
  std::ptrdiff_t input_floats = PTRDIFF_MAX;
  // Rather than cut rows a block takes more of the scratch.
  bool prefers_whole_rows = false;
  // Tiles ask L2 for the input of the next block, where the whole input is above so many bytes.
  bool asks_ahead = false;
  std::ptrdiff_t cached_bytes = 768 * 1024;
  // What a depthwise result may have to be kept between two steps; a larger one is projected by blocks.
  std::ptrdiff_t kept_bytes = 512 * 1024;
};

}  // namespace fastdw
