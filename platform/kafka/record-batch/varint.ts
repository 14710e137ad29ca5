// Zigzag varints as Kafka's record format has them. Reading is split into value and end so that neither call
// allocates. Values beyond 32 bits (only time deltas can be) take the slow path.

/** The value that begins at `at`. */
export function readVarint(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first < 0x80) return (first >>> 1) ^ -(first & 1)
  const second = bytes[at + 1]
  if (second < 0x80) {
    const raw = (first & 0x7f) | (second << 7)
    return (raw >>> 1) ^ -(raw & 1)
  }
  return readLongVarint(bytes, at)
}

function readLongVarint(bytes: Uint8Array, at: number): number {
  let raw = 0
  let scale = 1
  for (let i = at; i < at + 10; i += 1) {
    raw += (bytes[i] & 0x7f) * scale
    if (bytes[i] < 0x80) break
    scale *= 128
  }
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
}

/** The position after the varint that begins at `at`. */
export function varintEnd(bytes: Uint8Array, at: number): number {
  while (bytes[at] >= 0x80) at += 1
  return at + 1
}

/** Bytes that `value` takes as a zigzag varint; |value| < 2^31. */
export function varintSize(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  if (raw < 0x80) return 1
  if (raw < 0x4000) return 2
  if (raw < 0x200000) return 3
  return raw < 0x10000000 ? 4 : 5
}

/** Writes `value` at `at`; returns the position after it. |value| < 2^31. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    bytes[at] = (raw & 0x7f) | 0x80
    raw >>>= 7
    at += 1
  }
  bytes[at] = raw
  return at + 1
}
