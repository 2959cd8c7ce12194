# SPDX-License-Identifier: MIT
#
# The ISO: the hypervisor with its guest inside, for BIOS and UEFI, CD and USB stick.

# Options on the hypervisor's command line: what the image asks for, then the user's.
OPTIONS ?=

$(BUILD)/setup-iso.ok: tools/setup
	$(Q)mkdir -p $(@D)
	$(Q)tools/setup --check iso
	$(Q)touch $@

$(eval $(call text-stamp,$(BUILD)/iso.flags,$$(OPTIONS) $$(SOURCE_DATE_EPOCH)))

$(BUILD)/havoc.iso: $(BUILD)/havoc.elf $(GUEST_OUT)/options $(BUILD)/iso.flags tools/mkiso | $(BUILD)/setup-iso.ok
	$(call say,ISO,$@)
	$(Q)tools/mkiso -o $@ --elf $< --cmdline "$$(tr '\n' ' ' <$(GUEST_OUT)/options)$$ISO_OPTIONS"

# By the environment, so that it may hold any quotes.
$(BUILD)/havoc.iso: export ISO_OPTIONS = $(OPTIONS)
