#include "text.h"

#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool copy_text(char *to, size_t room, const char *from) {
  size_t length = strlen(from);
  bool fits = length < room;
  if (!fits) length = 0;
  memcpy(to, from, length);
  to[length] = 0;
  return fits;
}

bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), wanted = strlen(end);
  return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

bool read_number(const char *text, uint64_t max, uint64_t *value) {
  uint64_t number = 0;
  if (!*text || (text[0] == '0' && text[1])) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    uint64_t digit = (uint64_t)(*text - '0');
    if (number > (UINT64_MAX - digit) / 10) return false;
    number = number * 10 + digit;
  }
  if (number > max) return false;
  *value = number;
  return true;
}

bool read_hex(const char *text, unsigned digits, uint32_t *value) {
  uint32_t number = 0;
  for (unsigned i = 0; i < digits; i++) {
    const char *found = text[i] ? strchr("0123456789abcdef", text[i]) : NULL;
    if (!found) return false;
    uint32_t digit = text[i] <= '9' ? (uint32_t)(text[i] - '0') : (uint32_t)(text[i] - 'a') + 10;
    number = number << 4 | digit;
  }
  *value = number;
  return true;
}

bool read_size(const char *text, uint64_t *bytes) {
  char digits[24];
  size_t length = strlen(text);
  unsigned shift = 0;
  if (length == 0 || length >= sizeof digits) return false;
  memcpy(digits, text, length + 1);
  switch (text[length - 1]) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    case 'T': shift = 40; break;
    default: break;
  }
  if (shift > 0) digits[length - 1] = 0;
  uint64_t number;
  if (!read_number(digits, UINT64_MAX >> shift, &number)) return false;
  *bytes = number << shift;
  return true;
}

static bool is_plain(const char *path, const char *allowed) {
  size_t length = strlen(path);
  if (length < 2 || length >= PATH_ROOM || path[0] != '/' || strspn(path, allowed) != length) return false;
  for (const char *part = path; part; part = strchr(part + 1, '/')) {
    size_t size = strcspn(part + 1, "/");
    if (size == 0 || (part[1] == '.' && (size == 1 || (size == 2 && part[2] == '.')))) return false;
  }
  return true;
}

bool is_plain_path(const char *path) { return is_plain(path, LETTERS DIGITS "/._+:=@-"); }

bool is_plain_pattern(const char *pattern) { return is_plain(pattern, LETTERS DIGITS "/._+:=@-*?"); }

bool is_plain_name(const char *name, size_t room) {
  size_t length = strlen(name);
  return length > 0 && length < room && strspn(name, LETTERS DIGITS) > 0 &&
         strspn(name, LETTERS DIGITS "._-") == length;
}

bool is_pci_address(const char *text) {
  uint32_t part;
  return strlen(text) == PCI_ROOM - 1 && read_hex(text, 4, &part) && text[4] == ':' && read_hex(text + 5, 2, &part) &&
         text[7] == ':' && read_hex(text + 8, 2, &part) && part < 32 && text[10] == '.' && text[11] >= '0' &&
         text[11] <= '7';
}

bool matches(const char *pattern, const char *text) {
  /* Only the last star is tried again: an earlier one is kept apart from it by a slash, or could match no more. */
  const char *after_star = NULL, *again = NULL;
  while (*text) {
    if (*pattern == '*') {
      after_star = ++pattern;
      again = text;
    } else if (*pattern == *text || (*pattern == '?' && *text != '/')) {
      pattern++;
      text++;
    } else if (after_star && *again != '/') {
      pattern = after_star;
      text = ++again;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == 0;
}
