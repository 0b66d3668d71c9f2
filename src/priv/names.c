#include "names.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* Lines of name:password:number:…; of any length, because groups may have any number of members. */
static bool find(const char *path, const char *name, uint32_t *id) {
  char chunk[4096], fields[3][64];
  unsigned field = 0;
  size_t used = 0;
  ssize_t size;
  bool found = false, fits = true;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  while (!found && (size = read(file, chunk, sizeof chunk)) > 0)
    for (ssize_t i = 0; i < size && !found; i++) {
      char letter = chunk[i];
      if (field < 3 && (letter == ':' || letter == '\n')) {
        fields[field][used] = 0;
        if (field == 2 && fits && strcmp(fields[0], name) == 0) {
          uint64_t number;
          found = read_number(fields[2], UINT32_MAX - 1, &number);
          if (found) *id = (uint32_t)number;
        }
        field++;
        used = 0;
      } else if (field < 3) {
        if (used + 1 < sizeof fields[0])
          fields[field][used++] = letter;
        else if (field != 1)
          fits = false;
      }
      if (letter == '\n') {
        field = 0;
        used = 0;
        fits = true;
      }
    }
  close(file);
  return found;
}

bool find_user(const char *name, uint32_t *uid) { return find("/etc/passwd", name, uid); }

bool find_group(const char *name, uint32_t *gid) { return find("/etc/group", name, gid); }
