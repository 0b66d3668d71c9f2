#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "text.h"

/* Places in /proc/PID/stat, counted from the state, which follows the name in parentheses; proc(5). */
enum { STATE = 0, THREADS = 17, START = 19 };

bool started_at(pid_t pid, uint64_t *ticks) {
  char path[32], text[1024], state = 0;
  uint64_t threads = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (!read_file(AT_FDCWD, path, text, sizeof text)) return false;
  char *rest = strrchr(text, ')');
  if (!rest) return false;
  rest += strcspn(rest, " ");
  if (*rest) rest++;
  unsigned field = 0;
  for (char *word; (word = strsep(&rest, " ")) != NULL; field++) {
    if (field == STATE) state = *word;
    if (field == THREADS && !read_number(word, UINT32_MAX, &threads)) return false;
    if (field == START) return read_number(word, UINT64_MAX, ticks) && (threads > 1 || (state != 'Z' && state != 'X'));
  }
  return false;
}
