# SPDX-License-Identifier: MIT
#
# The ISO: the hypervisor with its guest inside, for BIOS and UEFI, CD and USB stick. With CONF=FILE the guests are those of that
# havoc.conf (docs/config.md), which is checked first, and whose files go on the ISO. With KERNEL=FILE the guest is that kernel,
# with INITRD=FILE and CMDLINE=TEXT if they are given (docs/guests.md).

# Options on the hypervisor's command line: what the image asks for, then the user's.
OPTIONS ?=
CONF    ?=

# A kernel of the user's. Its console: the form that Linux and memtest86+ have in common.
KERNEL  ?=
INITRD  ?=
CMDLINE ?= console=ttyS0,115200

# Where such a file is: as make was called, or here. "": nowhere.
own-file = $(shell for f in $(if $(filter /%,$(firstword $(1))),,$(call quote,$(or $(HAVOC_CALLER),.))/)$(call quote,$(1)) $(call quote,$(1)); do \
	[ -f "$$f" ] && [ -r "$$f" ] && [ -s "$$f" ] && realpath -- "$$f" && break; done)

ifneq ($(filter iso run usb,$(MAKECMDGOALS)),)
ifneq ($(CONF),)
CONF_OTHER := $(firstword $(foreach v,$(filter-out GUEST_NAME,$(GUEST_WAYS)) IMAGE,$(if $(filter command,$(firstword $(origin $(v)))),$(v))))
ifneq ($(CONF_OTHER),)
$(call fault,CONF=$(CONF): it says which guests there are; leave out $(CONF_OTHER)$(comma) or name the guest in the file)
endif
CONF_FILE := $(call own-file,$(CONF))
ifeq ($(CONF_FILE),)
$(call fault,CONF=$(CONF): there is no such file$(comma) or it is empty$(comma) or may not be read)
endif
endif
ifeq ($(KERNEL),)
ifneq ($(INITRD)$(filter command,$(firstword $(origin CMDLINE))),)
$(call fault,$(if $(INITRD),INITRD,CMDLINE) goes with KERNEL=FILE; guests that are made here have LINUX_INITRAMFS_IMAGE and LINUX_CMDLINE)
endif
else
ifneq ($(strip $(CONF) $(IMAGE) $(foreach v,$(GUEST_WAYS),$($(v)))),)
$(call fault,KERNEL=$(KERNEL): this is a guest by itself; leave out $(firstword $(foreach v,CONF IMAGE $(GUEST_WAYS),$(if $($(v)),$(v)))))
endif
KERNEL_FILE := $(call own-file,$(KERNEL))
ifeq ($(KERNEL_FILE),)
$(call fault,KERNEL=$(KERNEL): there is no such file$(comma) or it is empty$(comma) or may not be read)
endif
ifneq ($(INITRD),)
INITRD_FILE := $(call own-file,$(INITRD))
ifeq ($(INITRD_FILE),)
$(call fault,INITRD=$(INITRD): there is no such file$(comma) or it is empty$(comma) or may not be read)
endif
endif
endif
endif

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

$(eval $(call text-stamp,$(BUILD)/iso.flags,$$(OPTIONS) $$(CONF) $$(KERNEL) $$(INITRD) $$(CMDLINE) $$(SOURCE_DATE_EPOCH)))

ifneq ($(KERNEL),)

# By names of our own, so that a path may hold anything. The user's options come last, and win.
$(BUILD)/havoc.iso: $(BUILD)/havoc-bare.elf $(BUILD)/iso.flags tools/mkiso FORCE | $(BUILD)/setup-iso.ok
	$(call say,ISO,$@)
	$(Q)mkdir -p $(BUILD)/own
	$(Q)ln -sfn -- $(call quote,$(KERNEL_FILE)) $(BUILD)/own/kernel
	$(Q)$(if $(INITRD),ln -sfn -- $(call quote,$(INITRD_FILE)) $(BUILD)/own/initrd)
	$(Q)tools/mkiso --menu -o $@ --elf $< --cmdline "mem=512M $$ISO_OPTIONS" \
		--module "$(BUILD)/own/kernel=kernel $$ISO_CMDLINE" $(if $(INITRD),--module $(BUILD)/own/initrd=initrd)

$(BUILD)/havoc.iso: export ISO_CMDLINE = $(CMDLINE)

else ifeq ($(CONF),)

$(BUILD)/havoc.iso: $(BUILD)/havoc.elf $(GUEST_OUT)/options $(BUILD)/iso.flags tools/mkiso | $(BUILD)/setup-iso.ok
	$(call say,ISO,$@)
	$(Q)tools/mkiso --menu -o $@ --elf $< --cmdline "$$(tr '\n' ' ' <$(GUEST_OUT)/options)$$ISO_OPTIONS"

else

# Images that it names, of the catalogue and of the user's own, are made first; what it says is then checked, and gathered. It may
# have any path: it is no prerequisite.
OWN_IMAGES  := $(patsubst $(GUEST)/%/.inputs,%,$(wildcard $(GUEST)/*/.inputs))
CONF_IMAGES := $(sort $(filter $(GUEST_IMAGES) $(OWN_IMAGES),$(if $(CONF_FILE),$(shell sed -n 's/^[ \t]*image[ \t]*=[ \t]*//p' \
	$(call quote,$(CONF_FILE))))))

$(BUILD)/havoc.iso: $(BUILD)/havoc-bare.elf $(CONFIG_TOOL) $(BUILD)/iso.flags tools/mkiso \
		$(CONF_IMAGES:%=$(GUEST)/%/manifest.json) FORCE | $(BUILD)/setup-iso.ok
	$(Q)$(CONFIG_TOOL) --guests '$(BUILD)/guest' $(call quote,$(CONF_FILE))
	$(call say,ISO,$@)
	$(Q)$(CONFIG_TOOL) --modules --guests '$(BUILD)/guest' $(call quote,$(CONF_FILE)) >$(BUILD)/iso.modules
	$(Q)tools/mkiso --menu -o $@ --elf $< --cmdline "$$ISO_OPTIONS" --modules $(BUILD)/iso.modules

endif

# By the environment, so that it may hold any quotes.
$(BUILD)/havoc.iso: export ISO_OPTIONS = $(OPTIONS)
