/* Where things are. Fixed when the helper is built; nothing at run time can change them. Tests build it with others. */
#ifndef EZVM_PRIV_PATHS_H
#define EZVM_PRIV_PATHS_H

#ifndef EZVM_PRIV_POLICY
#define EZVM_PRIV_POLICY "/etc/ezvm/policy"
#endif
#ifndef EZVM_PRIV_RUN
#define EZVM_PRIV_RUN "/run/ezvm-priv"
#endif
#ifndef EZVM_PRIV_DEV
#define EZVM_PRIV_DEV "/dev"
#endif
#ifndef EZVM_PRIV_SYS
#define EZVM_PRIV_SYS "/sys"
#endif
#ifndef EZVM_PRIV_LOG
#define EZVM_PRIV_LOG "/dev/log"
#endif

#endif
