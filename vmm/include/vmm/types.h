/* SPDX-License-Identifier: MIT */
/*
 * The base types and macros of every file. Freestanding: only the compiler's own headers.
 */
#ifndef VMM_TYPES_H
#define VMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 gpa_t; /* guest-physical address, bytes */
typedef u64 gva_t; /* guest-virtual (linear) address, bytes */
typedef u64 hpa_t; /* host-physical address, bytes */

#define KiB(n) ((u64)(n) << 10)
#define MiB(n) ((u64)(n) << 20)
#define GiB(n) ((u64)(n) << 30)

#define PAGE_SHIFT 12
#define PAGE_SIZE  KiB(4)

#define BIT(n)             (1ULL << (n))
#define GENMASK(hi, lo)    ((~0ULL >> (63 - (hi))) & (~0ULL << (lo)))
#define ARRAY_SIZE(a)      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)   ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)     ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define IS_ALIGNED(x, a)   (((x) & ((__typeof__(x))(a)-1)) == 0)
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define must_check              __attribute__((warn_unused_result))
#define packed                  __attribute__((packed))
#define aligned(n)              __attribute__((aligned(n)))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define unused                  __attribute__((unused))

#define container_of(ptr, type, member) ((type *)((u8 *)(ptr)-offsetof(type, member)))

/* The field of `reg` that `mask` (contiguous, constant) selects, shifted down; and the way back. */
#define field_get(mask, reg)  (((u64)(reg) & (mask)) >> __builtin_ctzll(mask))
#define field_prep(mask, val) (((u64)(val) << __builtin_ctzll(mask)) & (mask))

#endif
