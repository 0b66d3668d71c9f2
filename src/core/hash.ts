/**
 * Sixteen bytes that depend on every character of `text`: four lanes of multiply and mix, with the finaliser of
 * MurmurHash3. Changing it would give every VM new MAC addresses. Of no use against an adversary.
 */
export function stableHash(text: string): readonly number[] {
  const lanes: [number, number, number, number] = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    const [a, b, c, d] = lanes;
    lanes[0] = b ^ Math.imul(a ^ unit, 597399067);
    lanes[1] = c ^ Math.imul(b ^ unit, 2869860233);
    lanes[2] = d ^ Math.imul(c ^ unit, 951274213);
    lanes[3] = a ^ Math.imul(d ^ unit, 2716044179);
  }
  return lanes.flatMap((lane, index) => {
    let mixed = lane ^ text.length ^ Math.imul(index, 0x9e3779b9);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    return [(mixed >>> 24) & 255, (mixed >>> 16) & 255, (mixed >>> 8) & 255, mixed & 255];
  });
}

/** A UUID (version 8: made by a rule of our own) from a text. */
export function stableUuid(text: string): string {
  const bytes = [...stableHash(text)];
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = hexOf(bytes).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A unicast MAC address in QEMU's range 52:54:00. */
export function stableMac(text: string): string {
  return ['52', '54', '00', ...hexOf(stableHash(text).slice(0, 3))].join(':');
}

/** A serial number of sixteen characters: virtio-blk shows a guest twenty at most. */
export function stableSerial(text: string): string {
  return hexOf(stableHash(text).slice(0, 8)).join('').toUpperCase();
}

function hexOf(bytes: readonly number[]): string[] {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0'));
}
