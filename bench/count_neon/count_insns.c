/* A plugin for qemu-user: the number of instructions that the guest executed, on stderr when it ends. With
   "blocks=FILE" they are written there instead, a line for each block of code: its address and their number.

   Distributions ship no header for plugins; these are the parts of version 1 of the interface (the one of
   QEMU 4.2 to 8) that counting takes. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t Plugin;
typedef struct qemu_plugin_tb Block;
enum { kAdd = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(Plugin, void (*)(Plugin, Block*));
void qemu_plugin_register_vcpu_tb_exec_inline(Block*, int operation, void* operand, uint64_t amount);
void qemu_plugin_register_atexit_cb(Plugin, void (*)(Plugin, void*), void*);
size_t qemu_plugin_tb_n_insns(const Block*);
uint64_t qemu_plugin_tb_vaddr(const Block*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

typedef struct Counter {
  uint64_t address, executed;
  struct Counter* next;
} Counter;

static uint64_t executed;
static FILE* listing;
static Counter* counters;

static void translated(Plugin plugin, Block* block) {
  uint64_t* count = &executed;
  (void)plugin;
  if (listing) {
    Counter* counter = malloc(sizeof *counter);
    if (!counter) abort();
    *counter = (Counter){qemu_plugin_tb_vaddr(block), 0, counters};
    counters = counter;
    count = &counter->executed;
  }
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAdd, count, qemu_plugin_tb_n_insns(block));
}

static void ended(Plugin plugin, void* nothing) {
  (void)plugin, (void)nothing;
  if (!listing) {
    fprintf(stderr, "%" PRIu64 "\n", executed);
    return;
  }
  for (const Counter* c = counters; c; c = c->next) {
    fprintf(listing, "%" PRIx64 " %" PRIu64 "\n", c->address, c->executed);
  }
  fclose(listing);
}

__attribute__((visibility("default"))) int qemu_plugin_install(Plugin plugin, const void* info, int count,
                                                               char** arguments) {
  static const char kBlocks[] = "blocks=";
  (void)info;
  if (count == 1 && !strncmp(arguments[0], kBlocks, strlen(kBlocks))) {
    listing = fopen(arguments[0] + strlen(kBlocks), "w");
    if (!listing) return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
  qemu_plugin_register_atexit_cb(plugin, ended, NULL);
  return 0;
}
