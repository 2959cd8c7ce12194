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
		-T test/micro/lib/micro.ld -o $@ $(filter %.o,$^)

$(MICRO)/%.bz: $(MICRO)/%.elf
	$(call say,MICRO,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

$(MICRO)/%.bare: $(MICRO)/%.bz test/micro/lib/bare.S
	$(Q)$(MICRO_CC) -m32 -nostdlib -static -Wl,--build-id=none -Wl,-Ttext=0x400000 -DMICRO_FILE='"$<"' \
		-o $@ test/micro/lib/bare.S

.PHONY: micro-bare
micro-bare: $(MICRO)/$(NAME).bare
	-timeout 30 qemu-system-x86_64 -accel tcg -machine q35 -cpu max -m 256 -display none -serial stdio \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel $<

.SECONDARY: $(MICRO_LIB) $(foreach s,.c.o .runtime.o .elf .bare,$(MICRO_NAMES:%=$(MICRO)/%$(s)))

-include $(wildcard $(MICRO)/*.d $(MICRO)/lib/*.d)
