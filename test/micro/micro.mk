# SPDX-License-Identifier: MIT
#
# The micro guests: every test/micro/NAME.c becomes build/micro/NAME.bz, a kernel of one behaviour on the runtime in
# test/micro/lib. mk/test.mk includes this file, test/harness/micro.py runs them under the hypervisor.
#
#   make micro-bare NAME=cpuid    runs one in QEMU without the hypervisor: is the test itself right?

OBJCOPY ?= objcopy

MICRO       := $(BUILD)/micro
MICRO_NAMES := $(sort $(patsubst test/micro/%.c,%,$(wildcard test/micro/*.c)))
MICRO_LIB   := $(addprefix $(MICRO)/lib/,header.S.o trap.S.o devices.c.o timer_test.c.o protected.c.o smp.c.o)

# Not position-independent: linked where it is loaded, below 2 GiB. Tests look at vector registers by assembly only.
MICRO_CC     := $(UNIT_GCC)
MICRO_CFLAGS := -std=gnu11 -ffreestanding -O2 -g -m64 -mno-red-zone -mgeneral-regs-only -mcmodel=small -fno-pic -fno-pie \
	-fcf-protection=none -fno-strict-aliasing -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes \
	-Ivmm/include -Iarch/include -Itest/micro/lib

$(eval $(call text-stamp,$(MICRO)/flags,$$(MICRO_CC) $$(MICRO_CFLAGS)))

$(MICRO)/lib/%.o: test/micro/lib/% $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(MICRO)/%.c.o: test/micro/%.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# The runtime knows the name for its verdict.
$(MICRO)/%.runtime.o: test/micro/lib/runtime.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -DMICRO_NAME='"$*"' -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(MICRO)/%.elf: $(MICRO)/%.c.o $(MICRO)/%.runtime.o $(MICRO_LIB) test/micro/lib/micro.ld
	$(Q)$(LD) -m elf_x86_64 -nostdlib -static -z noexecstack --build-id=none --no-warn-rwx-segments \
		-T test/micro/lib/micro.ld $(MICRO_START) -o $@ $(filter-out $(MICRO_HEADER),$(filter %.o,$^))

$(MICRO)/%.bz: $(MICRO)/%.elf
	$(call say,MICRO,$@)
	$(Q)$(OBJCOPY) $(or $(MICRO_FORMAT),-O binary) $< $@

# A comment "ENTRY: kind" of a test: linux32 is a bzImage without the 64-bit entry; multiboot32, multiboot64 and pvh are ELF
# files, and the .bz is not to be believed.
micro-entry = $(patsubst test/micro/%.c,%,$(shell grep -l 'ENTRY: $(1) ' test/micro/*.c))
MICRO_LINUX32 := $(call micro-entry,linux32)
MICRO_ELF32   := $(call micro-entry,multiboot32)
MICRO_ELF64   := $(call micro-entry,multiboot64)
MICRO_PVH     := $(call micro-entry,pvh)

$(MICRO)/lib/header32.S.o $(MICRO)/lib/pvh.S.o: test/micro/lib/header.S $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) $(if $(findstring pvh,$@),-DMICRO_PVH,-DMICRO_32) -c -o $@ $<

$(MICRO_LINUX32:%=$(MICRO)/%.elf): $(MICRO)/lib/header32.S.o
$(MICRO_PVH:%=$(MICRO)/%.elf): $(MICRO)/lib/pvh.S.o
# In the place of the usual header.
$(MICRO_LINUX32:%=$(MICRO)/%.elf) $(MICRO_PVH:%=$(MICRO)/%.elf): MICRO_HEADER := $(MICRO)/lib/header.S.o

$(foreach n,$(MICRO_ELF32) $(MICRO_ELF64) $(MICRO_PVH),$(MICRO)/$(n).elf): MICRO_START := -e entry32 --nmagic
$(MICRO_ELF32:%=$(MICRO)/%.bz): MICRO_FORMAT := -O elf32-i386 --strip-all
$(MICRO_ELF64:%=$(MICRO)/%.bz) $(MICRO_PVH:%=$(MICRO)/%.bz): MICRO_FORMAT := --strip-all

$(MICRO)/%.bare: $(MICRO)/%.bz test/micro/lib/bare.S
	$(Q)$(MICRO_CC) -m32 -nostdlib -static -Wl,--build-id=none -Wl,-Ttext=0x400000 -DMICRO_FILE='"$<"' \
		-o $@ test/micro/lib/bare.S

.PHONY: micro-bare
micro-bare: $(MICRO)/$(NAME).bare
	-timeout 30 qemu-system-x86_64 -accel tcg -machine q35 -cpu max -m 256 -display none -serial stdio \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel $<

.SECONDARY: $(MICRO_LIB) $(foreach s,.c.o .runtime.o .elf .bare,$(MICRO_NAMES:%=$(MICRO)/%$(s)))

-include $(wildcard $(MICRO)/*.d $(MICRO)/lib/*.d)
