/* Names of users and groups. From the system's two files alone: other sources would run foreign code as root. */
#ifndef EZVM_PRIV_NAMES_H
#define EZVM_PRIV_NAMES_H

#include <stdbool.h>
#include <stdint.h>

bool find_user(const char *name, uint32_t *uid);
bool find_group(const char *name, uint32_t *gid);

#endif
