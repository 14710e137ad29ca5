// The beginning of a file as the preview sees it, cut into lines and cells. Good enough to look at: the rows that are
// imported are read by a CSV parser.

export interface Sample {
  /** The first lines of the file, whole. */
  readonly lines: readonly string[]
  /** As the bytes suggest it. */
  readonly encoding: string
}

/** Cells of a line, with quotes taken off. */
export function cellsOf(line: string, delimiter: string): string[] {
  const cells: string[] = []
  let cell = ''
  let isQuoted = false
  for (let i = 0; i < line.length; i += 1) {
    const char = line[i]
    if (char === '"') {
      if (isQuoted && line[i + 1] === '"') {
        cell += '"'
        i += 1
      } else isQuoted = !isQuoted
    } else if (!isQuoted && line.startsWith(delimiter, i)) {
      cells.push(cell.trim())
      cell = ''
      i += delimiter.length - 1
    } else cell += char
  }
  return [...cells, cell.trim()]
}

/** Lines in which there is something. @param comment left out are lines that begin with it */
export const filled = (lines: readonly string[], comment?: string): string[] =>
  lines.filter((line) => line.trim() !== '' && !(comment !== undefined && line.startsWith(comment)))
