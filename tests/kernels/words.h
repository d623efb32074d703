// What the tests of words share: failures that are counted, guarded memory, and the program.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)

namespace {

int failures = 0;

void fail(int lane, uint32_t got, uint32_t wanted) {
  if (++failures <= 20) std::printf("  lane %d: got %08x, wanted %08x\n", lane, got, wanted);
}

inline void check(bool holds, const char* what) {
  if (!holds && ++failures <= 20) std::printf("  not true: %s\n", what);
}
#define CHECK(condition) check(condition, #condition)

// A page of numbers between two that must not be touched.
template <class T>
class GuardedPage {
 public:
  GuardedPage() {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* const memory = mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    begin = reinterpret_cast<T*>(static_cast<char*>(memory) + page);
    if (mprotect(begin, page, PROT_READ | PROT_WRITE) != 0) std::abort();
    end = begin + page / sizeof(T);
  }
  void fill(T value) {
    for (T* p = begin; p < end; ++p) *p = value;
  }
  T *begin, *end;
};

struct Word {
  const char *form, *meaning;
  void (*test)();
};

// Runs each word's test; what `main` returns.
template <size_t N>
int run_alone(const char* set, const Word (&words)[N]) {
  int wrong = 0;
  for (const Word& word : words) {
    std::printf("%s: %s\n", word.form, word.meaning);
    std::fflush(stdout);
    failures = 0;
    word.test();
    if (failures) std::printf("  WRONG: %s (%d times)\n", word.form, failures);
    wrong += failures > 0;
  }
  std::printf("%s: %d words wrong\n", set, wrong);
  return wrong ? 1 : 0;
}

}  // namespace
