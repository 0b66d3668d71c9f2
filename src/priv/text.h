/* Short texts from hostile places: copied into fixed room, numbers read strictly, patterns matched. */
#ifndef EZVM_PRIV_TEXT_H
#define EZVM_PRIV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest path, pattern or program in a policy or a request, with its closing NUL. */
#define PATH_ROOM 256
/* The same for a path in sysfs, which holds such texts. */
#define SYSFS_ROOM 512
/* "0000:01:00.0" */
#define PCI_ROOM 13

/* False, and an empty text, when it does not fit. */
bool copy_text(char *to, size_t room, const char *from);
bool starts_with(const char *text, const char *start);
bool ends_with(const char *text, const char *end);
/* Decimal digits only: no sign, no blank, no leading zero. */
bool read_number(const char *text, uint64_t max, uint64_t *value);
/* Exactly `digits` lower-case hexadecimal digits at the start of `text`. */
bool read_hex(const char *text, unsigned digits, uint32_t *value);
/* Bytes, or a number with K, M, G or T for powers of 1024. */
bool read_size(const char *text, uint64_t *bytes);

/* Letters, digits and "._+:=@-" between single slashes, from the root, with no "." or ".." on the way. */
bool is_plain_path(const char *path);
/* The same, with '*' and '?'. */
bool is_plain_pattern(const char *pattern);
/* A letter or digit, then letters, digits and "._-", `room` - 1 at most. */
bool is_plain_name(const char *name, size_t room);
/* dddd:bb:ss.f in lower case */
bool is_pci_address(const char *text);
/* '*' stands for any characters and '?' for one, a slash excepted. */
bool matches(const char *pattern, const char *text);

#endif
