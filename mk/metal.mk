# SPDX-License-Identifier: MIT
#
# The hypervisor itself, for the bare machine:
#
#   $(BUILD)/havoc.elf        Multiboot2 image with the guest $(GUEST_OUT) embedded
#   $(BUILD)/havoc-bare.elf   the same without a guest (guests come as GRUB modules)
#   $(BUILD)/*.elf.debug      both with symbols and line numbers, for gdb and addr2line
#   $(BUILD)/metal/vmm.a      all of vmm/, for the layer check

METAL := $(BUILD)/metal

# ---- Sources: every .c and .S of three folders, sorted, so that the link order is one. ----------

METAL_SRC := $(sort $(wildcard boot/*.c boot/*.S arch/*/*.c arch/*/*.S))
VMM_SRC   := $(sort $(wildcard vmm/*/*.c vmm/*/*.S))

METAL_OBJ := $(METAL_SRC:%=$(METAL)/%.o)
VMM_OBJ   := $(VMM_SRC:%=$(METAL)/%.o) $(if $(DSDT_S),$(METAL)/gen/dsdt.o)

# ---- Flags --------------------------------------------------------------------------------------

METAL_INCLUDE := -Ivmm/include -Iarch/include -I. -I$(GEN)

# -ffreestanding also means -fno-builtin: a function of ours may be called `log`. vmm/lib has the
#   four functions that compilers call by themselves (memcpy, memmove, memset, memcmp).
# -mgeneral-regs-only: the guest's FPU and vector state stays in the registers while we run.
# -mno-red-zone, because exceptions use the interrupted stack; no PIC, because we run where we are
#   linked; -mcmodel=kernel, because that is the top 2 GiB.
# -fno-omit-frame-pointer: a panic walks the frames.
# No alignment of loops, jumps, functions and tables: its padding is 8 % of the image, and some of
#   it is executed.
# -ffile-prefix-map: the image must not depend on where it was built.
METAL_ARCH := -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -mcmodel=kernel \
	-fno-pic -fno-pie -fcf-protection=none
METAL_ALIGN  := -fno-align-loops -fno-align-jumps -fno-align-labels -fno-align-functions \
	-malign-data=abi
METAL_CFLAGS := -std=gnu11 -ffreestanding -Os -g $(METAL_ARCH) \
	-fno-strict-aliasing -fno-omit-frame-pointer -fno-stack-protector -fno-common \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections \
	$(METAL_ALIGN) \
	-Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wshadow=local \
	-ffile-prefix-map="$(CURDIR)"=. $(METAL_INCLUDE)

# Small by default: 128 KiB is the aim, and most of the code runs once. What runs at every exit, or
# goes over much memory, is compiled for speed.
HOT := $(addprefix vmm/core/,run exit io cpuid msr event hypercall emulate vcpu) \
	$(addprefix vmm/dev/,bus vuart clock) $(addprefix vmm/irq/,vlapic vlapic_regs vlapic_timer vioapic) \
	$(addprefix vmm/mem/,gmem gwalk) vmm/lib/string \
	$(addprefix arch/svm/,svm decode event vmcb) $(addprefix arch/vmx/,run decode regs event)
# With gcc without frames of their own (a backtrace passes over them; RBP stays the caller's): three
# instructions less a function, a dozen functions an exit.
$(HOT:%=$(METAL)/%.c.o): FILE_CFLAGS += -O2 $(HOT_FRAMES)

# A loop in memset must not become a call of memset.
STRING_CFLAGS := -fno-tree-loop-distribute-patterns
HOT_FRAMES    := -fomit-frame-pointer -ffixed-rbp

# What the two compilers do not share. Clang is told the target, so that its own default (a
# hardened or foreign one) does not matter.
CC_IS_CLANG := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),1)
ifeq ($(CC_IS_CLANG),1)
METAL_CFLAGS := --target=x86_64-unknown-none-elf \
	$(filter-out -Wshadow=local $(METAL_ALIGN),$(METAL_CFLAGS)) -Wno-unused-command-line-argument
STRING_CFLAGS := -fno-builtin
HOT_FRAMES    :=
endif

METAL_ASFLAGS := $(METAL_CFLAGS) -D__ASSEMBLY__

# --nmagic: no padding to pages in the file, which GRUB copies, and does not map; in memory
#   boot/link.ld has pages between sections of different rights.
# --build-id=none: of no use to us, and it would tell two else equal links apart.
METAL_LDFLAGS := -nostdlib -static -m elf_x86_64 --nmagic -z noexecstack \
	--no-dynamic-linker --gc-sections --build-id=none

# The version goes only to the files that name it: a commit does not rebuild all.
VERSION_SRC := $(if $(METAL_SRC)$(VMM_SRC),$(shell grep -l HAVOC_VERSION $(METAL_SRC) $(VMM_SRC)))
VERSION_OBJ := $(VERSION_SRC:%=$(METAL)/%.o)

$(eval $(call text-stamp,$(METAL)/flags,$$(CC) $$(METAL_CFLAGS) $$(METAL_LDFLAGS) $$(HOT)))
$(eval $(call text-stamp,$(METAL)/version,$$(HAVOC_VERSION)))

# ---- Compile ------------------------------------------------------------------------------------

$(METAL)/%.c.o: %.c $(METAL)/flags | $(BUILD)/setup-build.ok
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(METAL_CFLAGS) $(FILE_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(METAL)/%.S.o: %.S $(METAL)/flags | $(BUILD)/setup-build.ok
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(METAL_ASFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(METAL)/gen/%.o: $(GEN)/%.S $(METAL)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(METAL_ASFLAGS) -Wa,--fatal-warnings -c -o $@ $<

$(METAL)/vmm/lib/string.c.o: FILE_CFLAGS += $(STRING_CFLAGS)
# Tables of 8 bytes for each character that could be there.
$(addprefix $(METAL)/arch/host/,term.c.o kbd_map.c.o): FILE_CFLAGS += -fno-jump-tables
$(VERSION_OBJ): FILE_CFLAGS += -DHAVOC_VERSION='"$(HAVOC_VERSION)"'
$(VERSION_OBJ): $(METAL)/version

-include $(METAL_OBJ:.o=.d) $(VMM_OBJ:.o=.d)

# Removed first: ar would keep the members of deleted files. D: no dates, no owners.
$(METAL)/vmm.a: $(VMM_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcsD $@ $(VMM_OBJ)

# ---- The embedded guest -------------------------------------------------------------------------

# In section .guest, each on its own page. Without a guest the addresses are all the same, of an
# empty string.
#   extern const u8 embedded_kernel_start[], embedded_kernel_end[];
#   extern const u8 embedded_initrd_start[], embedded_initrd_end[];
#   extern const char embedded_cmdline[];
define guest-asm
{ echo '/* generated: the embedded guest */'; \
echo '	.section .guest, "a", @progbits'; \
echo '	.globl embedded_kernel_start, embedded_kernel_end'; \
echo '	.globl embedded_initrd_start, embedded_initrd_end, embedded_cmdline'; \
$(if $(1),echo '	.balign 4096';) \
echo 'embedded_kernel_start:'; \
$(if $(1),echo '	.incbin "$(1)/bzImage"';) \
echo 'embedded_kernel_end:'; \
$(if $(1),echo '	.balign 4096';) \
echo 'embedded_initrd_start:'; \
$(if $(1),echo '	.incbin "$(1)/initramfs.cpio.gz"';) \
echo 'embedded_initrd_end:'; \
echo 'embedded_cmdline:'; \
$(if $(1),tr -d '\n' <$(1)/cmdline | sed 's/[\\"]/\\&/g; s/.*/	.ascii "&"/'; echo;) \
echo '	.byte 0'; \
echo '	.section .note.GNU-stack, "", @progbits'; } >$@
endef

$(eval $(call text-stamp,$(METAL)/image,$$(GUEST_OUT)))

$(GEN)/guest.S: $(METAL)/image $(GUEST_OUT)/bzImage $(GUEST_OUT)/initramfs.cpio.gz \
		$(GUEST_OUT)/cmdline mk/metal.mk
	$(Q)mkdir -p $(@D)
	$(Q)$(call guest-asm,$(GUEST_OUT))

$(GEN)/guest-none.S: mk/metal.mk
	$(Q)mkdir -p $(@D)
	$(Q)$(call guest-asm)

# ---- Link, twice, for the symbol table of backtraces (arch/include/arch/ksym.h) ------------------

LINK_OBJ := $(METAL_OBJ) $(METAL)/vmm.a
link = $(Q)mkdir -p $(@D) && $(LD) $(METAL_LDFLAGS) -T boot/link.ld -o $@ $(METAL_OBJ) \
	--whole-archive $(METAL)/vmm.a --no-whole-archive $(filter $(METAL)/gen/%,$^)

# Nothing but the table's own size differs between the passes, and it stands behind the code: so
# function addresses of the first pass hold in the second. That is checked, not hoped for.
$(GEN)/ksym-none.S: mk/ksym.awk
	$(Q)mkdir -p $(@D)
	$(Q)awk -f $< </dev/null >$@

$(METAL)/pass1.elf: $(LINK_OBJ) $(METAL)/gen/ksym-none.o $(METAL)/gen/guest-none.o boot/link.ld
	$(call say,LD,$@)
	$(link)

$(GEN)/ksym.S: $(METAL)/pass1.elf mk/ksym.awk
	$(Q)$(NM) -n $< | awk -f mk/ksym.awk >$@

define check-ksym
$(Q)$(NM) -n $@ | awk -f mk/ksym.awk | cmp -s - $(GEN)/ksym.S || { rm -f $@; \
	echo 'mk/metal.mk: function addresses moved between the two links: .text must stand before the read-only data in boot/link.ld' >&2; exit 1; }
endef

$(BUILD)/havoc.elf.debug: $(LINK_OBJ) $(METAL)/gen/ksym.o $(METAL)/gen/guest.o boot/link.ld
	$(call say,LD,$@)
	$(link)
	$(check-ksym)

$(BUILD)/havoc-bare.elf.debug: $(LINK_OBJ) $(METAL)/gen/ksym.o $(METAL)/gen/guest-none.o boot/link.ld
	$(call say,LD,$@)
	$(link)
	$(check-ksym)

$(METAL)/gen/guest.o: $(GUEST_OUT)/bzImage $(GUEST_OUT)/initramfs.cpio.gz

# What GRUB loads: no symbols, no debug information.
$(BUILD)/%.elf: $(BUILD)/%.elf.debug
	$(call say,STRIP,$@)
	$(Q)$(STRIP) --strip-all -o $@ $<

.SECONDARY: $(BUILD)/havoc.elf.debug $(BUILD)/havoc-bare.elf.debug
