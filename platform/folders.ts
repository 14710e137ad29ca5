// Folders and files that only this user may read: they hold readings and identifiers. Node's own recursive mkdir is not
// used, since it never returns for a folder below /proc, where a parent exists and can't be written.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const FOLDER_MODE = 0o700
export const FILE_MODE = 0o600

/** Creates the folder and its missing parents. Throws the file system's error. */
export function makeFolder(folder: string): void {
  const missing: string[] = []
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.push(at)
  for (const at of missing.reverse()) {
    try {
      mkdirSync(at, FOLDER_MODE)
    } catch (error) {
      // Two processes may make it at the same time.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** Creates an empty file if there is none, so that whatever opens it later finds these permissions. */
export const makeFile = (file: string): void => closeSync(openSync(file, 'a', FILE_MODE))
