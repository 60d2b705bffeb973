/** The code of a prescription as the server keeps it, however it was typed, pasted or scanned: capitals, blanks, full-width letters, the whole address. */
export function tidyCode(text: string): string {
  const plain = text.normalize('NFKC')
  const code = /\/verify\/([^/?#\s]+)/i.exec(plain)?.[1] ?? plain
  return code.replace(/[\s\u200b\ufeff_.-]/g, '').toLowerCase()
}

/** The code in the address of the page; a broken one stays as it is and names no prescription. */
export function codeOf(path: string): string {
  const segment = /^\/verify\/([^/]+)/.exec(path)?.[1] ?? ''
  if (segment === 'index.html') return ''
  try {
    return tidyCode(decodeURIComponent(segment))
  } catch {
    return segment
  }
}
