#include "grants.h"

#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block.h"
#include "caller.h"
#include "memlock.h"
#include "passthrough.h"
#include "pci.h"
#include "report.h"
#include "tap.h"
#include "vfio.h"

/* What was found out about the PCI device of each grant. */
static struct pci_device devices[GRANTS_MAX];

static int decide_program(const struct policy *policy, const char *program) {
  const struct rule *rule = denied(policy, PROGRAM, program);
  if (rule)
    return refuse(DENIED, "program %s: line %u of the policy denies it; ask the administrator", program, rule->line);
  if (allowed(policy, PROGRAM, program, NULL)) return DONE;
  return refuse(DENIED, "program %s: the policy does not allow it; ask the administrator for the line: allow uid:%u program "
                        "%s", program, (unsigned)caller.uid, program);
}

static int decide_grant(const struct policy *policy, struct request *request, unsigned index) {
  struct grant *grant = &request->grants[index];
  switch (grant->kind) {
    case BLOCK: return open_block(policy, grant);
    case BRIDGE: return check_tap(policy, grant);
    case PCI: return check_pci(policy, request, grant, &devices[index]);
    case MEMLOCK: return check_memlock(policy, grant);
    case PROGRAM: break;
  }
  return USAGE;
}

int decide_grants(const struct policy *policy, struct request *request) {
  int first = DONE;
  if (request->program) {
    report_about(request->program[0]);
    first = decide_program(policy, request->program[0]);
    if (first == DONE && request->verb == CHECK) say("allowed\t%s", request->program[0]);
  }
  for (unsigned i = 0; i < request->count; i++) {
    report_about(request->grants[i].typed);
    int code = decide_grant(policy, request, i);
    if (code == DONE && request->grants[i].kind == PCI && request->iommu.wanted >= 0) code = check_iommufd();
    if (code == DONE && request->verb == CHECK) say("allowed\t%s", request->grants[i].typed);
    if (first == DONE) first = code;
  }
  report_about(NULL);
  return first;
}

static int take_grant(struct grant *grant) {
  if (grant->kind == MEMLOCK) return raise_memlock(grant);
  if (grant->kind == BRIDGE) return make_tap(grant);
  return DONE;
}

static void note(const struct request *request, const struct grant *grant, const struct pci_device *device) {
  switch (grant->kind) {
    case BLOCK:
      audit("granted block %s (%u:%u) %s as descriptor %d", grant->what, major(grant->device), minor(grant->device),
            grant->writable ? "rw" : "ro", grant->handed[0].wanted);
      return;
    case BRIDGE: audit("granted tap %s on bridge %s%s", grant->interface, grant->what, grant->vhost ? " with vhost" : ""); return;
    case PCI:
      audit("granted pci %s %04x:%04x of driver %s, group %s, by %s", grant->what, device->vendor, device->device,
            *device->driver ? device->driver : "-", device->group, request->iommu.wanted >= 0 ? "descriptor" : "node");
      return;
    case MEMLOCK: audit("granted memlock %s", grant->what); return;
    case PROGRAM: return;
  }
}

int take_grants(const struct policy *policy, struct request *request) {
  /* PCI last: the rest goes by itself when this process ends. */
  for (unsigned i = 0; i < request->count; i++) {
    int code = take_grant(&request->grants[i]);
    if (code != DONE) return code;
  }
  int code = take_pci(policy, request, devices);
  if (code != DONE) return code;
  for (unsigned i = 0; i < request->count; i++) note(request, &request->grants[i], &devices[i]);
  audit("runs %s", request->program[0]);
  return DONE;
}
