# SPDX-License-Identifier: MIT
#
# The second flag set: Havoc's PURE files, and their tests, as ordinary programs of the development
# host, under the sanitizers. mk/test.mk compiles with it, by gcc and by clang. $(DSDT_S) (rules.mk)
# is linked there too.

HOST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

HOST_CFLAGS := -std=gnu11 -g -O1 -DHAVOC_HOST_TEST $(HOST_SANITIZE) \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
	-Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wvla \
	$(METAL_INCLUDE)

HOST_LDFLAGS := $(HOST_SANITIZE)
