# SPDX-License-Identifier: MIT
#
# Tests. `make test` runs all and ends in one line "N passed, N failed, N skipped"; the others run a part.
# What is compiled for the development host is made here; what runs, and how its verdict is found, is in
# test/run and test/harness/.
#
# A program is one file: test/unit/test_*.c (cmocka) or test/fuzz/fuzz_*.c (libFuzzer). It names what it
# links besides itself in a comment: SOURCES: a.c b.c
#
#   JOBS=n    emulators, tests and compilations at a time   [the number of CPUs]
#   ONLY=...  cases to run, by name: ONLY='boot/*uefi*'      [all]

HOST := $(BUILD)/host

JOBS ?= $(shell nproc)
ONLY ?=

UNIT_GCC   ?= gcc
UNIT_CLANG ?= clang

.PHONY: unit fuzz micro boot test-fast test-full test-guest
.PHONY: build-unit build-fuzz build-boot build-micro build-bench build-guest-test

TEST_RUN = test/run --jobs '$(JOBS)' --build '$(BUILD)' $(if $(ONLY),--only '$(ONLY)')

# The tools come first, because some of these makefiles look at what is installed when they are read.
test: ## run every test (`make test-fast`: those that need no emulator)
	@tools/setup test
	@$(TEST_RUN) check unit fuzz products micro boot bench guest

# What needs more kernels than the tiny one, or more CPUs than a small machine has for the emulators: half an hour more, with
# cold caches.
test-full:
	@tools/setup test
	@$(TEST_RUN) check unit fuzz products micro boot bench guest micro-full boot-full guest-full

test-guest:
	@tools/setup test
	@$(TEST_RUN) guest

test-fast:
	@tools/setup check
	@$(TEST_RUN) check unit fuzz

check: ## check format, layers, headers, state, and what static analysers find
	@tools/setup check
	@$(TEST_RUN) check

unit: ## run the unit tests (gcc and clang, with sanitizers)
	@tools/setup check
	@$(TEST_RUN) unit

fuzz: ## run each fuzzer for FUZZ_SECONDS, with the corpus in build/corpus
	@tools/setup check
	@$(TEST_RUN) --fuzz-seconds '$(FUZZ_SECONDS)' fuzz

micro: ## run the micro guests, under VMX and SVM
	@tools/setup test
	@$(TEST_RUN) micro

boot: ## run the boot matrix: emulators, CPU models, firmware, guests
	@tools/setup test
	@$(TEST_RUN) boot

bench: ## measure boot, exits and sizes: a table, and build/bench.json
	@tools/setup test
	@$(TEST_RUN) --bench

.PHONY: bench-guest
bench-guest: ## measure what it costs to make a guest: cold, warm, a changed program, nothing changed
	@tools/setup guest
	@mkdir -p '$(BUILD)'
	@test/bench/guest '$(BUILD)'

FUZZ_SECONDS ?= 60

# ---- What test/run asks for, after set-up -------------------------------------------------------------

UNIT_SRC := $(sort $(wildcard test/unit/test_*.c))
FUZZ_SRC := $(sort $(wildcard test/fuzz/fuzz_*.c))

# The hypervisor, and in front of it what lays a random hand on its guests (test/stress).
STRESS := $(BUILD)/stress

$(STRESS)/stress.c.o: test/stress/stress.c $(METAL)/flags | $(BUILD)/setup-build.ok
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(METAL_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(STRESS)/havoc-stress.elf.debug: $(STRESS)/stress.c.o $(LINK_OBJ) $(METAL)/gen/ksym-none.o $(METAL)/gen/guest-none.o boot/link.ld
	$(call say,LD,$@)
	$(Q)$(LD) $(METAL_LDFLAGS) --wrap=hv_init --wrap=cpu_loop -T boot/link.ld -o $@ $< $(METAL_OBJ) \
		--whole-archive $(METAL)/vmm.a --no-whole-archive $(filter $(METAL)/gen/%,$^)

-include $(wildcard $(STRESS)/*.d)

BENCH := $(BUILD)/bench

# The images that the boot matrix starts: those on the tiny kernel, and the one for several CPUs.
build-boot: all iso guests-tiny guest-tiny-smp build-micro $(BENCH)/endless_guest.bz $(BENCH)/flood_guest.bz $(BENCH)/flood_minute.bz $(STRESS)/havoc-stress.elf

build-guest-test: $(BUILD)/havoc-bare.elf guests-tiny

# MICRO_NAMES, and how build/micro/NAME.bz is made.
-include test/micro/micro.mk
build-micro: $(BUILD)/havoc-bare.elf $(MICRO_NAMES:%=$(BUILD)/micro/%.bz)

# The bench's own guests.

$(GUEST_BIN)/bench-init: test/bench/init.c mk/guest.mk | $(BUILD)/setup-guest.ok
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -o $@ $<

$(BENCH)/initramfs.cpio.gz: test/bench/initramfs.list $(GUEST_BIN)/bench-init tools/mkinitramfs
	$(call say,CPIO,$@)
	$(Q)mkdir -p $(@D)
	$(Q)tools/mkinitramfs --out $@ --depfile $(@D)/initramfs.d $< \
		BIN="$(abspath $(GUEST_BIN))"

# On the micro guests' runtime.
$(BENCH)/%.c.o: test/bench/%.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(BENCH)/profile_guest.c.o: test/bench/bench_guest.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -DCOUNT=30ULL -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# One that writes for a minute or so.
$(BENCH)/flood_minute.c.o: test/bench/flood_guest.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -DLINES=6000u -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# One that never ends, for a watchdog.
$(BENCH)/endless_guest.c.o: test/bench/busy_guest.c $(MICRO)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(MICRO_CC) $(MICRO_CFLAGS) -DTICKS=~0ULL -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(BENCH)/%.elf: $(BENCH)/%.c.o $(MICRO)/%.runtime.o $(MICRO_LIB) test/micro/lib/micro.ld
	$(Q)$(LD) -m elf_x86_64 -nostdlib -static -z noexecstack --build-id=none --no-warn-rwx-segments \
		-T test/micro/lib/micro.ld -o $@ $(filter %.o,$^)

$(BENCH)/%.bz: $(BENCH)/%.elf
	$(call say,BENCH,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

-include $(wildcard $(BENCH)/*.d)
.SECONDARY: $(STRESS)/havoc-stress.elf.debug $(foreach g,bench_guest flood_guest flood_minute busy_guest ipi_guest endless_guest profile_guest,$(BENCH)/$(g).elf $(BENCH)/$(g).c.o $(MICRO)/$(g).runtime.o)

# Where the instructions of an exit go, function by function (SVM): for whoever makes it shorter.
.PHONY: profile
profile: $(BUILD)/havoc-bare.elf $(BENCH)/profile_guest.bz
	@test/bench/profile '$(BUILD)'

build-bench: $(BUILD)/havoc-bare.elf guest-tiny $(BENCH)/initramfs.cpio.gz $(BENCH)/bench_guest.bz $(BENCH)/busy_guest.bz $(BENCH)/ipi_guest.bz

ifneq ($(filter build-% check-% profile,$(MAKECMDGOALS)),)

# $(HOST)/programs.mk: the objects of each program, and a rule for it in each build. Made again, too, when a program is gone.
$(eval $(call text-stamp,$(HOST)/programs.list,$$(UNIT_SRC) $$(FUZZ_SRC)))

$(HOST)/programs.mk: test/harness/programs.awk $(HOST)/programs.list $(UNIT_SRC) $(FUZZ_SRC)
	$(Q)mkdir -p $(@D)
	$(Q)awk -v host='$(HOST)' -f $< $(UNIT_SRC) $(FUZZ_SRC) /dev/null >$@.tmp
	$(Q)mv $@.tmp $@

include $(HOST)/programs.mk

# Three builds of the same sources. $(1): the folder, $(2): the compiler, $(3): flags
define host-build
$(HOST)/$(1)/%.c.o: %.c $(HOST)/$(1)/flags
	$$(call say,$(1),$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@
	$$(Q)$(2) $$(HOST_CFLAGS) $(3) -MMD -MP -MF $$(@:.o=.d) -c -o $$@ $$<

$(HOST)/$(1)/%.S.o: $(BUILD)/%.S $(HOST)/$(1)/flags
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(2) -c -o $$@ $$<

$$(eval $$(call text-stamp,$(HOST)/$(1)/flags,$(2) $$$$(HOST_CFLAGS) $(3)))

-include $$(patsubst %.o,%.d,$$(sort $$(PROGRAM_OBJ_$(1))))
endef

$(eval $(call host-build,gcc,$(UNIT_GCC),))
$(eval $(call host-build,clang,$(UNIT_CLANG),))
$(eval $(call host-build,fuzz,$(UNIT_CLANG),-fsanitize=fuzzer-no-link -DHAVOC_FUZZ))

$(UNIT_PROGRAMS_gcc): | $(HOST)/gcc/flags
	$(Q)rm -f $@
	$(Q)$(UNIT_GCC) $(HOST_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(UNIT_PROGRAMS_clang): | $(HOST)/clang/flags
	$(Q)$(UNIT_CLANG) $(HOST_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(FUZZ_PROGRAMS): | $(HOST)/fuzz/flags
	$(Q)$(UNIT_CLANG) $(HOST_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

build-unit: $(UNIT_PROGRAMS_gcc) $(UNIT_PROGRAMS_clang)
build-fuzz: $(FUZZ_PROGRAMS)

# ---- make check: the checks that look at one file at a time ------------------------------------------

# A stamp for each file and tool, so that only what has changed is looked at again.
CHECK := $(BUILD)/check
CLANG_TIDY ?= clang-tidy
CPPCHECK   ?= cppcheck

CHECK_C    := $(sort $(wildcard boot/*.c arch/*/*.c vmm/*/*.c))
CHECK_C    += test/stress/stress.c
CHECK_TEST := $(sort $(wildcard test/mock/*.c test/unit/*.c test/fuzz/*.c))
CHECK_H    := $(sort $(wildcard vmm/include/vmm/*.h arch/include/arch/*.h arch/*/*.h boot/*.h test/mock/*.h))
CHECK_SH   := $(sort $(wildcard .ci/run) $(shell grep -lE '^\#!/bin/(sh|bash)' tools/* 2>/dev/null))
CHECK_FORMAT := $(CHECK_C) $(CHECK_TEST) $(CHECK_H) $(sort $(wildcard test/micro/*.[ch] test/micro/*/*.[ch] test/bench/*.c \
	guest/*.c guest/images/*/*.c))

# As the metal build compiles it, by clang.
TIDY_METAL := --target=x86_64-unknown-none-elf -std=gnu11 -ffreestanding $(METAL_ARCH) $(METAL_INCLUDE) \
	-DHAVOC_VERSION='"tidy"'
TIDY_HOST  := -std=gnu11 -DHAVOC_HOST_TEST $(METAL_INCLUDE)

.PHONY: check-format check-tidy check-cppcheck check-headers check-layers check-shell

check-format:
	$(Q)clang-format --dry-run -Werror $(CHECK_FORMAT)

$(CHECK)/tidy/test/%.ok: test/% .clang-tidy test/.clang-tidy $(CHECK_H)
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet --warnings-as-errors='*' $< -- $(TIDY_HOST) >$@.log 2>&1 || { cat $@.log; exit 1; }
	$(Q)touch $@

$(CHECK)/tidy/%.ok: % .clang-tidy $(CHECK_H)
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet --warnings-as-errors='*' $< -- $(TIDY_METAL) >$@.log 2>&1 || { cat $@.log; exit 1; }
	$(Q)touch $@

check-tidy: $(CHECK_C:%=$(CHECK)/tidy/%.ok) $(CHECK_TEST:%=$(CHECK)/tidy/%.ok)

$(CHECK)/cppcheck.ok: $(CHECK_C) $(CHECK_H) test/check/cppcheck.suppress
	$(call say,CPPCHK,)
	$(Q)mkdir -p $(@D)/cppcheck
	$(Q)$(CPPCHECK) --quiet --std=c11 --platform=unix64 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --suppressions-list=test/check/cppcheck.suppress --cppcheck-build-dir=$(@D)/cppcheck \
		-j $(JOBS) -D__x86_64__ '-D__attribute__(x)=' $(METAL_INCLUDE) $(CHECK_C)
	$(Q)touch $@
check-cppcheck: $(CHECK)/cppcheck.ok

# Each header twice, alone, by both compilers: it includes what it needs, and bears being included again.
$(CHECK)/header/%.ok: % $(CHECK_H)
	$(Q)mkdir -p $(@D)
	$(Q)printf '#include "%s"\n#include "%s"\n' $< $< >$(@:.ok=.c)
	$(Q)$(UNIT_GCC) $(if $(filter test/%,$<),$(HOST_CFLAGS) -Wno-unused-function,-std=gnu11 -ffreestanding -Wall -Wextra -Werror $(METAL_ARCH)) \
		$(METAL_INCLUDE) -fsyntax-only $(@:.ok=.c)
	$(Q)$(UNIT_CLANG) $(if $(filter test/%,$<),$(HOST_CFLAGS) -Wno-unused-function,-std=gnu11 -ffreestanding -Wall -Wextra -Werror $(METAL_ARCH)) \
		$(METAL_INCLUDE) -fsyntax-only $(@:.ok=.c)
	$(Q)touch $@
check-headers: $(CHECK_H:%=$(CHECK)/header/%.ok)

check-layers: $(METAL_OBJ) $(METAL)/vmm.a
	$(Q)/usr/bin/python3 test/check/layers.py $(METAL)

check-shell:
	$(Q)shellcheck --severity=warning $(CHECK_SH)

endif
