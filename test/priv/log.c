/* Takes the part of the system's log: log SOCKET FILE appends each message to the file, as a line. Ends with its input. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char text[65536];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int log = socket(AF_UNIX, SOCK_DGRAM, 0);
  FILE *file = argc == 3 ? fopen(argv[2], "a") : NULL;
  if (!file) return 1;
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  if (bind(log, (struct sockaddr *)&address, sizeof address) || chmod(argv[1], 0666)) return 1;
  puts("ready");
  fflush(stdout);
  struct pollfd wait[] = {{.fd = log, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  while (poll(wait, 2, -1) > 0 && !wait[1].revents) {
    ssize_t size = recv(log, text, sizeof text, 0);
    if (size < 0) break;
    fwrite(text, 1, (size_t)size, file);
    fputc('\n', file);
    fflush(file);
  }
  return 0;
}
