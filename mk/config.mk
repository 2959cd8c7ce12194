# SPDX-License-Identifier: MIT
#
# The few knobs. Each can be given on make's command line or in the environment.

# Where everything is built. Nothing is ever written elsewhere in the tree. No spaces.
BUILD ?= build
ifeq ($(BUILD),)
override BUILD := build
endif

# What `make run` starts (see tools/run); the guest is in mk/guest.mk.
BACKEND  ?= auto
FIRMWARE ?= bios
CPUS     ?= 1
# A distribution's kernel and initrd need more than the guests that are made here.
MEM      ?= $(if $(KERNEL),1G,512M)

# The tools. CC=clang works too. (A make started by this one has no built-in variables: -R.)
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
ifneq ($(filter default undefined,$(origin AR)),)
AR := ar
endif
ifneq ($(filter default undefined,$(origin LD)),)
LD := ld
endif
NM      ?= nm
STRIP   ?= strip
IASL    ?= iasl

# V=1 shows the commands; `make -s` nothing but complaints.
V ?= 0
ifeq ($(V),1)
Q :=
say = @:
else ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
Q := @
say = @:
else
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

# The version, and the one date in the products: both from the commit, so that two builds of one
# commit are the same bytes. A source archive has them from `git archive` (mk/version).
ifneq ($(wildcard .git),)
HAVOC_VERSION     := $(shell git describe --always --abbrev=12 --dirty 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
else
HAVOC_VERSION     := $(filter-out $$Format%,$(shell cut -c1-12 mk/version))
SOURCE_DATE_EPOCH ?= $(filter-out %$$,$(word 2,$(shell cat mk/version)))
endif
ifeq ($(HAVOC_VERSION),)
HAVOC_VERSION := unversioned
endif
ifeq ($(SOURCE_DATE_EPOCH),)
SOURCE_DATE_EPOCH := 946684800
endif
export SOURCE_DATE_EPOCH

# What the products are must not depend on who builds them.
export LC_ALL := C
export TZ := UTC
