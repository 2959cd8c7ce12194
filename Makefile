# SPDX-License-Identifier: MIT
#
# Havoc. `make run` on a fresh Debian or Ubuntu machine is all it takes; `make help` lists the rest.

# A recipe that fails leaves no half-written target behind, and no rule is built in.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += -rR --no-print-directory
SHELL := /bin/sh

.DEFAULT_GOAL := all

include mk/names.mk

# Where the user called make, which with `make -C` is not here. (A shell on the way would forget it, and PWD may be
# anything if who called us is no shell.)
ifeq ($(if $(HAVOC_CALLER),$(MAKELEVEL),0),0)
export HAVOC_CALLER := $(CURDIR)
ifneq ($(PWD),$(CURDIR))
ifeq ($(shell tr '\0' '\n' </proc/$$PPID/cmdline 2>/dev/null | grep -cE '^(-[A-Za-z]*C|--dir)'),1)
HAVOC_CALLER := $(PWD)
endif
endif
endif

ifneq ($(words $(BUILD))$(findstring :,$(BUILD)),$(if $(BUILD),1,0))
$(shell echo 'havoc: BUILD: make cannot build in a folder whose name has spaces or colons: give another' >&2)$(error no build)
endif

# Several goals are made one after the other, each by a make of its own: with -j they would get in each
# other's way (`make -j clean all`, `make -j guest iso`). `make guest help` is one goal in two words.
ifeq ($(words $(MAKECMDGOALS))$(filter guest,$(MAKECMDGOALS))$(filter help,$(MAKECMDGOALS)),2guesthelp)
else ifneq ($(word 2,$(MAKECMDGOALS)),)
IN_TURN := $(MAKECMDGOALS)
endif

# Goals that write the build folder are made by a make that has it for itself. These are no such, or they
# take it for their builds only, and not while a guest or a test runs.
ONE_MAKE = +@tools/one-make '$(or $(BUILD),build)' $(MAKE)
UNLOCKED := run try usb guest guest-help test test-% check check-% unit fuzz micro boot bench bench-guest profile \
	setup doctor help help-all
ifeq ($(HAVOC_LOCKED)$(IN_TURN),)
LOCKING := $(filter-out $(UNLOCKED),$(or $(MAKECMDGOALS),all)) $(filter check-layers,$(MAKECMDGOALS))
endif

ifneq ($(IN_TURN),)

.PHONY: in-turn $(IN_TURN)
$(sort $(IN_TURN)): in-turn ; @:
in-turn:
	+@status=0; for goal in $(IN_TURN); do $(MAKE) "$$goal" || { status=$$?; $(if $(findstring k,$(firstword -$(MAKEFLAGS))),,break;) }; done; exit $$status

else ifneq ($(strip $(LOCKING)),)

.PHONY: locked $(MAKECMDGOALS)
$(or $(MAKECMDGOALS),all): locked ; @:
locked: ; $(ONE_MAKE) $(MAKECMDGOALS)

else

include mk/config.mk
include mk/rules.mk
include mk/guest.mk
include mk/metal.mk
include mk/host.mk
include mk/iso.mk
-include mk/test.mk

.PHONY: all guest iso run try test check bench usb doctor setup monitor-doc clean help

all: $(BUILD)/havoc.elf $(BUILD)/havoc-bare.elf $(METAL)/vmm.a ## build the hypervisor, with and without a guest inside

# `make guest help` asks about guests (mk/guest.mk), and builds none.
ifneq ($(and $(filter guest,$(MAKECMDGOALS)),$(filter help,$(MAKECMDGOALS))),)
HELP := guest-help
guest: ; @:
else
HELP := help-all
guest: ## make a guest: of the catalogue, or of a program, a folder, an image (`make guest help`)
	@tools/setup guest $(if $(OCI),oci)
	$(ONE_MAKE) guest-files $(if $(GUEST_SAY),,GUEST_SAY=--say)
endif

ISO_SAY ?= $(if $(findstring s,$(firstword -$(MAKEFLAGS))),,--say)
iso: $(BUILD)/havoc.iso ## build build/havoc.iso: boots by BIOS and UEFI, from CD and USB stick
	@[ -z '$(ISO_SAY)' ] || du -b '$<' | awk -v guest=$(call quote,$(if $(CONF),guests by $(CONF),guest $(or $(KERNEL),$(GUEST_NAMES)))) \
		'{ printf "havoc: %s, %.1f MB, %s\n", $$2, $$1 / 1e6, guest }'

RUN = tools/run --backend '$(BACKEND)' --firmware '$(FIRMWARE)' --cpus '$(CPUS)' --mem '$(MEM)' --iso '$(BUILD)/havoc.iso'

# The rest is made by a second make, because what is installed now may be looked at when a makefile
# is read.
run: ## boot the ISO in an emulator, or in KVM where nested: says `hello` once a second
	@tools/setup run $(if $(OCI),oci)
	@$(RUN) --check
	$(ONE_MAKE) iso ISO_SAY=
	@$(RUN)

usb: ## write the ISO to the USB stick DEV=/dev/sdX (asks first)
	@tools/usb --check '$(DEV)'
	$(ONE_MAKE) iso
	@tools/usb '$(DEV)' '$(BUILD)/havoc.iso'

setup: ## install what run, test and check need (apt)
	@tools/setup all

doctor: ## say what is installed, what is missing, and what the machine offers
	@tools/doctor

monitor-doc: ## write docs/monitor.md anew, from the monitor's help and a run of guest/demo.conf
	@tools/setup test
	@mkdir -p '$(BUILD)'
	@tools/gen-monitor-doc >'$(BUILD)/monitor.md'
	@mv '$(BUILD)/monitor.md' docs/monitor.md

clean: ## remove build/ (the cache of built kernels stays: see `make doctor`)
	rm -rf '$(BUILD)'

try: ## boot the guest straight in QEMU, without the hypervisor: whose fault is it?
	@tools/setup try $(if $(OCI),oci)
	@tools/try --check --mem '$(MEM)' --cpus '$(CPUS)'
	$(ONE_MAKE) guest-files
	@tools/try --mem '$(MEM)' --cpus '$(CPUS)' '$(GUEST_OUT)'

help: $(HELP) ## this list

.PHONY: help-all
help-all:
	@echo 'Targets:'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | awk -F '\t' '{ printf "  %-11s %s\n", $$1, $$2 }'
	@echo 'Variables:'
	@echo '  BACKEND   auto, svm (QEMU), vmx (Bochs, or KVM where nested)          [$(BACKEND)]'
	@echo '  FIRMWARE  bios, uefi                                                  [$(FIRMWARE)]'
	@echo '  CPUS      CPUs of the emulated machine                                 [$(CPUS)]'
	@echo '  MEM       memory of the emulated machine: 192M (the least), 4G        [$(MEM)]'
	@echo '  IMAGE     the guest: $(GUEST_IMAGES)  [$(GUEST_NAMES)]'
	@echo '            or one of your own: PROGRAM, OCI and others: see `make guest help`'
	@echo '  KERNEL    a kernel of yours instead, as it is: /boot/vmlinuz, a vmlinux, a Multiboot kernel'
	@echo '  INITRD    its initrd; CMDLINE: its command line                       [$(CMDLINE)]'
	@echo '  CONF      a havoc.conf: its guests, instead of IMAGE (docs/config.md)'
	@echo '  OPTIONS   the hypervisor'"'"'s options: mem=256M (docs/options.md)        [$(OPTIONS)]'
	@echo '  DEV       the disk that `make usb` writes'
	@echo '  CC        gcc or clang                                                [$(CC)]'
	@echo '  BUILD     where to build                                              [$(BUILD)]'
	@echo '  V         1: show the commands                                        [$(V)]'

endif
