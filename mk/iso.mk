# SPDX-License-Identifier: MIT
#
# The ISO: the hypervisor with its guest inside, for BIOS and UEFI, CD and USB stick. With CONF=FILE the guests are those of that
# havoc.conf (docs/config.md), which is checked first, and whose files go on the ISO.

# Options on the hypervisor's command line: what the image asks for, then the user's.
OPTIONS ?=
CONF    ?=

# The same parser as in the hypervisor.
CONFIG_TOOL := $(BUILD)/havoc-config
CONFIG_SRC  := tools/havoc-config.c vmm/machine/conf.c vmm/machine/conf_check.c vmm/lib/fmt.c

$(CONFIG_TOOL): $(CONFIG_SRC) $(wildcard vmm/include/vmm/*.h vmm/machine/*.h)
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)cc -std=gnu11 -O1 -Wall -Wextra -Werror -DHAVOC_HOST_TEST -Ivmm/include -o $@ $(CONFIG_SRC)

$(BUILD)/setup-iso.ok: tools/setup
	$(Q)mkdir -p $(@D)
	$(Q)tools/setup --check iso
	$(Q)touch $@

$(eval $(call text-stamp,$(BUILD)/iso.flags,$$(OPTIONS) $$(CONF) $$(SOURCE_DATE_EPOCH)))

ifeq ($(CONF),)

$(BUILD)/havoc.iso: $(BUILD)/havoc.elf $(GUEST_OUT)/options $(BUILD)/iso.flags tools/mkiso | $(BUILD)/setup-iso.ok
	$(call say,ISO,$@)
	$(Q)tools/mkiso -o $@ --elf $< --cmdline "$$(tr '\n' ' ' <$(GUEST_OUT)/options)$$ISO_OPTIONS"

else

# Images that it names are built first; what it says is then checked, and gathered.
CONF_IMAGES := $(filter $(GUEST_IMAGES),$(shell sed -n 's/^[ \t]*image[ \t]*=[ \t]*//p' '$(CONF)'))

$(BUILD)/havoc.iso: $(BUILD)/havoc-bare.elf $(CONFIG_TOOL) $(CONF) $(BUILD)/iso.flags tools/mkiso \
		$(CONF_IMAGES:%=guest-%) | $(BUILD)/setup-iso.ok
	$(Q)$(CONFIG_TOOL) --guests '$(BUILD)/guest' '$(CONF)'
	$(call say,ISO,$@)
	$(Q)$(CONFIG_TOOL) --modules --guests '$(BUILD)/guest' '$(CONF)' >$(BUILD)/iso.modules
	$(Q)tools/mkiso -o $@ --elf $< --cmdline "$$ISO_OPTIONS" --modules $(BUILD)/iso.modules

endif

# By the environment, so that it may hold any quotes.
$(BUILD)/havoc.iso: export ISO_OPTIONS = $(OPTIONS)
