// Where the checkout is, and the Node that it brings.
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The one on the path may be too old. */
export const NODE = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
