// What is typed as text: custodians and their shares, addresses of revocation lists.
import type { ChainSettings } from './api/types'

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

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean)

/** Where a chain's revocations come from, as it is typed: an address a line. */
export function sourcesForm(settings: ChainSettings): { crls: string; deltas: string; responder: string; nonce: boolean; minutes: number } {
  return { crls: (settings.crls ?? []).join('\n'), deltas: (settings.delta_crls ?? []).join('\n'), responder: settings.responder ?? '', nonce: settings.nonce ?? true, minutes: settings.every_minutes ?? 60 }
}
/** To the wire; what cannot be is named. */
export function sourcesOf(form: ReturnType<typeof sourcesForm>): ChainSettings {
  if (!Number.isInteger(form.minutes) || form.minutes < 1 || form.minutes > 10_080) throw new Error('更新间隔应为 1 至 10080 分钟')
  return { crls: words(form.crls), delta_crls: words(form.deltas), responder: form.responder.trim() || null, nonce: form.nonce, every_minutes: form.minutes }
}
