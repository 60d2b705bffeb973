/** An id that fits a table: its kind and its last letters, which differ most. */
export function shortId(id: string): string {
  const at = id.indexOf('_')
  return at > 0 && id.length > at + 10 ? `${id.slice(0, at)}…${id.slice(-8)}` : id
}
