// A plain table with aligned columns.

export type Alignment = 'left' | 'right'

/** @param rows each with as many cells as there are titles */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[],
): string {
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (alignments[i] === 'right' ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd()
  return [line(titles), ...rows.map(line)].join('\n')
}
