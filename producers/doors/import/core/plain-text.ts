// A file's text on a terminal: control characters are shown as escapes, so that a cell cannot move the cursor or rename
// the window of the person who looks at a preview.

/** Line feeds and tabs as well: a cell is part of one line. */
export const plainText = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
