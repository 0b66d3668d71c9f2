#include "passthrough.h"

#include <string.h>
#include <unistd.h>

#include "bind.h"
#include "caller.h"
#include "process.h"
#include "report.h"
#include "vfio.h"

static struct record records[GRANTS_MAX];
static unsigned record_count;

static bool has_record(const char *group) {
  for (unsigned i = 0; i < record_count; i++)
    if (strcmp(records[i].group, group) == 0) return true;
  return false;
}

static bool is_before(const char *group, const char *other) {
  size_t length = strlen(group), others = strlen(other);
  return length != others ? length < others : strcmp(group, other) < 0;
}

/* The next group in number's order that has no record yet: all who need several lock them in the same order. */
static const char *next_group(const struct request *request, const struct pci_device *devices) {
  const char *next = NULL;
  for (unsigned i = 0; i < request->count; i++)
    if (request->grants[i].kind == PCI && !has_record(devices[i].group) &&
        (!next || is_before(devices[i].group, next)))
      next = devices[i].group;
  return next;
}

/* Nobody else has the group: neither by our records nor, whoever opened it, by the kernel. And nobody can open it from here
 * on, before more of it is bound to vfio-pci. */
static int check_free(const struct record *record) {
  if (holder_runs(record))
    return refuse(BUSY, "IOMMU group %s belongs to VM %s of uid %u, which runs (process %d); stop it first", record->group,
                  record->vm, (unsigned)record->uid, (int)record->pid);
  return take_group_node(record);
}

/* An earlier VM's devices that were never given back stay in the record, with the drivers they had before that VM. */
static int add_devices(struct record *record, const struct request *request, const struct pci_device *devices) {
  for (unsigned i = 0; i < request->count; i++) {
    const struct pci_device *device = &devices[i];
    if (request->grants[i].kind != PCI || strcmp(device->group, record->group) != 0 ||
        find_taken(record, device->address))
      continue;
    if (record->count == GRANTS_MAX)
      return refuse(BROKEN, "IOMMU group %s has too many devices; run: ezvm-priv release", record->group);
    struct taken *taken = &record->taken[record->count++];
    (void)copy_text(taken->address, sizeof taken->address, device->address);
    (void)copy_text(taken->driver, sizeof taken->driver, device->driver);
    (void)copy_text(taken->override, sizeof taken->override, device->override);
  }
  return DONE;
}

static int write_records(const struct request *request, const struct pci_device *devices) {
  uint64_t started;
  if (!started_at(getpid(), &started)) return refuse(BROKEN, "cannot read /proc/self/stat; mount /proc");
  for (unsigned i = 0; i < record_count; i++) {
    struct record *record = &records[i];
    int code = add_devices(record, request, devices);
    if (code != DONE) return code;
    record->uid = caller.uid;
    record->pid = getpid();
    record->started = started;
    (void)copy_text(record->vm, sizeof record->vm, request->vm);
    code = write_record(record);
    if (code != DONE) return code;
  }
  return DONE;
}

static int lock_groups(const struct request *request, const struct pci_device *devices) {
  int folder = -1;
  int code = open_records(&folder);
  for (const char *group; code == DONE && (group = next_group(request, devices)) != NULL;) {
    struct record *record = &records[record_count++];
    code = open_record(folder, group, record);
    if (code == DONE) code = check_free(record);
  }
  if (folder >= 0) close(folder);
  return code;
}

static int hand_over(struct request *request) {
  int code = DONE;
  if (request->iommu.wanted >= 0) code = open_iommufd(request);
  for (unsigned i = 0; i < request->count && code == DONE; i++)
    if (request->grants[i].kind == PCI && request->iommu.wanted >= 0) code = open_device_node(&request->grants[i]);
  for (unsigned i = 0; i < record_count && code == DONE; i++)
    if (request->iommu.wanted < 0) code = give_group_node(&records[i]);
  return code;
}

static void close_handed(struct request *request) {
  for (unsigned i = 0; i < request->count; i++) {
    struct handed *handed = &request->grants[i].handed[0];
    if (request->grants[i].kind == PCI && handed->opened >= 0) close(handed->opened);
    if (request->grants[i].kind == PCI) handed->opened = -1;
  }
  if (request->iommu.opened >= 0) close(request->iommu.opened);
  request->iommu.opened = -1;
}

int take_pci(const struct policy *policy, struct request *request, const struct pci_device *devices) {
  int code = lock_groups(request, devices);
  for (unsigned i = 0; i < request->count && code == DONE; i++)
    if (request->grants[i].kind == PCI) code = check_group(policy, request, &devices[i]);
  if (code != DONE || record_count == 0) return code;
  code = write_records(request, devices);
  for (unsigned i = 0; i < request->count && code == DONE; i++)
    if (request->grants[i].kind == PCI) code = bind_to_vfio(request->grants[i].what);
  if (code == DONE) code = hand_over(request);
  if (code == DONE) return DONE;
  close_handed(request);
  for (unsigned i = record_count; i-- > 0;)
    if (release_record(&records[i]) != DONE)
      warn("not all of IOMMU group %s could be put back; when that is mended, run: ezvm-priv release", records[i].group);
  return code;
}

int release_record(struct record *record) {
  if (!record->held) return DONE;
  int code = take_group_node(record);
  if (code != DONE) return code;
  for (unsigned i = record->count; i-- > 0;) {
    int fault = give_back(&record->taken[i]);
    if (code == DONE) code = fault;
  }
  if (code != DONE) return code;
  for (unsigned i = 0; i < record->count; i++) audit("gave pci %s back", record->taken[i].address);
  return clear_record(record);
}
