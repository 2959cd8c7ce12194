# SPDX-License-Identifier: MIT
#
# The guests. tools/guest makes them, and knows what depends on what; here are the variables on
# their way to it, and the rules by which the rest of the build gets at the results:
#
#   $(BUILD)/guest/NAME/   bzImage vmlinux initramfs.cpio.gz config cmdline options manifest.json
#
# NAME is an image of the catalogue (a folder under guest/images/), or a guest of the user's own
# (PROGRAM=..., OCI=..., LINUX_INITRAMFS_...=...). `make guest help` explains the variables.

# For the shell, whatever is in it. A new line would end the recipe's line.
define newline


endef
quote = '$(subst $(newline), ,$(subst ','\'',$(1)))'

# The one sentence, by itself on a line, and the end.
fault = $(shell printf '%s\n' $(call quote,havoc: $(1)) >&2)$(error no guest)

# A guest.mk here, or in GUEST_DIR, sets variables as the command line does.
empty     :=
space     := $(empty) $(empty)
ifneq ($(GUEST_DIR),)
GUEST_HOME := $(shell for d in $(if $(filter /%,$(firstword $(GUEST_DIR))),,$(call quote,$(or $(HAVOC_CALLER),.))/)$(call quote,$(GUEST_DIR)) $(call quote,$(GUEST_DIR)); do \
	[ ! -f "$$d/guest.mk" ] || { printf '%s' "$$d"; break; }; done)
ifeq ($(GUEST_HOME),)
$(call fault,GUEST_DIR=$(GUEST_DIR): there is no guest.mk in it)
endif
include $(subst $(space),\ ,$(GUEST_HOME))/guest.mk
else
GUEST_HOME := .
-include guest.mk
endif

GUEST_VARS  := IMAGE PROGRAM OCI LINUX_INITRAMFS_ROOT LINUX_INIT LINUX_INITRAMFS_IN LINUX_INITRAMFS_IMAGE LINUX_CONFIG_IN \
	LINUX_VERSION LINUX_SRC LINUX_CMDLINE LINUX_EMBED KERNEL_COMPRESSION GUEST_NAME
GUEST_WAYS  := PROGRAM OCI LINUX_INITRAMFS_ROOT LINUX_INITRAMFS_IN LINUX_INITRAMFS_IMAGE GUEST_NAME
GUEST_PATHS := PROGRAM OCI LINUX_INITRAMFS_ROOT LINUX_INITRAMFS_IN LINUX_INITRAMFS_IMAGE LINUX_CONFIG_IN LINUX_SRC

guest-args = $(call quote,--caller=$(HAVOC_CALLER)) $(foreach v,$(GUEST_VARS),$(if $($(v)),$(call quote,$(v)=$($(v))))) \
	$(foreach v,$(GUEST_PATHS),$(if $(filter file,$(origin $(v))),$(call quote,--base=$(v)=$(GUEST_HOME))))

# What @VAR@ in a template may stand for: any make variable. Those of the command line and the
# environment get there by themselves.
guest-template-vars = $(foreach v,$(filter-out $(GUEST_VARS),$(shell tools/guest variables $(guest-args))),$(if \
	$(filter file override default,$(firstword $(origin $(v)))),$(call quote,$(v)=$($(v)))))

GUEST        := $(BUILD)/guest
GUEST_BIN    := $(GUEST)/.bin
GUEST_PARTS  := bzImage vmlinux initramfs.cpio.gz config cmdline options manifest.json
GUEST_IMAGES := $(sort $(patsubst guest/images/%/initramfs.list,%,$(wildcard guest/images/*/initramfs.list)))

# The guests that are meant now: those of IMAGE, or the one of the user's own.
ifneq ($(strip $(foreach v,$(GUEST_WAYS),$($(v)))),)
GUEST_NAMES := $(or $(shell tools/guest names $(guest-args)),.none)
else
GUEST_NAMES := $(or $(strip $(IMAGE)),tiny)
endif
GUEST_FILES = $(foreach name,$(GUEST_NAMES),$(GUEST)/$(name)/manifest.json)

# --say: one line with what is there; else a line only if something changed.
GUEST_SAY ?= $(if $(findstring s,$(firstword -$(MAKEFLAGS))),--quiet)

# What is embedded in the hypervisor and put on the ISO.
ifeq ($(words $(GUEST_NAMES)),1)
GUEST_OUT := $(GUEST)/$(GUEST_NAMES)
else
GUEST_OUT := $(GUEST)/.several
endif

$(BUILD)/setup-guest.ok: tools/setup
	$(Q)mkdir -p $(@D)
	$(Q)tools/setup --check guest
	$(Q)touch $@

# Always looked at, and a file that did not change keeps its date: what depends on it is not made
# again. (A pattern for all of them, so that it is one call.)
$(foreach part,$(GUEST_PARTS),$(GUEST)/%/$(part)): FORCE | $(BUILD)/setup-guest.ok
	$(Q)tools/guest build $(GUEST_SAY) --build '$(GUEST)' '$*' $(guest-args) $(guest-template-vars)

# tools/guest replaces them whole or not at all: a mistake takes no good guest away.
.PRECIOUS: $(foreach part,$(GUEST_PARTS),$(GUEST)/%/$(part))

# Said before anything is compiled for it.
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter all iso run try usb guest guest-files,$(GOALS)),)
ifeq ($(GUEST_NAMES),.none)
$(error no guest)
endif
NO_IMAGE := $(firstword $(filter-out $(GUEST_IMAGES) $(patsubst $(GUEST)/%/.inputs,%,$(wildcard $(GUEST)/*/.inputs)),$(IMAGE)))
ifneq ($(NO_IMAGE),)
$(call fault,IMAGE=$(NO_IMAGE): there is no such image; there are: $(strip $(GUEST_IMAGES) $(filter-out $(GUEST_IMAGES),$(patsubst \
	$(GUEST)/%/.inputs,%,$(wildcard $(GUEST)/*/.inputs)))) (and to make one of your own: make guest help))
endif
endif
ifneq ($(filter iso run usb,$(GOALS)),)
ifneq ($(words $(GUEST_NAMES)),1)
$(call fault,IMAGE=$(IMAGE): one guest goes into the image: name one; several are described in a text file: CONF=my.conf (docs/config.md))
endif
endif
ifneq ($(filter try,$(GOALS)),)
NO_TRY := $(firstword $(foreach v,CONF KERNEL INITRD,$(if $($(v)),$(v))))
ifneq ($(NO_TRY),)
$(call fault,$(NO_TRY)=$($(NO_TRY)): make try boots a guest that make guest has made$(comma) without Havoc: name it by IMAGE=NAME)
endif
ifneq ($(words $(GUEST_NAMES)),1)
$(call fault,IMAGE=$(IMAGE): make try boots one guest: name one)
endif
endif

$(foreach name,.several .none,$(GUEST_PARTS:%=$(GUEST)/$(name)/%)): FORCE
	@echo 'havoc: one guest has to be named' >&2; exit 1

# Userspace for tests: static, against musl.
GUEST_CC     ?= musl-gcc
GUEST_CFLAGS := -std=gnu11 -Os -static -s -Wall -Wextra -Werror -ffile-prefix-map="$(CURDIR)"=.
export GUEST_CC

# `make guest` after set-up.
.PHONY: guest-files
guest-files: $(GUEST_FILES)

# Every image; those on the tiny kernel, which `make test` boots.
.PHONY: guests guests-tiny guest-help
guests: $(GUEST_IMAGES:%=guest-%)
guests-tiny: $(foreach i,$(GUEST_IMAGES),$(if $(wildcard guest/images/$(i)/kernel*),,guest-$(i)))

.PHONY: $(GUEST_IMAGES:%=guest-%)
$(GUEST_IMAGES:%=guest-%): guest-%: $(GUEST)/%/manifest.json

# `make guest help` is about guests, and builds nothing.
guest-help:
	@tools/guest help $(guest-args)
