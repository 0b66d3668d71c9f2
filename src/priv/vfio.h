/* The nodes that VFIO shows in /dev for devices bound to it. */
#ifndef EZVM_PRIV_VFIO_H
#define EZVM_PRIV_VFIO_H

#include "record.h"
#include "request.h"

/* Whether the kernel can hand devices over as descriptors. */
int check_iommufd(void);
/* Refuses a group that some program has open, whoever it is. */
int check_group_unused(const struct record *record);
/* Lets the caller open the group's node, as QEMU does by its path. */
int give_group_node(struct record *record);
/* The node is as it was, closed to whom it was given; refuses when it is in use. */
int take_group_node(const struct record *record);
int open_device_node(struct grant *grant);
int open_iommufd(struct request *request);

#endif
