/** Codes of faults that planning finds in settings that do not go together, and that QEMU would refuse as well. */
export const ALSO_OF_QEMU: readonly string[] = ['combination-refused', 'board-lacks'];

/** Those that QEMU would take, or is not told of: what would do nothing, programs beside it, and images that ezvm does not make. */
export const OURS_ALONE: readonly string[] = ['setting-useless', 'sidecar-refused', 'backing-refused'];
