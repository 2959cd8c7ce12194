# SPDX-License-Identifier: MIT
#
# What the metal and the host build share: stamps that change only when their text does, and the
# files that are generated from others.

comma := ,

# A rule for a file that holds $(2) and is touched only when that text changes: whatever depends on
# it is rebuilt when flags, not only files, change. The text is passed by the environment, so that
# it may hold any quotes.
define text-stamp
$(1): export STAMP_TEXT = $(2)
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' "$$$$STAMP_TEXT" | cmp -s - $$@ || printf '%s\n' "$$$$STAMP_TEXT" >$$@
endef

.PHONY: FORCE
FORCE:

# One look, before the first compilation, at whether the tools are there: one sentence instead of
# "command not found".
$(BUILD)/setup-build.ok: tools/setup
	$(Q)mkdir -p $(@D)
	$(Q)tools/setup --check build
	$(Q)touch $@

# The guests' DSDT, compiled by ACPICA. A plain assembly file, for the metal and the host alike:
# `extern const u8 dsdt_aml_start[], dsdt_aml_end[];`
DSDT_ASL := $(wildcard vmm/load/dsdt.asl)
GEN      := $(BUILD)/gen

ifneq ($(DSDT_ASL),)
DSDT_S := $(GEN)/dsdt.S
endif

$(GEN)/dsdt.aml: $(DSDT_ASL) vmm/include/vmm/machine_io.h | $(BUILD)/setup-build.ok
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(IASL) -vs -we -p $(GEN)/dsdt $< >$(GEN)/dsdt.log 2>&1 || { cat $(GEN)/dsdt.log >&2; exit 1; }

$(GEN)/dsdt.S: $(GEN)/dsdt.aml mk/rules.mk
	$(Q){ echo '/* generated from $(DSDT_ASL) */'; \
	echo '	.section .rodata.dsdt, "a", @progbits'; \
	echo '	.balign 8'; \
	echo '	.globl dsdt_aml_start, dsdt_aml_end'; \
	echo 'dsdt_aml_start:'; \
	echo '	.incbin "$(GEN)/dsdt.aml"'; \
	echo 'dsdt_aml_end:'; \
	echo '	.section .note.GNU-stack, "", @progbits'; } >$@
