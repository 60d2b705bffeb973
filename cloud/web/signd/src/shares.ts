// Custodians and their shares as they are typed.

/** Names, one a line. */
export const custodianNames = (text: string): string[] => text.split(/[\n,，、;；]+/).map((name) => name.trim()).filter(Boolean)

/** What is wrong with an appointment. */
export function custodiansFault(names: string[], needed: number): string | undefined {
  if (names.length < 2 || names.length > 16) return '托管人应为 2 至 16 位'
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice) return `“${twice}”重复了，请加以区分`
  if (names.some((name) => [...name].length > 32)) return '姓名最多 32 个字'
  return Number.isInteger(needed) && needed >= 2 && needed <= names.length ? undefined : `恢复所需人数应在 2 到 ${names.length} 之间`
}

/** A share's own text out of a printed page or a file: `YQS1-…` with its checksum. */
export function shareIn(text: string): string | undefined {
  return /YQS1-[0-9A-Fa-f]{16}-\d{1,3}-\d{1,3}-[0-9A-Fa-f]{64}-[0-9A-Fa-f]{8}/.exec(text.replace(/[ \t]+/g, ''))?.[0]?.toUpperCase()
}
