/* Network interfaces, and a namespace of one's own in which nobody else sees one before it is finished. */
#ifndef EZVM_PRIV_NETWORK_H
#define EZVM_PRIV_NETWORK_H

#include <net/if.h>
#include <stdbool.h>

/* For ioctl(2), with all but the name zero; a name that is too long is empty, which is nobody's. */
struct ifreq request_about(const char *interface);

/* Leaves for a new namespace; gives a descriptor of the one it was in, or -1 with errno. */
int leave_network(void);
/* Moves an interface from here into that one, under the next name of a pattern, such as "ezvm%d", that is free there. False
 * with errno. */
bool send_interface(const char *name, int home, const char *pattern);
/* Goes back there, and closes the descriptor. False with errno. */
bool return_to_network(int home);

#endif
