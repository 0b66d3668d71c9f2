/* Feeds the helper's readers and its decisions with command lines, policies, records and patterns that are nearly right.
 *   fuzz RUNS SEED FOLDER [FIRST]
 * Every input follows from the seed and its number alone: "fuzz 1 SEED FOLDER NUMBER" repeats one. FOLDER is for records. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "grants.h"
#include "policy.h"
#include "record.h"
#include "report.h"
#include "request.h"

static uint64_t state, seed, number;
static unsigned long taken[4], refused[4], granted;

static uint32_t next(void) { /* splitmix64 */
  uint64_t mixed = state += 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
  return (uint32_t)(mixed >> 32);
}

static uint32_t below(uint32_t limit) { return next() % limit; }

static void broken(const char *law) {
  dprintf(STDERR_FILENO, "broken: %s\n", law);
  abort();
}

/* What the sanitizers find ends here, too. */
static void name_input(int signal) {
  (void)signal;
  dprintf(STDERR_FILENO, "seed %llu, input %llu\n", (unsigned long long)seed, (unsigned long long)number);
}

static const char *const OPTIONS[] = {
    "--vm=win", "--vm=", "--block=20:/dev/vg/a:rw", "--block=21:/dev/b:ro+direct", "--block=", "--tap=22:br0",
    "--tap=23+24+25:br0:26+27+28", "--tap=", "--pci=0000:01:00.0", "--pci=30:0000:01:00.1", "--pci=", "--iommufd=31",
    "--memlock=65536", "--memlock=", "--keep-fd=0", "--keep-fd=3", "--die-with-parent", "--", "/usr/bin/qemu", "run",
    "check", "release", "--wait", "--version", ":rw", "+direct", "255", "256", "-1", "18446744073709551616", "/dev/", "..",
    "\x1b[2J", "%n%s", "\xff\xfe", "", "=", ":", "::::", "++++"};
/* Right by themselves, and together but for a few. */
static const char *const GOOD[] = {
    "--block=20:/dev/vg/a:rw", "--block=21:/dev/b:ro+direct", "--tap=22:br0", "--tap=23+24+25:br0:26+27+28", "--pci=0000:01:00.0",
    "--pci=0000:01:00.1", "--memlock=65536", "--memlock=4096", "--memlock=1", "--die-with-parent"};
static const char *const WORDS[] = {
    "allow", "deny", "any", "uid:1000", "uid:", "gid:7", "user:root", "user:x", "group:root", "program", "block", "bridge",
    "pci", "memlock", "/usr/bin/qemu", "/usr/bin/*", "/dev/vg/*", "/dev/b", "/dev/?", "/dev/*/*", "ro", "rw", "br0", "br*",
    "vhost", "0000:01:00.0", "0000:01:00.1", "10de:2684", "bind", "boot-display", "64K", "18G", "16777216T", "*", "#", "\n",
    "\n", "\n", "\t", "\r", "\x1b", "..", "/dev/../etc", "4294967295"};
static const char *const RULES[] = {
    "allow any program /usr/bin/*\n", "deny uid:1000 program /usr/bin/qemu\n", "allow any block /dev/vg/* rw\n",
    "allow uid:1000 block /dev/b ro # why\n", "deny gid:7 block /dev/vg/a\n", "allow any bridge br* vhost\n",
    "allow any pci 0000:01:00.0 10de:2684 bind boot-display\n", "deny any pci 0000:*\n", "allow any memlock 18G\n",
    "deny any memlock *\n", "allow user:root block /dev/* rw\n", "\n", "# only this\n"};
static const char *const LINES[] = {
    "uid 1000\n", "vm win\n", "process 12 345\n", "node 660\n", "node -\n", "device 0000:01:00.0 nouveau -\n",
    "device 0000:01:00.1 - vfio-pci\n", "\n", "uid -1\n", "device ../../x a b\n", "process 1\n"};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Changes a few bytes, cuts, doubles or inserts. `size` stays below `room`. */
static size_t mutate(char *text, size_t size, size_t room) {
  for (uint32_t times = below(4); times > 0 && size > 0; times--) {
    size_t at = below((uint32_t)size), length = 1 + below(8);
    switch (below(6)) {
      case 0: text[at] = (char)next(); break;
      case 1: text[at] ^= (char)(1 << below(8)); break;
      case 2: size = at; break;
      case 3:
        if (at + length > size) length = size - at;
        memmove(text + at, text + at + length, size - at - length);
        size -= length;
        break;
      case 4:
        if (size + length >= room) break;
        memmove(text + at + length, text + at, size - at);
        memset(text + at, text[at + length], length);
        size += length;
        break;
      default: text[at] = "0123456789/.:+-=*? \n\t"[below(21)]; break;
    }
  }
  text[size] = 0;
  return size;
}

static void count(unsigned kind, int code) {
  if (code == DONE)
    taken[kind]++;
  else
    refused[kind]++;
}

static void check_descriptor(bool *seen, int wanted) {
  if (wanted < 0) return;
  if (wanted < DESCRIPTOR_MIN || wanted > DESCRIPTOR_MAX || seen[wanted]) broken("descriptors are in range and apart");
  seen[wanted] = true;
}

static void check_request(const struct request *request) {
  bool seen[DESCRIPTOR_MAX + 1] = {false};
  if (request->verb == RUN && (!request->has_vm || !request->program)) broken("run has a name and a program");
  if (request->has_vm && !is_plain_name(request->vm, VM_ROOM)) broken("names are plain");
  if (request->program && request->program[0][0] != '/') broken("programs are absolute");
  check_descriptor(seen, request->iommu.wanted);
  for (unsigned i = 0; i < request->count; i++) {
    const struct grant *grant = &request->grants[i];
    for (unsigned j = 0; j < QUEUES_MAX; j++) {
      check_descriptor(seen, grant->handed[j].wanted);
      check_descriptor(seen, grant->vhosts[j].wanted);
    }
    if (grant->kind == BLOCK && (!is_plain_path(grant->what) || strncmp(grant->what, "/dev/", 5) != 0))
      broken("disks are plain paths below /dev");
    if (grant->kind == BLOCK && strstr(grant->what, "/../")) broken("disks do not climb");
    if (grant->kind == PCI && !is_pci_address(grant->what)) broken("PCI addresses are whole");
    for (const char *letter = grant->what; *letter; letter++)
      if (*letter < 0x21 || *letter > 0x7e) broken("what is asked for is printable");
  }
  for (int i = 0; i <= DESCRIPTOR_MAX; i++)
    if (request->keep[i] && (seen[i] || i < DESCRIPTOR_MIN)) broken("kept descriptors are apart");
}

static int fuzz_request(struct request *request) {
  static char pool[24][OPTION_ROOM * 2];
  static char *argv[26]; /* the request points into it */
  int argc = 1;
  argv[0] = pool[0];
  bool careful = below(2) == 0; /* or hardly any gets past the first checks */
  for (uint32_t wanted = careful ? 2 + below(4) : 1 + below(22); argc <= (int)wanted; argc++) {
    char *text = pool[argc];
    size_t size = 0;
    if (argc == 1 && below(8) > 0) size = (size_t)sprintf(text, "%s", below(3) ? "run" : "check");
    if (argc == 2 && below(8) > 0) size = (size_t)sprintf(text, "--vm=win");
    if (size == 0 && careful) size = (size_t)sprintf(text, "%s", GOOD[below(COUNT(GOOD))]);
    if (size == 0) size = (size_t)sprintf(text, "%s", OPTIONS[below(COUNT(OPTIONS))]);
    if (careful && below(16) > 0) {
      argv[argc] = text;
      continue;
    }
    if (below(6) == 0) size += (size_t)sprintf(text + size, "%s", OPTIONS[below(COUNT(OPTIONS))]);
    if (below(40) == 0) { memset(text + size, 'A', OPTION_ROOM); size += OPTION_ROOM; text[size] = 0; }
    if (below(3) == 0) mutate(text, size, sizeof pool[0]);
    argv[argc] = text;
  }
  if (below(3) > 0) { strcpy(pool[argc], "--"); argv[argc] = pool[argc]; argc++; }
  if (argc < 24 && below(3) > 0) { strcpy(pool[argc], "/usr/bin/qemu"); argv[argc] = pool[argc]; argc++; }
  argv[argc] = NULL;
  int code = read_request(request, argc, argv);
  count(0, code);
  if (code == DONE && request->verb <= RELEASE) check_request(request);
  return code;
}

static void fuzz_policy(struct policy *policy) {
  static char text[POLICY_SIZE_MAX + 1];
  size_t size = 0;
  uint32_t pieces = below(50) == 0 ? 3000 : below(20);
  for (uint32_t i = 0; i < pieces && size + 100 < sizeof text; i++)
    size += below(3) ? (size_t)sprintf(text + size, "%s", RULES[below(COUNT(RULES))])
                     : below(12) == 0 ? (size_t)sprintf(text + size, "%s ", WORDS[below(COUNT(WORDS))]) : 0;
  text[size] = 0;
  if (below(3) == 0) size = mutate(text, size, sizeof text);
  int code = read_policy(policy, text, size);
  count(1, code);
  if (code != DONE && policy->count != 0) broken("a policy with a fault allows nothing");
  if (policy->count > RULES_MAX) broken("a policy has 256 rules");
}

/* What is granted is allowed by some rule and denied by none. */
static void fuzz_decision(const struct policy *policy, struct request *request) {
  if (request->verb != RUN && request->verb != CHECK) return;
  if (decide_grants(policy, request) != DONE) return;
  granted++;
  if (request->program &&
      (denied(policy, PROGRAM, request->program[0]) || !allowed(policy, PROGRAM, request->program[0], NULL)))
    broken("deny wins, and nothing is allowed by itself");
  for (unsigned i = 0; i < request->count; i++)
    if (request->grants[i].kind != MEMLOCK) broken("nothing is there to be granted but locked memory");
    else if (denied(policy, MEMLOCK, "any")) broken("deny wins");
}

static void fuzz_record(int folder) {
  char text[RECORD_SIZE * 2];
  static struct record record;
  size_t size = 0;
  if (below(4) > 0) size = (size_t)sprintf(text, "uid 1000\nvm win\nprocess 12 345\nnode -\n");
  for (uint32_t lines = below(below(10) ? 6 : 60); lines > 0; lines--)
    size += (size_t)sprintf(text + size, "%s", LINES[5 + below(below(4) ? 2 : (uint32_t)COUNT(LINES) - 5)]);
  if (below(2)) size = mutate(text, size, sizeof text);
  int file = openat(folder, "group-7", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || write(file, text, size) < 0) broken("the folder can be written");
  close(file);
  int code = open_record(folder, "7", &record);
  count(2, code);
  if (code == DONE && record.held) {
    if (record.count == 0 || record.count > GRANTS_MAX || !is_plain_name(record.vm, VM_ROOM)) broken("records are whole");
    for (unsigned i = 0; i < record.count; i++)
      if (!is_pci_address(record.taken[i].address) || strchr(record.taken[i].driver, '/')) broken("records name devices");
    /* What is written is read as the same. */
    struct record before = record;
    if (write_record(&record) == DONE) {
      close_record(&record);
      if (open_record(folder, "7", &record) != DONE || record.count != before.count || record.uid != before.uid ||
          record.started != before.started || strcmp(record.vm, before.vm) != 0 ||
          memcmp(record.taken, before.taken, before.count * sizeof before.taken[0]) != 0)
        broken("records are read as they were written");
    }
  }
  close_record(&record);
}

/* The obvious matcher, which may take its time. */
static bool match_plainly(const char *pattern, const char *text) {
  if (!*pattern) return !*text;
  if (*pattern == '*') return match_plainly(pattern + 1, text) || (*text && *text != '/' && match_plainly(pattern, text + 1));
  return *text && (*pattern == *text || (*pattern == '?' && *text != '/')) && match_plainly(pattern + 1, text + 1);
}

static void fuzz_match(void) {
  char pattern[12], text[12];
  size_t size = below(11), length = below(11);
  for (size_t i = 0; i < size; i++) pattern[i] = "ab/*?*"[below(6)];
  for (size_t i = 0; i < length; i++) text[i] = "ab/a"[below(4)];
  pattern[size] = text[length] = 0;
  bool same = matches(pattern, text) == match_plainly(pattern, text);
  count(3, matches(pattern, text) ? DONE : DENIED);
  if (!same) broken("patterns match as they should");
}

int main(int argc, char **argv) {
  static struct request request;
  static struct policy policy;
  if (argc < 4) return 2;
  uint64_t runs = strtoull(argv[1], NULL, 10);
  seed = strtoull(argv[2], NULL, 10);
  signal(SIGABRT, name_input);
  uint64_t first = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
  int folder = open(argv[3], O_RDONLY | O_DIRECTORY);
  /* What the helper says goes nowhere; what the sanitizers say, and this, goes to where standard error was. */
  int quiet = open("/dev/null", O_WRONLY);
  if (folder < 0 || quiet < 0) return 2;
  int own = fcntl(STDOUT_FILENO, F_DUPFD, 10);
  caller.uid = 1000;
  caller.gid = 7;
  for (number = first; number < first + runs; number++) {
    state = seed * 0x2545f4914f6cdd1dU + number;
    (void)next();
    fuzz_policy(&policy);
    if (fuzz_request(&request) == DONE && policy.count > 0) fuzz_decision(&policy, &request);
    if (below(8) == 0) fuzz_record(folder);
    fuzz_match();
    report_about(NULL);
    int output = dup(1), errors = dup(2);
    dup2(quiet, 1);
    dup2(quiet, 2);
    tell();
    dup2(output, 1);
    dup2(errors, 2);
    close(output);
    close(errors);
  }
  dprintf(own, "requests %lu taken %lu refused\npolicies %lu taken %lu refused\nrecords %lu taken %lu refused\n"
               "patterns %lu taken %lu refused\ngranted %lu\n", taken[0], refused[0], taken[1], refused[1], taken[2],
          refused[2], taken[3], refused[3], granted);
  return 0;
}
