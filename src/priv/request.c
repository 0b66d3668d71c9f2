#include "request.h"

#include <fcntl.h>
#include <string.h>

#include "report.h"

const char USAGE_TEXT[] =
    "usage: ezvm-priv run --vm=NAME [GRANT…] [--keep-fd=FD]… [--die-with-parent] -- PROGRAM [ARG…]\n"
    "       ezvm-priv check [GRANT…] [-- PROGRAM]\n"
    "       ezvm-priv release [--vm=NAME] [--wait]\n"
    "       ezvm-priv --version | --help\n"
    "GRANT: --block=FD:/dev/PATH:ro|rw[+direct]\n"
    "       --tap=FD[+FD…]:BRIDGE[:VHOSTFD[+VHOSTFD…]]\n"
    "       --pci=ADDRESS…, or --pci=FD:ADDRESS… with --iommufd=FD\n"
    "       --memlock=BYTES";

#define SEE " (see ezvm-priv --help)"

/* The options as they are read; `used` holds every number a descriptor was asked for under. */
struct reading {
  struct request *request;
  bool used[DESCRIPTOR_MAX + 1];
};

static int read_descriptor(struct reading *reading, const char *text, int *descriptor) {
  uint64_t number;
  if (!read_number(text, DESCRIPTOR_MAX, &number) || number < DESCRIPTOR_MIN)
    return refuse(USAGE, "descriptor \"%.20s\" is no number from %d to %d; choose one of these", text, DESCRIPTOR_MIN,
                  DESCRIPTOR_MAX);
  if (reading->used[number])
    return refuse(USAGE, "descriptor %d is asked for twice; choose another", (int)number);
  reading->used[number] = true;
  *descriptor = (int)number;
  return DONE;
}

/* FD+FD… */
static int read_descriptors(struct reading *reading, char *text, struct handed *handed, unsigned *count) {
  *count = 0;
  for (char *word; (word = strsep(&text, "+")) != NULL; (*count)++) {
    if (*count == QUEUES_MAX) return refuse(USAGE, "a tap has %d queues at most; ask for fewer", QUEUES_MAX);
    int code = read_descriptor(reading, word, &handed[*count].wanted);
    if (code != DONE) return code;
  }
  return DONE;
}

static int read_block(struct reading *reading, struct grant *grant, char *value) {
  char *descriptor = strsep(&value, ":"), *mode = value ? strrchr(value, ':') : NULL;
  if (!mode) return refuse(USAGE, "write --block=FD:/dev/PATH:ro or rw" SEE);
  *mode++ = 0;
  char *flag = strchr(mode, '+');
  if (flag) *flag++ = 0;
  if ((strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0) || (flag && strcmp(flag, "direct") != 0))
    return refuse(USAGE, "--block ends in ro or rw, and +direct where wanted" SEE);
  if (!is_plain_path(value) || !starts_with(value, "/dev/") || !copy_text(grant->what, sizeof grant->what, value))
    return refuse(USAGE, "a block device is a path below /dev, written plainly: letters, digits and ._+:=@- between single "
                         "slashes, without . and ..");
  grant->writable = strcmp(mode, "rw") == 0;
  grant->direct = flag != NULL;
  return read_descriptor(reading, descriptor, &grant->handed[0].wanted);
}

static int read_tap(struct reading *reading, struct grant *grant, char *value) {
  char *descriptors = strsep(&value, ":"), *bridge = strsep(&value, ":");
  unsigned vhosts = 0;
  if (!bridge || !is_plain_name(bridge, IFNAMSIZ) || !copy_text(grant->what, sizeof grant->what, bridge))
    return refuse(USAGE, "write --tap=FD:BRIDGE with the name of a bridge" SEE);
  int code = read_descriptors(reading, descriptors, grant->handed, &grant->queues);
  if (code != DONE || !value) return code;
  grant->vhost = true;
  code = read_descriptors(reading, value, grant->vhosts, &vhosts);
  if (code == DONE && vhosts != grant->queues)
    return refuse(USAGE, "--tap has as many vhost descriptors as queues, or none" SEE);
  return code;
}

static int read_pci(struct reading *reading, struct grant *grant, char *value) {
  char *address = value;
  int code = DONE;
  if (strlen(value) >= PCI_ROOM) {
    char *descriptor = strsep(&address, ":");
    if (!address) return refuse(USAGE, "write --pci=ADDRESS, or --pci=FD:ADDRESS with --iommufd" SEE);
    code = read_descriptor(reading, descriptor, &grant->handed[0].wanted);
  }
  if (code != DONE) return code;
  if (!is_pci_address(address) || !copy_text(grant->what, sizeof grant->what, address))
    return refuse(USAGE, "a PCI address is written in full and in lower case, such as 0000:01:00.0");
  if (wants_pci(reading->request, address)) return refuse(USAGE, "PCI device %s is asked for twice", address);
  return DONE;
}

static int read_memlock(struct reading *reading, struct grant *grant, const char *value) {
  for (unsigned i = 0; i < reading->request->count; i++)
    if (reading->request->grants[i].kind == MEMLOCK) return refuse(USAGE, "--memlock is said twice");
  if (!read_number(value, UINT64_MAX >> 1, &grant->bytes) || grant->bytes == 0)
    return refuse(USAGE, "--memlock is a number of bytes, digits only");
  return copy_text(grant->what, sizeof grant->what, value) ? DONE : USAGE;
}

static int read_grant(struct reading *reading, const char *typed, const char *name, char *value) {
  static const struct {
    const char *name;
    enum kind kind;
  } OPTIONS[] = {{"--block", BLOCK}, {"--tap", BRIDGE}, {"--pci", PCI}, {"--memlock", MEMLOCK}};
  struct request *request = reading->request;
  if (request->count == GRANTS_MAX) return refuse(USAGE, "more than %d grants; ask for fewer", GRANTS_MAX);
  struct grant *grant = &request->grants[request->count];
  for (unsigned i = 0; i < QUEUES_MAX; i++) {
    static const struct handed NONE = {.wanted = -1, .opened = -1};
    grant->handed[i] = grant->vhosts[i] = NONE;
  }
  int code = USAGE;
  unsigned option = 0;
  while (option < sizeof OPTIONS / sizeof OPTIONS[0] && strcmp(name, OPTIONS[option].name) != 0) option++;
  if (option == sizeof OPTIONS / sizeof OPTIONS[0]) return refuse(USAGE, "unknown option %.40s" SEE, name);
  grant->kind = OPTIONS[option].kind;
  switch (grant->kind) {
    case BLOCK: code = read_block(reading, grant, value); break;
    case BRIDGE: code = read_tap(reading, grant, value); break;
    case PCI: code = read_pci(reading, grant, value); break;
    case MEMLOCK: code = read_memlock(reading, grant, value); break;
    case PROGRAM: break;
  }
  if (code != DONE) return code;
  (void)copy_text(grant->typed, sizeof grant->typed, typed);
  request->count++;
  return DONE;
}

static int read_option(struct reading *reading, const char *typed) {
  struct request *request = reading->request;
  char option[OPTION_ROOM];
  bool runs = request->verb == RUN;
  if (!copy_text(option, sizeof option, typed))
    return refuse(USAGE, "an option is longer than %d characters; shorten it", OPTION_ROOM - 1);
  if (runs && strcmp(option, "--die-with-parent") == 0) {
    if (request->die_with_parent) return refuse(USAGE, "--die-with-parent is said twice");
    request->die_with_parent = true;
    return DONE;
  }
  if (request->verb == RELEASE && strcmp(option, "--wait") == 0) {
    if (request->wait) return refuse(USAGE, "--wait is said twice");
    request->wait = true;
    return DONE;
  }
  char *value = option, *name = strsep(&value, "=");
  if (!value || !*value) return refuse(USAGE, "option %.40s is unknown or lacks its =value" SEE, name);
  if (request->verb != CHECK && strcmp(name, "--vm") == 0) {
    if (request->has_vm) return refuse(USAGE, "--vm is said twice");
    if (!is_plain_name(value, VM_ROOM) || !copy_text(request->vm, sizeof request->vm, value))
      return refuse(USAGE, "a VM's name has letters, digits, '.', '_' and '-', begins with a letter or digit, and is at "
                           "most 64 long");
    request->has_vm = true;
    return DONE;
  }
  if (runs && strcmp(name, "--keep-fd") == 0) {
    int kept = -1;
    int code = read_descriptor(reading, value, &kept);
    if (code == DONE && fcntl(kept, F_GETFD) < 0)
      return refuse(USAGE, "--keep-fd=%d: no such descriptor is open; open it before the helper is started", kept);
    if (code == DONE) request->keep[kept] = true;
    return code;
  }
  if (request->verb == RELEASE) return refuse(USAGE, "release takes --vm=NAME and --wait, and nothing else" SEE);
  if (strcmp(name, "--iommufd") == 0) {
    if (request->iommu.wanted >= 0) return refuse(USAGE, "--iommufd is said twice");
    return read_descriptor(reading, value, &request->iommu.wanted);
  }
  return read_grant(reading, typed, name, value);
}

static int read_verb(struct request *request, const char *verb) {
  static const struct {
    const char *name;
    enum verb verb;
  } VERBS[] = {{"run", RUN}, {"check", CHECK}, {"release", RELEASE}, {"--version", VERSION}, {"--help", HELP}};
  for (unsigned i = 0; verb && i < sizeof VERBS / sizeof VERBS[0]; i++)
    if (strcmp(verb, VERBS[i].name) == 0) {
      request->verb = VERBS[i].verb;
      report_for(VERBS[i].name, NULL);
      return DONE;
    }
  return refuse(USAGE, "the first word is run, check, release, --version or --help" SEE);
}

static int check_whole(const struct request *request) {
  bool pci = false;
  for (unsigned i = 0; i < request->count; i++) {
    if (request->grants[i].kind != PCI) continue;
    pci = true;
    if ((request->grants[i].handed[0].wanted >= 0) != (request->iommu.wanted >= 0))
      return refuse(USAGE, "with --iommufd each --pci has a descriptor, without it none has" SEE);
  }
  if (!pci && request->iommu.wanted >= 0) return refuse(USAGE, "--iommufd goes with --pci=FD:ADDRESS" SEE);
  if (request->verb == RUN && !request->has_vm) return refuse(USAGE, "--vm=NAME is missing" SEE);
  if (request->verb == RUN && !request->program) return refuse(USAGE, "-- PROGRAM is missing at the end" SEE);
  if (request->program && !is_plain_path(request->program[0]))
    return refuse(USAGE, "the program is an absolute path, written plainly: letters, digits and ._+:=@- between single "
                         "slashes, without . and ..");
  return DONE;
}

int read_request(struct request *request, int argc, char **argv) {
  struct reading reading = {.request = request};
  memset(request, 0, sizeof *request);
  request->iommu.wanted = request->iommu.opened = -1;
  int code = read_verb(request, argc > 1 ? argv[1] : NULL);
  int i = 2;
  if (code == DONE && argc > ARGUMENTS_MAX) code = refuse(USAGE, "more than %d arguments", ARGUMENTS_MAX);
  if (code == DONE && request->verb >= VERSION)
    return argc == 2 ? DONE : refuse(USAGE, "%s stands alone", argv[1]);
  for (; code == DONE && i < argc && strcmp(argv[i], "--") != 0; i++) code = read_option(&reading, argv[i]);
  if (code != DONE) return code;
  if (i + 1 < argc && request->verb != RELEASE) request->program = argv + i + 1;
  else if (i < argc) return refuse(USAGE, "nothing can follow --" SEE);
  code = check_whole(request);
  if (code == DONE) report_for(argv[1], request->has_vm ? request->vm : NULL);
  return code;
}

bool wants_pci(const struct request *request, const char *address) {
  for (unsigned i = 0; i < request->count; i++)
    if (request->grants[i].kind == PCI && strcmp(request->grants[i].what, address) == 0) return true;
  return false;
}
