# SPDX-License-Identifier: MIT
#
# The guests: one folder under guest/images/ each, and nothing else is needed for a new one.
#
#   initramfs.list   what is in its root (gen_init_cpio's form). @BIN@/NAME is guest/NAME.c,
#                    compiled; @BUSYBOX@ is a static BusyBox
#   cmdline          optional: the kernel's command line
#   options          optional: options for the hypervisor's own command line
#   kernel           optional: the name of its configuration in guest/linux/
#
# Results, in $(BUILD)/guest/IMAGE: bzImage initramfs.cpio.gz cmdline options

GUEST_IMAGES := $(sort $(patsubst guest/images/%/initramfs.list,%,$(wildcard guest/images/*/initramfs.list)))

ifeq ($(filter $(IMAGE),$(GUEST_IMAGES)),)
$(error IMAGE=$(IMAGE): there is no such image; there are: $(GUEST_IMAGES))
endif

GUEST        := $(BUILD)/guest
GUEST_BIN    := $(GUEST)/bin
GUEST_PARTS  := bzImage initramfs.cpio.gz cmdline options
GUEST_FILES  := $(GUEST_PARTS:%=$(GUEST)/$(IMAGE)/%)

# reboot=t: the kernel restarts by a triple fault, which needs no device.
LINUX_CMDLINE      ?= console=ttyS0 panic=-1 reboot=t
# LZ4 costs 300 KB more than gzip and a quarter of its instructions.
KERNEL_COMPRESSION ?= LZ4
export KERNEL_COMPRESSION

# Userspace: static, against musl (18 KB for hello; glibc's is 760 KB).
GUEST_CC     ?= musl-gcc
GUEST_CFLAGS := -std=gnu11 -Os -static -s -Wall -Wextra -Werror -ffile-prefix-map="$(CURDIR)"=.

$(BUILD)/setup-guest.ok: tools/setup
	$(Q)mkdir -p $(@D)
	$(Q)tools/setup --check guest
	$(Q)touch $@

$(GUEST_BIN)/%: guest/%.c guest/havoc.h mk/guest.mk | $(BUILD)/setup-guest.ok
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -o $@ $<

# BusyBox from the package, without installing it.
$(GUEST_BIN)/busybox: | $(BUILD)/setup-guest.ok
	$(Q)mkdir -p $(@D)
	$(Q)tools/guest-busybox $@

# The kernel, one for each configuration; the cache is looked at only if this is older than its
# input.
$(GUEST)/kernel/%/bzImage $(GUEST)/kernel/%/gen_init_cpio: guest/linux/%.config tools/guest-kernel tools/template \
		$(GUEST)/kernel/compression | $(BUILD)/setup-guest.ok
	$(call say,KERNEL,$*)
	$(Q)tools/guest-kernel $< $(GUEST)/kernel/$*

$(eval $(call text-stamp,$(GUEST)/kernel/compression,$$(KERNEL_COMPRESSION)))
$(eval $(call text-stamp,$(GUEST)/cmdline.default,$$(LINUX_CMDLINE)))

.SECONDARY: $(GUEST_BIN)/busybox

# $(1): the image, $(2): its kernel, $(3): what its list takes from $(GUEST_BIN)
define guest-image
$(GUEST)/$(1)/bzImage: $(GUEST)/kernel/$(2)/bzImage
	$(Q)mkdir -p $$(@D)
	$(Q)cp $$< $$@

$(GUEST)/$(1)/initramfs.cpio.gz: guest/images/$(1)/initramfs.list $(GUEST)/kernel/$(2)/gen_init_cpio \
		$(3) tools/mkinitramfs
	$$(call say,CPIO,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)tools/mkinitramfs --gen $(GUEST)/kernel/$(2)/gen_init_cpio --out $$@ --depfile $$(@D)/initramfs.d \
		$$< BIN="$$$$(cd $(GUEST_BIN) && pwd)" BUSYBOX="$$$$(cd $(GUEST_BIN) && pwd)/busybox"

$(GUEST)/$(1)/cmdline: $(or $(wildcard guest/images/$(1)/cmdline),$(GUEST)/cmdline.default)
	$(Q)mkdir -p $$(@D)
	$(Q)cp $$< $$@

$(GUEST)/$(1)/options: $(wildcard guest/images/$(1)/options) mk/guest.mk
	$(Q)mkdir -p $$(@D)
	$(Q)cat $$(filter %/options,$$^) </dev/null >$$@

-include $(GUEST)/$(1)/initramfs.d

.PHONY: guest-$(1)
guest-$(1): $(GUEST_PARTS:%=$(GUEST)/$(1)/%)
endef

guest-kernel-of = $(or $(shell cat guest/images/$(1)/kernel 2>/dev/null),tiny)
guest-needs = $(shell sed -n 's|.*@BIN@/\([^ ]*\).*|$(GUEST_BIN)/\1|p; s|.*@BUSYBOX@.*|$(GUEST_BIN)/busybox|p' \
	guest/images/$(1)/initramfs.list | sort -u)

$(foreach image,$(GUEST_IMAGES),$(eval \
	$(call guest-image,$(image),$(call guest-kernel-of,$(image)),$(call guest-needs,$(image)))))

# Every image; what the tests boot.
.PHONY: guests
guests: $(GUEST_IMAGES:%=guest-%)
