// The checkout's path, and the Node bundled with it.
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The one on the path may be too old. */
export const NODE = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
