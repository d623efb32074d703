/* A plugin for qemu-user: the number of instructions that the guest executed, on stderr when it ends.

   Distributions ship no header for plugins; these are the parts of version 1 of the interface (the one of
   QEMU 4.2 to 8) that counting takes. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t Plugin;
typedef struct qemu_plugin_tb Block;
enum { kAdd = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(Plugin, void (*)(Plugin, Block*));
void qemu_plugin_register_vcpu_tb_exec_inline(Block*, int operation, void* operand, uint64_t amount);
void qemu_plugin_register_atexit_cb(Plugin, void (*)(Plugin, void*), void*);
size_t qemu_plugin_tb_n_insns(const Block*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t executed;

static void translated(Plugin plugin, Block* block) {
  (void)plugin;
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAdd, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(Plugin plugin, void* nothing) {
  (void)plugin, (void)nothing;
  fprintf(stderr, "%" PRIu64 "\n", executed);
}

__attribute__((visibility("default"))) int qemu_plugin_install(Plugin plugin, const void* info, int count,
                                                               char** arguments) {
  (void)info, (void)count, (void)arguments;
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
  qemu_plugin_register_atexit_cb(plugin, ended, NULL);
  return 0;
}
