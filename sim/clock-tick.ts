// Change times of files (ctime) move in steps of the kernel's clock, some milliseconds. Nobody restores a copy of a folder
// within one step; a test, or a run on a virtual clock, would.
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Returns once a file that is changed now gets a later change time than one that was changed before. @param dir for a file of its own */
export function letTheClockTick(dir: string): void {
  const file = join(dir, `tick-${process.pid}`)
  const at = (): number => {
    writeFileSync(file, '')
    return statSync(file).ctimeMs
  }
  const begun = at()
  while (at() === begun);
  rmSync(file)
}
